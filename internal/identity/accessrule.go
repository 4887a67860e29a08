package identity

import (
	"net/http"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/authtoken"
	"github.com/weftnet/weft/internal/store"
)

// permits reports whether a request to this service is within rules.
func permits(rules []weft.AccessRule, r *http.Request) bool {
	return authtoken.Permits(rules, "identity", r.Method, r.URL.Path)
}

func ruleView(r *weft.AccessRule) map[string]any {
	return map[string]any{"id": r.ID, "service": r.Service, "path": r.Path, "method": r.Method}
}

func ruleViews(rules []weft.AccessRule) []any {
	var out []any
	for i := range rules {
		out = append(out, ruleView(&rules[i]))
	}
	return out
}

// linkedRule is a rule with the address it does not have in credentials.
func (q *request) linkedRule(r *weft.AccessRule) map[string]any {
	v := ruleView(r)
	v["links"] = map[string]any{"self": q.url("access_rules/" + r.ID)}
	return v
}

func (q *request) listRules() error {
	if err := q.mayRead("list_access_rules", q.self()); err != nil {
		return err
	}
	where := []store.Cond{store.Eq("user_id", q.r.PathValue("user"))}
	for _, attr := range []string{"service", "path", "method"} {
		if q.query.Has(attr) {
			where = append(where, store.Eq(attr, q.query.Get(attr)))
		}
	}
	list, err := store.AccessRules.Find(q.read(), where...)
	if err != nil {
		return err
	}
	views := make([]any, 0, len(list))
	for _, r := range list {
		views = append(views, q.linkedRule(r))
	}
	return q.replyList("access_rules", views)
}

// accessRule is the one that the path names.
func (q *request) accessRule(tx *store.Tx) (*weft.AccessRule, error) {
	id := q.r.PathValue("id")
	r, err := store.AccessRules.Get(tx, id)
	if weft.IsKind(err, weft.NotFound) || err == nil && r.UserID != q.r.PathValue("user") {
		return nil, notFound("Access Rule", id)
	}
	return r, err
}

func (q *request) showRule() error {
	if err := q.mayRead("get_access_rule", q.self()); err != nil {
		return err
	}
	r, err := q.accessRule(q.read())
	if err != nil {
		return err
	}
	return q.reply(http.StatusOK, map[string]any{"access_rule": q.linkedRule(r)})
}

func (q *request) deleteRule() error {
	if err := q.mayWriteOwn("delete_access_rule"); err != nil {
		return err
	}
	err := q.update(func(tx *store.Tx) error {
		r, err := q.accessRule(tx)
		if err != nil {
			return err
		}
		all, err := store.ApplicationCredentials.Find(tx, store.Eq("user_id", r.UserID))
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(c *weft.ApplicationCredential) bool { return slices.Contains(c.Rules, r.ID) }) {
			return weft.Errorf(weft.Forbidden, "ForbiddenAction", "May not delete access rule in use")
		}
		return store.AccessRules.Delete(tx, r)
	})
	if err != nil {
		return err
	}
	return q.done()
}
