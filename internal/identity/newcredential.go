package identity

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func (q *request) createCredential() error {
	if !q.self() || q.grant.project == nil {
		return forbidden("identity:create_application_credential")
	}
	in, err := q.body("application_credential")
	if err != nil {
		return err
	}
	given, err := q.parseCredential(in)
	if err != nil {
		return err
	}
	if err := q.mayManage(); err != nil {
		return err
	}
	hash, err := q.hashSecret(given)
	if err != nil {
		return err
	}
	c := &given.credential
	err = q.update(func(tx *store.Tx) error { return q.insertCredential(tx, given, hash) })
	if err != nil {
		return err
	}
	v, err := q.credentialView(q.read(), c)
	if err != nil {
		return err
	}
	v["secret"] = given.secret
	return q.reply(http.StatusCreated, map[string]any{"application_credential": v})
}

// newCredential is what a request for a credential gives.
type newCredential struct {
	credential weft.ApplicationCredential
	secret     string
	roles      []named // each has an id or a name; none are all the caller has
	rules      []weft.AccessRule
}

func (q *request) parseCredential(in map[string]json.RawMessage) (*newCredential, error) {
	type T = newCredential
	var rest weft.Extra
	rs := &resource[T]{
		fields: q.credentialFields(),
		extra:  func(*T) *weft.Extra { return &rest },
	}
	n := new(T)
	if err := rs.decode(n, in, true); err != nil {
		return nil, err
	}
	for k := range rest {
		return nil, badRequest("'%s' is an invalid keyword argument for ApplicationCredentialModel", k)
	}
	n.credential.ID, n.credential.UserID, n.credential.ProjectID = newID(), q.grant.userID, q.grant.project.ID
	return n, nil
}

func (q *request) credentialFields() []field[newCredential] {
	type T = newCredential
	return []field[T]{
		name("name", 255, func(n *T) *string { return &n.credential.Name }).require(),
		ref("description", func(n *T) *weft.ID { return &n.credential.Description }),
		{name: "unrestricted", set: func(n *T, raw json.RawMessage) error {
			n.credential.Unrestricted = new(bool)
			return flag("unrestricted", func(b *bool) *bool { return b }).set(n.credential.Unrestricted, raw)
		}},
		{name: "expires_at", set: q.setExpiry},
		{name: "secret", set: func(n *T, raw json.RawMessage) (err error) { n.secret, err = passwordIn(raw); return err }},
		{name: "roles", items: maxRoles, set: setRoles},
		{name: "access_rules", items: maxRules, set: setRules},
		{name: "user_id"}, {name: "project_id"}, {name: "system"}, // the caller's, whatever is given
	}
}

func (q *request) setExpiry(n *newCredential, raw json.RawMessage) error {
	s, err := textOrNull("expires_at", raw)
	if err != nil || s == "" {
		return err
	}
	t, err := time.Parse("2006-01-02T15:04:05", strings.TrimSuffix(s, "Z")) // with fractions, too
	if err != nil {
		return badRequest("Timestamp not in expected format. " + incorrect)
	}
	if t.Before(q.s.now()) {
		return badRequest("The 'expires_at' must not be before now. " + incorrect)
	}
	at := t.UnixMicro()
	n.credential.Expires = &at
	return nil
}

func setRoles(n *newCredential, raw json.RawMessage) error {
	list, err := objects("roles", raw)
	if err != nil {
		return err
	}
	for _, o := range list {
		var r named
		for k, at := range map[string]*string{"id": &r.ID, "name": &r.Name} {
			if raw, given := o[k]; given {
				if *at, err = text("roles/"+k, raw); err != nil {
					return err
				}
			}
		}
		if len(o) != 1 || r.ID+r.Name == "" {
			return invalid("roles", "each has an id or a name and nothing else")
		}
		n.roles = append(n.roles, r)
	}
	return nil
}

func setRules(n *newCredential, raw json.RawMessage) error {
	list, err := objects("access_rules", raw)
	if err != nil {
		return err
	}
	for _, o := range list {
		var r weft.AccessRule
		known := map[string]*string{"id": &r.ID, "service": &r.Service, "method": &r.Method, "path": &r.Path}
		for k, raw := range o {
			at := known[k]
			if at == nil {
				return invalid("access_rules", "Additional properties are not allowed ('%s' was unexpected)", k)
			}
			if *at, err = text("access_rules/"+k, raw); err != nil {
				return err
			}
		}
		if err := checkRule(&r); err != nil {
			return err
		}
		n.rules = append(n.rules, r)
	}
	return nil
}

