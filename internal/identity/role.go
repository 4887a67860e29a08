package identity

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func roleResource() *resource[weft.Role] {
	type T = weft.Role
	rs := &resource[T]{
		table: store.Roles, singular: "role", plural: "roles",
		fields: []field[T]{
			name("name", 255, func(r *T) *string { return &r.Name }).require(),
			ref("domain_id", func(r *T) *weft.ID { return &r.DomainID }).fix(),
			ref("description", func(r *T) *weft.ID { return &r.Description }),
			options(func(r *T) *weft.Extra { return &r.Options }),
		},
		extra:   func(r *T) *weft.Extra { return &r.Extra },
		filters: []string{"name", "domain_id"},
		fresh:   func(*request) *T { return new(T) },
		remove:  removeRole,
		where: func(q *request) []store.Cond {
			if q.query.Has("domain_id") {
				return nil
			}
			return []store.Cond{store.Eq("domain_id", "")} // roles of a domain are shown on request only
		},
	}
	rs.check = func(tx *store.Tx, v, old *T, _ map[string]json.RawMessage) error {
		if v.DomainID != "" {
			if _, err := domainOf(tx, string(v.DomainID)); err != nil {
				return err
			}
			return rs.uniqueName(tx, v, v.Name, string(v.DomainID))
		}
		return rs.unique(tx, v, "name "+v.Name, store.Eq("domain_id", ""), store.Eq("name", v.Name))
	}
	return rs
}

func removeRole(tx *store.Tx, r *weft.Role) error {
	all, err := store.Roles.Find(tx)
	for _, prior := range all {
		if err == nil && slices.Contains(prior.Implies, r.ID) {
			prior.Implies = without(prior.Implies, r.ID)
			err = store.Roles.Update(tx, prior)
		}
	}
	if err != nil {
		return err
	}
	return dropAssignments(tx, store.Eq("role_id", r.ID))
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return x == s })
}

func (m router) roles() {
	serve(m, roleResource())
	m.closed("GET /v3/role_inferences", func(q *request) error {
		if err := q.mayRead("list_role_inference_rules", false); err != nil {
			return err
		}
		index, err := roleIndex(q.read())
		if err != nil {
			return err
		}
		list := []any{}
		for _, prior := range index {
			if len(prior.Implies) > 0 {
				list = append(list, q.inference(prior, index))
			}
		}
		return q.replyList("role_inferences", list)
	})
	m.closed("GET /v3/roles/{id}/implies", func(q *request) error {
		if err := q.mayRead("list_implied_roles", false); err != nil {
			return err
		}
		index, err := roleIndex(q.read())
		if err != nil {
			return err
		}
		prior := index[q.r.PathValue("id")]
		if prior == nil {
			return notFound("role", q.r.PathValue("id"))
		}
		return q.reply(http.StatusOK, map[string]any{"role_inference": q.inference(prior, index),
			"links": map[string]any{"self": q.url("roles/" + prior.ID + "/implies")}})
	})
	path := "/v3/roles/{id}/implies/{implied}"
	m.closed("GET "+path, (*request).showImplied)
	m.closed("PUT "+path, (*request).addImplied)
	m.closed("DELETE "+path, (*request).dropImplied)
}

// inference is a role and those it implies directly.
func (q *request) inference(prior *weft.Role, index rolesByID) any {
	implies := []any{}
	for _, id := range prior.Implies {
		if r := index[id]; r != nil {
			implies = append(implies, q.roleLink(r))
		}
	}
	return map[string]any{"prior_role": q.roleLink(prior), "implies": implies}
}

func (q *request) roleLink(r *weft.Role) any {
	return map[string]any{"id": r.ID, "name": r.Name, "domain_id": r.DomainID, "description": r.Description,
		"options": struct{}{}, "links": map[string]any{"self": q.url("roles/" + r.ID)}}
}

// implication loads the two roles that the path names.
func (q *request) implication(tx *store.Tx) (prior, implied *weft.Role, err error) {
	if prior, err = roleResource().get(tx, q.r.PathValue("id")); err != nil {
		return nil, nil, err
	}
	implied, err = roleResource().get(tx, q.r.PathValue("implied"))
	return prior, implied, err
}

func (q *request) oneInference(status int, prior, implied *weft.Role) error {
	return q.reply(status, map[string]any{"role_inference": map[string]any{"prior_role": q.roleLink(prior), "implies": q.roleLink(implied)}})
}

func (q *request) noInference() error {
	return weft.Errorf(weft.NotFound, "NotFound", "%s does not imply %s", q.r.PathValue("id"), q.r.PathValue("implied"))
}

func (q *request) showImplied() error {
	if err := q.mayRead("get_implied_role", false); err != nil {
		return err
	}
	prior, implied, err := q.implication(q.read())
	if err != nil {
		return err
	}
	if !slices.Contains(prior.Implies, implied.ID) {
		return q.noInference()
	}
	return q.oneInference(http.StatusOK, prior, implied)
}

func (q *request) addImplied() error {
	if err := q.mayWrite("create_implied_role"); err != nil {
		return err
	}
	var prior, implied *weft.Role
	err := q.update(func(tx *store.Tx) (err error) {
		if prior, implied, err = q.implication(tx); err != nil {
			return err
		}
		if implied.Name == weft.RoleAdmin {
			return forbidden("role " + implied.ID + " cannot be an implied role")
		}
		if slices.Contains(prior.Implies, implied.ID) {
			return nil
		}
		prior.Implies = append(prior.Implies, implied.ID)
		return store.Roles.Update(tx, prior)
	})
	if err != nil {
		return err
	}
	return q.oneInference(http.StatusCreated, prior, implied)
}

func (q *request) dropImplied() error {
	if err := q.mayWrite("delete_implied_role"); err != nil {
		return err
	}
	err := q.update(func(tx *store.Tx) error {
		prior, implied, err := q.implication(tx)
		if err != nil {
			return err
		}
		if !slices.Contains(prior.Implies, implied.ID) {
			return q.noInference()
		}
		prior.Implies = without(prior.Implies, implied.ID)
		return store.Roles.Update(tx, prior)
	})
	if err != nil {
		return err
	}
	return q.done()
}
