package api

import (
	"net/http"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/topology"
)

// AutoAllocatedTopology serves the topologies that projects get by asking for them. The
// project is named in the path; "None" and nothing stand for the caller's own.
func AutoAllocatedTopology(svc *topology.Service) func(*httpRequest, []string) error {
	return func(rq *httpRequest, rest []string) error {
		if len(rest) > 1 {
			return notFound()
		}
		project := rq.caller.ProjectID
		if len(rest) == 1 && !slices.Contains([]string{"", "None"}, rest[0]) {
			project = rest[0]
		}
		switch rq.r.Method {
		case http.MethodGet:
			return rq.topology(svc, project)
		case http.MethodDelete:
			if err := rq.ownTopology("delete_auto_allocated_topology", project); err != nil {
				return err
			}
			if err := rq.update(func(tx *store.Tx) error { return svc.Delete(tx, project) }); err != nil {
				return err
			}
			rq.w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return notAllowed()
	}
}

// ownTopology is a rule of policy whose refusal Neutron words its own way.
func (rq *httpRequest) ownTopology(rule, project string) error {
	if project == "" || rq.ownQuota(rule, project) != nil {
		return weft.Errorf(weft.Forbidden, "NotAuthorized", "Not authorized.")
	}
	return nil
}

// topology shows the project's topology, which is made if there is none; with the
// field dry-run, whether it could be.
func (rq *httpRequest) topology(svc *topology.Service, project string) error {
	if err := rq.ownTopology("get_auto_allocated_topology", project); err != nil {
		return err
	}
	fields := rq.query()["fields"]
	switch {
	case slices.Contains(fields, "dry-run"):
		if err := svc.Check(rq.read()); err != nil {
			return err
		}
		writeJSON(rq.w, http.StatusOK, map[string]any{"auto_allocated_topology": map[string]string{"id": "dry-run=pass", "tenant_id": project}})
		return nil
	case len(fields) > 0:
		return weft.Errorf(weft.BadRequest, "BadRequest", "Bad auto_allocate request: Unrecognized field.")
	}
	id, err := svc.Find(rq.read(), project)
	if err == nil && id == "" {
		err = rq.update(func(tx *store.Tx) error {
			id, err = svc.Make(tx, project)
			return err
		})
	}
	if err != nil {
		return err
	}
	writeJSON(rq.w, http.StatusOK, map[string]any{"auto_allocated_topology": map[string]string{"id": id, "tenant_id": project, "project_id": project}})
	return nil
}
