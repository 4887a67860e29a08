package identity

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func (m router) auth() {
	m.open("POST /v3/auth/tokens", (*request).issueToken)
	m.closed("GET /v3/auth/tokens", (*request).showToken)
	m.closed("DELETE /v3/auth/tokens", (*request).revokeToken)
	m.closed("GET /v3/auth/catalog", (*request).showCatalogue)
	m.closed("GET /v3/auth/projects", func(q *request) error { return q.listReachable(q.grant.userID, nil) })
	m.closed("GET /v3/auth/domains", (*request).listDomains)
	m.closed("GET /v3/auth/system", (*request).listSystem)
}

// refusal is what the client may know of an error: of a denial, nothing. The
// reason goes to the log, which is where an operator looks for break-in attempts.
func (q *request) refusal(err error) error {
	if !errors.Is(err, errDenied) {
		return err
	}
	q.s.log.InfoContext(q.ctx(), "authentication refused", "reason", err, "from", q.r.RemoteAddr, "request", q.id)
	return unauthorized()
}

func (q *request) issueToken() error {
	body, err := q.rawBody()
	if err != nil {
		return err
	}
	a, err := parseAuth(body)
	if err != nil {
		return err
	}
	a.from = origin(q.r.RemoteAddr)
	g, token, err := q.s.issue(q.ctx(), a)
	if err != nil {
		return q.refusal(err)
	}
	return q.replyToken(http.StatusCreated, g, token)
}

// subject is the token that a request is about. Those who may not ask after others
// may after their own.
func (q *request) subject(action string, others bool) (*grant, string, error) {
	token := q.r.Header.Get("X-Subject-Token")
	if token == "" {
		return nil, "", badRequest("The header X-Subject-Token is missing.")
	}
	g, err := q.s.resolve(q.ctx(), token, q.flag("allow_expired"))
	own := err == nil && g.userID == q.grant.userID
	if !own && !others {
		return nil, "", forbidden("identity:" + action)
	}
	if weft.IsKind(err, weft.Unauthorized) {
		return nil, "", weft.Errorf(weft.NotFound, "TokenNotFound", "Failed to validate token")
	}
	return g, token, err
}

func (q *request) showToken() error {
	c := &q.grant.caller
	others := c.HasRole(weft.RoleAdmin) || c.HasRole(weft.RoleService) || c.System && c.HasRole(weft.RoleReader)
	g, token, err := q.subject("validate_token", others)
	if err != nil {
		return err
	}
	// Who does not know of access rules would take the token for one without.
	if version, err := strconv.ParseFloat(q.r.Header.Get("Openstack-Identity-Access-Rules"), 64); len(g.rules) > 0 && (err != nil || version < 1) {
		return weft.Errorf(weft.NotFound, "TokenNotFound", "Failed to validate token")
	}
	return q.replyToken(http.StatusOK, g, token)
}

func (q *request) revokeToken() error {
	g, _, err := q.subject("revoke_token", q.grant.caller.HasRole(weft.RoleAdmin))
	if err != nil {
		return err
	}
	r := &weft.Revocation{Expires: g.expires.Add(lateWindow).Unix() + 1}
	r.ID = g.audit.String()
	err = q.update(func(tx *store.Tx) error {
		// Two may give the same token back at once.
		if n, err := store.Revocations.Count(tx, store.Eq("id", r.ID)); err != nil || n > 0 {
			return err
		}
		// An hour's grace for servers whose clocks differ.
		if err := tx.ForgetRevocations(q.s.now().Add(-time.Hour)); err != nil {
			return err
		}
		return store.Revocations.Insert(tx, r)
	})
	if err != nil {
		return err
	}
	return q.done()
}

// domainName is a domain as tokens show it.
type domainName = named

// inDomain is a user or a project as tokens show it.
type inDomain struct {
	ID     string     `json:"id"`
	Name   string     `json:"name"`
	Domain domainName `json:"domain"`
}

// tokenView is a token as clients see it.
type tokenView struct {
	Methods   []string        `json:"methods"`
	User      map[string]any  `json:"user"`
	AuditIDs  []string        `json:"audit_ids"`
	ExpiresAt string          `json:"expires_at"`
	IssuedAt  string          `json:"issued_at"`
	Project   *inDomain       `json:"project,omitempty"`
	IsDomain  *bool           `json:"is_domain,omitempty"`
	Domain    *domainName     `json:"domain,omitempty"`
	System    map[string]bool `json:"system,omitempty"`
	Roles     []named         `json:"roles,omitempty"`
	Catalog   []catalogEntry  `json:"catalog,omitempty"`
	AppCred   map[string]any  `json:"application_credential,omitempty"`
}

func (g *grant) view() tokenView {
	v := tokenView{
		Methods: g.methodNames(), AuditIDs: g.auditIDs(), Roles: g.roles,
		ExpiresAt: stamp(g.expires), IssuedAt: stamp(g.issued),
		User: map[string]any{"id": g.user.ID, "name": g.user.Name, "password_expires_at": nil,
			"domain": domainName{g.userDomain.ID, g.userDomain.Name}},
	}
	switch g.scope.kind {
	case weft.TargetProject:
		v.Project = &inDomain{ID: g.project.ID, Name: g.project.Name, Domain: domainName{g.domain.ID, g.domain.Name}}
		v.IsDomain = new(bool)
	case weft.TargetDomain:
		v.Domain = &domainName{g.domain.ID, g.domain.Name}
	case weft.TargetSystem:
		v.System = map[string]bool{"all": true}
	}
	if c := g.appCred; c != nil {
		v.AppCred = map[string]any{"id": c.ID, "name": c.Name, "restricted": !unrestricted(c)}
		if len(g.rules) > 0 {
			v.AppCred["access_rules"] = ruleViews(g.rules)
		}
	}
	return v
}

// stamp is a time as Keystone writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func (q *request) replyToken(status int, g *grant, token string) error {
	v := g.view()
	if !q.query.Has("nocatalog") && g.scope.kind != "" {
		var err error
		if v.Catalog, err = loadCatalogue(q.read(), g.scope); err != nil {
			return err
		}
	}
	q.w.Header().Set("X-Subject-Token", token)
	return q.reply(status, map[string]any{"token": v})
}

// listReachable lists the enabled projects a user has a role on.
func (q *request) listReachable(userID string, where []store.Cond) error {
	held := heldBy(userID)
	reach := store.Where("t.id IN (SELECT t.target_id FROM role_assignments t WHERE t.target_type = 'project' AND ("+held.SQL+"))", held.Args...)
	rs := projects()
	list, err := rs.find(q.read(), append(where, reach, store.Eq("enabled", 1))...)
	if err != nil {
		return err
	}
	return q.replyList("projects", rs.renderAll(q, list))
}

func (q *request) listDomains() error {
	held := heldBy(q.grant.userID)
	rs := domains()
	list, err := rs.find(q.read(), store.Eq("enabled", 1),
		store.Where("t.id IN (SELECT t.target_id FROM role_assignments t WHERE t.target_type = 'domain' AND ("+held.SQL+"))", held.Args...))
	if err != nil {
		return err
	}
	return q.replyList("domains", rs.renderAll(q, list))
}

func (q *request) listSystem() error {
	n, err := store.RoleAssignments.Count(q.read(), store.Eq("target_type", weft.TargetSystem), heldBy(q.grant.userID))
	if err != nil {
		return err
	}
	list := []any{}
	if n > 0 {
		list = append(list, map[string]any{"all": true})
	}
	return q.replyList("system", list)
}