func checkRule(r *weft.AccessRule) error {
	methods := []string{"POST", "GET", "HEAD", "PATCH", "PUT", "DELETE"}
	switch {
	case r.ID != "" && r.Service+r.Method+r.Path == "":
		return nil // of the user's
	case r.ID != "":
		return invalid("access_rules", "a rule is given by its id or by what it says")
	case r.Service == "" || len(r.Service) > 64:
		return invalid("access_rules/service", "'%s' is not the type of a service", cut(r.Service))
	case !slices.Contains(methods, r.Method):
		return invalid("access_rules/method", "'%s' does not match '^(POST|GET|HEAD|PATCH|PUT|DELETE)$'", cut(r.Method))
	case !strings.HasPrefix(r.Path, "/"):
		return invalid("access_rules/path", "'%s' does not match '^\\/.*'", cut(r.Path))
	case len(r.Path) > 225:
		return invalid("access_rules/path", "'%s' is too long", cut(r.Path))
	}
	return nil
}

// objects decodes a list of objects; null is none.
func objects(field string, raw json.RawMessage) ([]map[string]json.RawMessage, error) {
	var list []map[string]json.RawMessage
	if json.Unmarshal(raw, &list) != nil || slices.ContainsFunc(list, func(o map[string]json.RawMessage) bool { return o == nil }) {
		return nil, invalid(field, "%s is not of type 'array'", repr(raw))
	}
	return list, nil
}

// hashSecret makes up the secret if none is given. That one cannot be guessed, so
// that its hash need not be slow.
func (q *request) hashSecret(n *newCredential) (string, error) {
	if n.secret != "" {
		return q.s.vault.hash(q.ctx(), n.secret)
	}
	var b [64]byte
	rand.Read(b[:]) // never fails
	n.secret = base64.RawURLEncoding.EncodeToString(b[:])
	hash, err := bcrypt.GenerateFromPassword(digestible(n.secret), bcrypt.MinCost)
	return string(hash), err
}

func (q *request) insertCredential(tx *store.Tx, n *newCredential, hash string) error {
	c := &n.credential
	if _, err := users().get(tx, c.UserID); err != nil { // deleted meanwhile
		return err
	}
	taken, err := store.ApplicationCredentials.Count(tx, store.Eq("user_id", c.UserID), store.Eq("name", c.Name))
	if err != nil {
		return err
	}
	if taken > 0 {
		return conflict("application_credential", "Duplicate entry found with name "+c.Name)
	}
	if c.RoleIDs, err = q.chosenRoles(tx, n.roles); err != nil {
		return err
	}
	c.Rules = nil
	for _, r := range n.rules {
		id, err := ensureRule(tx, c.UserID, r)
		if err != nil {
			return err
		}
		if !slices.Contains(c.Rules, id) {
			c.Rules = append(c.Rules, id)
		}
	}
	if err := store.ApplicationCredentials.Insert(tx, c); err != nil {
		return err
	}
	return tx.SetSecret(c.ID, hash)
}

// chosenRoles is the ids of roles, which the caller's token must have.
func (q *request) chosenRoles(tx *store.Tx, chosen []named) ([]string, error) {
	var ids []string
	if len(chosen) == 0 {
		for _, r := range q.grant.roles {
			ids = append(ids, r.ID)
		}
		return ids, nil
	}
	for _, r := range chosen {
		if r.ID == "" {
			found, err := store.Roles.First(tx, store.Eq("name", r.Name), store.Eq("domain_id", ""))
			if err != nil {
				return nil, err
			}
			if found == nil {
				return nil, weft.Errorf(weft.NotFound, "RoleNotFound", "Role %s is not defined", r.Name)
			}
			r.ID = found.ID
		}
		if !slices.ContainsFunc(q.grant.roles, func(has named) bool { return has.ID == r.ID }) {
			return nil, badRequest("Invalid application credential: Cannot create an application credential with unassigned role")
		}
		if !slices.Contains(ids, r.ID) {
			ids = append(ids, r.ID)
		}
	}
	return ids, nil
}

// ensureRule is the id of the user's rule that r names or says, which is made if
// there is none that says the same.
func ensureRule(tx *store.Tx, userID string, r weft.AccessRule) (string, error) {
	where := []store.Cond{store.Eq("user_id", userID)}
	if r.ID != "" {
		where = append(where, store.Eq("id", r.ID))
	} else {
		where = append(where, store.Eq("service", r.Service), store.Eq("method", r.Method), store.Eq("path", r.Path))
	}
	is, err := store.AccessRules.First(tx, where...)
	switch {
	case err != nil:
		return "", err
	case is != nil:
		return is.ID, nil
	case r.ID != "":
		return "", notFound("Access Rule", r.ID)
	}
	r.ID, r.UserID = newID(), userID
	return r.ID, store.AccessRules.Insert(tx, &r)
}
