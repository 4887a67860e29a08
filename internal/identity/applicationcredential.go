package identity

import (
	"net/http"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// within reports whether rules of the caller's token allow the request. Any token
// may be looked at.
func (q *request) within(rules []weft.AccessRule) bool {
	if rules == nil || q.r.Method == http.MethodGet && q.r.URL.Path == "/v3/auth/tokens" {
		return true
	}
	return permits(rules, q.r)
}

// dropCredentials deletes application credentials.
func dropCredentials(tx *store.Tx, where ...store.Cond) error {
	list, err := store.ApplicationCredentials.Find(tx, where...)
	for _, c := range list {
		if err == nil {
			err = store.ApplicationCredentials.Delete(tx, c)
		}
	}
	return err
}

// dropCredentialsOf deletes all of a user's, with the rules.
func dropCredentialsOf(tx *store.Tx, userID string) error {
	if err := dropCredentials(tx, store.Eq("user_id", userID)); err != nil {
		return err
	}
	rules, err := store.AccessRules.Find(tx, store.Eq("user_id", userID))
	for _, r := range rules {
		if err == nil {
			err = store.AccessRules.Delete(tx, r)
		}
	}
	return err
}

func (m router) applicationCredentials() {
	path := "/v3/users/{user}/application_credentials"
	m.closed("GET "+path, (*request).listCredentials)
	m.closed("POST "+path, (*request).createCredential)
	m.closed("GET "+path+"/{id}", (*request).showCredential)
	m.closed("DELETE "+path+"/{id}", (*request).deleteCredential)
	path = "/v3/users/{user}/access_rules"
	m.closed("GET "+path, (*request).listRules)
	m.closed("GET "+path+"/{id}", (*request).showRule)
	m.closed("DELETE "+path+"/{id}", (*request).deleteRule)
}

// self reports whether the request is about the caller's own.
func (q *request) self() bool { return q.r.PathValue("user") == q.grant.userID }

// mayManage refuses to those who came by an application credential what would make
// another of it, unless theirs is unrestricted.
func (q *request) mayManage() error {
	if c := q.grant.appCred; c != nil && !unrestricted(c) {
		return weft.Errorf(weft.Forbidden, "ForbiddenAction", "You are not authorized to perform the requested action: "+
			"Using method 'application_credential' is not allowed for managing additional application credentials..")
	}
	return nil
}

func (q *request) listCredentials() error {
	if err := q.mayRead("list_application_credentials", q.self()); err != nil {
		return err
	}
	tx := q.read()
	where := []store.Cond{store.Eq("user_id", q.r.PathValue("user"))}
	if q.query.Has("name") {
		where = append(where, store.Eq("name", q.query.Get("name")))
	}
	list, err := store.ApplicationCredentials.Find(tx, where...)
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b *weft.ApplicationCredential) int { return strings.Compare(a.Name, b.Name) })
	views := make([]any, 0, len(list))
	for _, c := range list {
		v, err := q.credentialView(tx, c)
		if err != nil {
			return err
		}
		views = append(views, v)
	}
	return q.replyList("application_credentials", views)
}

// credential is the one that the path names.
func (q *request) credential(tx *store.Tx) (*weft.ApplicationCredential, error) {
	id := q.r.PathValue("id")
	c, err := store.ApplicationCredentials.Get(tx, id)
	if weft.IsKind(err, weft.NotFound) || err == nil && c.UserID != q.r.PathValue("user") {
		return nil, notFound("Application Credential", id)
	}
	return c, err
}

func (q *request) showCredential() error {
	if err := q.mayRead("get_application_credential", q.self()); err != nil {
		return err
	}
	c, err := q.credential(q.read())
	if err != nil {
		return err
	}
	v, err := q.credentialView(q.read(), c)
	if err != nil {
		return err
	}
	return q.reply(http.StatusOK, map[string]any{"application_credential": v})
}

func (q *request) deleteCredential() error {
	if err := q.mayWriteOwn("delete_application_credential"); err != nil {
		return err
	}
	err := q.update(func(tx *store.Tx) error {
		c, err := q.credential(tx)
		if err != nil {
			return err
		}
		return store.ApplicationCredentials.Delete(tx, c)
	})
	if err != nil {
		return err
	}
	return q.done()
}

// mayWriteOwn refuses all but administrators and those whose own it is.
func (q *request) mayWriteOwn(action string) error {
	if !q.self() {
		if err := q.mayWrite(action); err != nil {
			return err
		}
	}
	return q.mayManage()
}

// credentialView is a credential as clients see it, without the secret.
func (q *request) credentialView(tx *store.Tx, c *weft.ApplicationCredential) (map[string]any, error) {
	roles := []any{}
	for _, id := range c.RoleIDs {
		r, err := store.Roles.Get(tx, id)
		if weft.IsKind(err, weft.NotFound) {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		v := roleResource().render(q, r)
		delete(v, "links")
		roles = append(roles, v)
	}
	rules, err := rulesOf(tx, c)
	if err != nil {
		return nil, err
	}
	v := map[string]any{"id": c.ID, "name": c.Name, "description": c.Description, "user_id": c.UserID, "project_id": c.ProjectID,
		"system": nil, "expires_at": nil, "unrestricted": c.Unrestricted, "roles": roles,
		"links": map[string]any{"self": q.url("application_credentials/" + c.ID)}}
	if end := ending(c); !end.IsZero() {
		v["expires_at"] = end.Format("2006-01-02T15:04:05.000000")
	}
	if len(rules) > 0 {
		v["access_rules"] = ruleViews(rules)
	}
	return v, nil
}
