package identity

import (
	"encoding/json"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func groups() *resource[weft.Group] {
	type T = weft.Group
	rs := &resource[T]{
		table: store.Groups, singular: "group", plural: "groups",
		fields: []field[T]{
			name("name", 64, func(g *T) *string { return &g.Name }).require(),
			name("domain_id", 64, func(g *T) *string { return &g.DomainID }).fix(),
			note("description", func(g *T) *string { return &g.Description }),
		},
		extra:   func(g *T) *weft.Extra { return &g.Extra },
		filters: []string{"name", "domain_id"},
		fresh:   func(q *request) *T { return &T{DomainID: q.home()} },
		remove: func(tx *store.Tx, g *T) error {
			if err := dropMemberships(tx, store.Eq("group_id", g.ID)); err != nil {
				return err
			}
			return dropAssignments(tx, store.Eq("actor_id", g.ID), store.Eq("actor_type", weft.ActorGroup))
		},
	}
	rs.check = func(tx *store.Tx, v, old *T, _ map[string]json.RawMessage) error {
		if old == nil {
			if _, err := domainOf(tx, v.DomainID); err != nil {
				return err
			}
		}
		return rs.uniqueName(tx, v, v.Name, v.DomainID)
	}
	return rs
}

func dropMemberships(tx *store.Tx, where store.Cond) error {
	list, err := store.Memberships.Find(tx, where)
	for _, m := range list {
		if err == nil {
			err = store.Memberships.Delete(tx, m)
		}
	}
	return err
}

// membership loads a membership, nil if there is none; the group and the user must
// exist.
func membership(tx *store.Tx, groupID, userID string) (*weft.Membership, error) {
	if _, err := groups().get(tx, groupID); err != nil {
		return nil, err
	}
	if _, err := users().get(tx, userID); err != nil {
		return nil, err
	}
	return store.Memberships.First(tx, store.Eq("user_id", userID), store.Eq("group_id", groupID))
}

func (m router) groups() {
	serve(m, groups())
	m.closed("GET /v3/groups/{id}/users", func(q *request) error {
		if err := q.mayRead("list_users_in_group", false); err != nil {
			return err
		}
		group := q.r.PathValue("id")
		if _, err := groups().get(q.read(), group); err != nil {
			return err
		}
		rs := users()
		list, err := rs.find(q.read(), append(rs.filtered(q), store.Where("t.id IN (SELECT m.user_id FROM group_members m WHERE m.group_id = ?)", group))...)
		if err != nil {
			return err
		}
		return q.replyList("users", rs.renderAll(q, list))
	})
	path := "/v3/groups/{id}/users/{user}"
	m.closed("GET "+path, func(q *request) error {
		user := q.r.PathValue("user")
		if err := q.mayRead("check_user_in_group", user == q.grant.userID); err != nil {
			return err
		}
		is, err := membership(q.read(), q.r.PathValue("id"), user)
		if err == nil && is == nil {
			err = weft.Errorf(weft.NotFound, "NotFound", "User '%s' not found in group '%s'", user, q.r.PathValue("id"))
		}
		if err != nil {
			return err
		}
		return q.done()
	})
	m.closed("PUT "+path, func(q *request) error {
		return q.setMember("add_user_to_group", func(tx *store.Tx, is *weft.Membership, group, user string) error {
			if is != nil {
				return nil
			}
			return store.Memberships.Insert(tx, &weft.Membership{GroupID: group, UserID: user})
		})
	})
	m.closed("DELETE "+path, func(q *request) error {
		return q.setMember("remove_user_from_group", func(tx *store.Tx, is *weft.Membership, group, user string) error {
			if is == nil {
				return weft.Errorf(weft.NotFound, "NotFound", "User '%s' not found in group '%s'", user, group)
			}
			return store.Memberships.Delete(tx, is)
		})
	})
}

func (q *request) setMember(action string, change func(tx *store.Tx, is *weft.Membership, group, user string) error) error {
	if err := q.mayWrite(action); err != nil {
		return err
	}
	group, user := q.r.PathValue("id"), q.r.PathValue("user")
	err := q.update(func(tx *store.Tx) error {
		is, err := membership(tx, group, user)
		if err != nil {
			return err
		}
		return change(tx, is, group, user)
	})
	if err != nil {
		return err
	}
	return q.done()
}
