package identity

import (
	"encoding/json"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func users() *resource[weft.User] {
	type T = weft.User
	rs := &resource[T]{
		table: store.Users, singular: "user", plural: "users",
		fields: []field[T]{
			name("name", 255, func(u *T) *string { return &u.Name }).require(),
			name("domain_id", 64, func(u *T) *string { return &u.DomainID }).fix(),
			ref("default_project_id", func(u *T) *weft.ID { return &u.DefaultProjectID }),
			flag("enabled", func(u *T) *bool { return &u.Enabled }),
			options(func(u *T) *weft.Extra { return &u.Options }),
			{name: "password"},          // never shown; see newPassword
			{name: "original_password"}, // likewise, and only the user's own request has it
			{name: "password_expires_at", get: func(*T) any { return nil }},
		},
		extra:   func(u *T) *weft.Extra { return &u.Extra },
		filters: []string{"name", "domain_id", "enabled"}, flags: []string{"enabled"},
		fresh:  func(q *request) *T { return &T{Enabled: true, DomainID: q.home()} },
		before: newPassword,
		mine:   func(g *grant, u *T) bool { return g.userID == u.ID },
		remove: func(tx *store.Tx, u *T) error {
			if err := dropCredentialsOf(tx, u.ID); err != nil {
				return err
			}
			if err := dropMemberships(tx, store.Eq("user_id", u.ID)); err != nil {
				return err
			}
			return dropAssignments(tx, store.Eq("actor_id", u.ID), store.Eq("actor_type", weft.ActorUser))
		},
	}
	rs.check = func(tx *store.Tx, v, old *T, in map[string]json.RawMessage) error {
		_, password := in["password"]
		switch {
		case old == nil:
			if _, err := domainOf(tx, v.DomainID); err != nil {
				return err
			}
		case password || old.Enabled && !v.Enabled:
			v.Epoch++
		}
		if old != nil && old.Enabled && !v.Enabled {
			if err := dropCredentialsOf(tx, v.ID); err != nil {
				return err
			}
		}
		return rs.uniqueName(tx, v, v.Name, v.DomainID)
	}
	return rs
}

// newPassword hashes the password of a request, outside of any transaction because
// it takes long, for the transaction to keep.
func newPassword(q *request, in map[string]json.RawMessage) (func(*store.Tx, *weft.User) error, error) {
	raw, given := in["password"]
	if !given {
		return func(*store.Tx, *weft.User) error { return nil }, nil
	}
	password, err := passwordIn(raw)
	if err != nil {
		return nil, err
	}
	hash := "" // null is a user who cannot log in by password
	if string(raw) != "null" {
		if hash, err = q.s.vault.hash(q.ctx(), password); err != nil {
			return nil, err
		}
	}
	return func(tx *store.Tx, u *weft.User) error { return tx.SetPassword(u.ID, hash) }, nil
}

// passwordIn decodes a password. The error does not repeat it.
func passwordIn(raw json.RawMessage) (string, error) {
	var p *string
	if json.Unmarshal(raw, &p) != nil {
		return "", badRequest("Invalid input for field 'password': it is not of type 'string' or 'null'")
	}
	if p == nil {
		return "", nil
	}
	if len(*p) > maxPassword {
		return "", badRequest("Invalid input for field 'password': it is longer than %d characters", maxPassword)
	}
	return *p, nil
}

func (m router) users() {
	serve(m, users())
	m.open("POST /v3/users/{id}/password", (*request).changePassword)
	m.closed("GET /v3/users/{id}/projects", func(q *request) error {
		who := q.r.PathValue("id")
		if err := q.mayRead("list_user_projects", who == q.grant.userID); err != nil {
			return err
		}
		if _, err := users().get(q.read(), who); err != nil {
			return err
		}
		return q.listReachable(who, projects().filtered(q))
	})
	m.closed("GET /v3/users/{id}/groups", func(q *request) error {
		who := q.r.PathValue("id")
		if err := q.mayRead("list_groups_for_user", who == q.grant.userID); err != nil {
			return err
		}
		if _, err := users().get(q.read(), who); err != nil {
			return err
		}
		rs := groups()
		list, err := rs.find(q.read(), append(rs.filtered(q), store.Where("t.id IN (SELECT m.group_id FROM group_members m WHERE m.user_id = ?)", who))...)
		if err != nil {
			return err
		}
		return q.replyList("groups", rs.renderAll(q, list))
	})
}

// changePassword is for users themselves: who knows the old one sets a new one. It
// needs no token, and all tokens of the user die of it.
func (q *request) changePassword() error {
	in, err := q.body("user")
	if err != nil {
		return err
	}
	var pair [2]string
	for i, key := range []string{"original_password", "password"} {
		raw, given := in[key]
		if !given || string(raw) == "null" {
			return badRequest("'%s' is a required property", key)
		}
		if pair[i], err = passwordIn(raw); err != nil {
			return err
		}
	}
	who := q.r.PathValue("id")
	u, err := q.verify(who, pair[0])
	if err != nil {
		return err
	}
	hash, err := q.s.vault.hash(q.ctx(), pair[1])
	if err != nil {
		return err
	}
	if err := q.s.setPassword(q.ctx(), q.caller(), who, hash, u.Epoch); err != nil {
		return q.refusal(err)
	}
	return q.done()
}

// verify is the enabled user of that id and password, or weft.Unauthorized.
func (q *request) verify(userID, password string) (*weft.User, error) {
	u, err := q.s.checkPassword(q.ctx(), origin(q.r.RemoteAddr), userRef{id: userID}, password)
	if err == nil && !u.Enabled {
		err = denied("user %s is disabled", userID)
	}
	return u, q.refusal(err)
}
