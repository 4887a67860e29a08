package api

import (
	"net/http"
	"sort"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/quota"
	"github.com/weftnet/weft/internal/store"
)

// Quotas serves /v2.0/quotas.
func Quotas(svc *quota.Service) func(*httpRequest, []string) error {
	q := quotas{svc}
	return func(rq *httpRequest, rest []string) error {
		get := rq.r.Method == http.MethodGet || rq.r.Method == http.MethodHead
		switch {
		case len(rest) == 0 && get:
			return q.list(rq)
		case len(rest) == 1 && get && (rest[0] == "tenant" || rest[0] == "project"):
			writeJSON(rq.w, http.StatusOK, map[string]any{rest[0]: map[string]string{rest[0] + "_id": rq.caller.ProjectID}})
			return nil
		case len(rest) == 1 && get:
			return q.limits(rq, rest[0])
		case len(rest) == 1 && rq.r.Method == http.MethodPut:
			return q.set(rq, rest[0])
		case len(rest) == 1 && rq.r.Method == http.MethodDelete:
			return q.reset(rq, rest[0])
		case len(rest) == 2 && get && rest[1] == "default":
			if err := rq.ownQuota("get_quota", rest[0]); err != nil {
				return err
			}
			writeJSON(rq.w, http.StatusOK, map[string]any{"quota": svc.Default()})
			return nil
		case len(rest) == 2 && get && rest[1] == "details":
			return q.details(rq, rest[0])
		case len(rest) <= 1:
			return notAllowed()
		}
		return notFound()
	}
}

type quotas struct{ svc *quota.Service }

// ownQuota checks a rule of quotas against a project; "" is all of them, which are
// nobody's own.
func (rq *httpRequest) ownQuota(rule, project string) error {
	target := func(attr string) any {
		if project != "" && (attr == "project_id" || attr == "tenant_id") {
			return project
		}
		return nil
	}
	if !rq.s.Policy.Allow(rule, rq.caller, target) {
		return disallowed("rule:" + rule)
	}
	return nil
}

func (q quotas) list(rq *httpRequest) error {
	if err := rq.ownQuota("get_quota", ""); err != nil {
		return err
	}
	var out weft.List[map[string]any]
	projects, limits, err := q.svc.Projects(rq.read())
	if err != nil {
		return err
	}
	for _, p := range projects {
		row := map[string]any{"project_id": p, "tenant_id": p}
		for resource, n := range limits[p] {
			row[resource] = n
		}
		out = append(out, row)
	}
	writeJSON(rq.w, http.StatusOK, map[string]any{"quotas": out})
	return nil
}

func (q quotas) limits(rq *httpRequest, project string) error {
	if err := rq.ownQuota("get_quota", project); err != nil {
		return err
	}
	limits, err := q.svc.Limits(rq.read(), project)
	if err != nil {
		return err
	}
	writeJSON(rq.w, http.StatusOK, map[string]any{"quota": limits})
	return nil
}

func (q quotas) details(rq *httpRequest, project string) error {
	if err := rq.ownQuota("get_quota", project); err != nil {
		return weft.Errorf(weft.Forbidden, "AdminRequired", "User does not have admin privileges: Only admin is authorized to access quotas for another project.")
	}
	details, err := q.svc.Details(rq.read(), project)
	if err != nil {
		return err
	}
	out := map[string]any{}
	for resource, d := range details {
		out[resource] = map[string]int{"limit": d.Limit, "used": d.Used, "reserved": 0}
	}
	writeJSON(rq.w, http.StatusOK, map[string]any{"quota": out})
	return nil
}

func (q quotas) set(rq *httpRequest, project string) error {
	if err := rq.ownQuota("update_quota", project); err != nil {
		return err
	}
	body, err := rq.readBody("update_quota")
	if err != nil {
		return err
	}
	list, _, err := objects(body, "quota", "quotas")
	if err != nil {
		return err
	}
	limits, checkUse, err := quotaValues(list[0])
	if err != nil {
		return err
	}
	var after map[string]int
	err = rq.update(func(tx *store.Tx) error {
		if err := q.svc.Set(tx, project, limits, checkUse); err != nil {
			return err
		}
		after, err = q.svc.Limits(tx, project)
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(rq.w, http.StatusOK, map[string]any{"quota": after})
	return nil
}

// quotaValues are the limits of a request; force and check_limit say whether they
// may be below what is used.
func quotaValues(in map[string]any) (limits map[string]int, checkUse bool, err error) {
	limits = map[string]int{}
	names := make([]string, 0, len(in))
	for name := range in {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		switch name {
		case "project_id", "tenant_id":
			continue
		case "force", "check_limit":
			b, err := boolean.Convert(in[name])
			if err != nil {
				return nil, false, err
			}
			checkUse = checkUse || name == "check_limit" && b == true
			continue
		}
		a := row(name, "U", Unset, between(-1, 2147483647))
		v, err := a.accept(in[name])
		if err != nil {
			return nil, false, err
		}
		limits[name] = int(v.(int64))
	}
	return limits, checkUse, nil
}

func (q quotas) reset(rq *httpRequest, project string) error {
	if err := rq.ownQuota("delete_quota", project); err != nil {
		return err
	}
	if err := rq.update(func(tx *store.Tx) error { return q.svc.Reset(tx, project) }); err != nil {
		return err
	}
	rq.w.WriteHeader(http.StatusNoContent)
	return nil
}
