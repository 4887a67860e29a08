package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/authtoken"
	"github.com/weftnet/weft/internal/store"
)

// named is what tokens show of a role.
type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// grant is a token and what it stands for. It is shared and never changed.
type grant struct {
	claims
	user       *weft.User
	userDomain *weft.Domain
	project    *weft.Project // of a project's token
	domain     *weft.Domain  // the project's, or of a domain's token
	roles      []named
	appCred    *weft.ApplicationCredential // that the token was made of
	rules      []weft.AccessRule           // the only requests it is good for; nil: all
	caller     weft.Caller
	subject    *authtoken.Subject // the same, as others need it
}

// resolve is what a token stands for now, or stood for when it ended if it may be
// late, or weft.Unauthorized.
func (s *Service) resolve(ctx context.Context, token string, late bool) (*grant, error) {
	now := s.now()
	if g := s.cache.get(token, now); g != nil {
		return g, nil
	}
	generation := s.cache.generation.Load()
	g, err := s.lookUp(ctx, token, late)
	if errors.Is(err, errDenied) {
		s.log.DebugContext(ctx, "token refused", "reason", err)
		return nil, unauthorized()
	}
	if err != nil {
		return nil, fmt.Errorf("looking up a token: %w", err)
	}
	s.cache.put(token, g, generation, now)
	return g, nil
}

func (s *Service) lookUp(ctx context.Context, token string, late bool) (*grant, error) {
	c, err := s.sealer.open(token)
	if err != nil {
		return nil, err
	}
	if end := c.expires; !s.now().Before(end) && !(late && s.now().Before(end.Add(lateWindow))) {
		return nil, denied("expired")
	}
	tx := s.db.Read(ctx, nil)
	revoked, err := store.Revocations.Count(tx, store.Eq("id", c.audit.String()))
	if err != nil {
		return nil, err
	}
	if revoked > 0 {
		return nil, denied("given back")
	}
	g, err := s.appraise(tx, c)
	if err != nil {
		return nil, err
	}
	if g.epoch != c.epoch {
		return nil, denied("issued before a change of its user, project or domain")
	}
	g.claims = *c
	g.subject = &authtoken.Subject{Caller: g.caller, Expires: c.expires, Rules: g.rules}
	return g, nil
}

// appraise is what the user of claims may claim for their scope, by means of their
// application credential if they have one: everything of a grant but what is
// particular to one token. It refuses with errDenied whoever is missing, disabled
// or without a role there.
func (s *Service) appraise(tx *store.Tx, c *claims) (*grant, error) {
	userID, sc := c.userID, c.scope
	g := &grant{claims: claims{userID: userID, scope: sc, credential: c.credential}}
	var err error
	if g.user, err = present(store.Users.Get(tx, userID)); err != nil {
		return nil, err
	}
	if g.userDomain, err = present(store.Domains.Get(tx, g.user.DomainID)); err != nil {
		return nil, err
	}
	if !g.user.Enabled || !g.userDomain.Enabled {
		return nil, denied("user %s or its domain is disabled", userID)
	}
	g.epoch = g.user.Epoch + g.userDomain.Epoch
	if sc.kind != "" {
		if err := g.enterScope(tx); err != nil {
			return nil, err
		}
	}
	if c.credential != "" {
		if err := s.limit(tx, g, c.credential); err != nil {
			return nil, err
		}
	}
	g.caller = g.asCaller()
	return g, nil
}

func (g *grant) enterScope(tx *store.Tx) error {
	var err error
	domainID := g.scope.id
	switch g.scope.kind {
	case weft.TargetProject:
		if g.project, err = present(store.Projects.Get(tx, g.scope.id)); err != nil {
			return err
		}
		if !g.project.Enabled {
			return denied("project %s is disabled", g.scope.id)
		}
		g.epoch += g.project.Epoch
		domainID = g.project.DomainID
		fallthrough
	case weft.TargetDomain:
		if g.domain, err = present(store.Domains.Get(tx, domainID)); err != nil {
			return err
		}
		if !g.domain.Enabled {
			return denied("domain %s is disabled", domainID)
		}
		g.epoch += g.domain.Epoch
	}
	if g.roles, err = rolesOf(tx, g.userID, g.scope); err != nil {
		return err
	}
	if len(g.roles) == 0 {
		return denied("user %s has no role on %s %s", g.userID, g.scope.kind, g.scope.id)
	}
	return nil
}

// present turns the absence of a noun into a reason for refusal.
func present[T any](v *T, err error) (*T, error) {
	if weft.IsKind(err, weft.NotFound) {
		return nil, denied("%w", err)
	}
	return v, err
}

func (g *grant) asCaller() weft.Caller {
	c := weft.Caller{UserID: g.user.ID, UserName: g.user.Name, UserDomainID: g.user.DomainID}
	switch g.scope.kind {
	case weft.TargetProject:
		c.ProjectID, c.ProjectName = g.project.ID, g.project.Name
	case weft.TargetDomain:
		c.DomainID = g.domain.ID
	case weft.TargetSystem:
		c.System = true
	}
	for _, r := range g.roles {
		c.Roles = append(c.Roles, r.Name)
	}
	return c
}

// heldBy is the condition on a role assignment that it is the user's, or of a
// group the user is in.
func heldBy(userID string) store.Cond {
	return store.Where(`t.actor_type = 'user' AND t.actor_id = ? OR t.actor_type = 'group' AND t.actor_id IN
		(SELECT m.group_id FROM group_members m WHERE m.user_id = ?)`, userID, userID)
}

// rolesOf is the roles of a user on a target with those they imply, by name.
func rolesOf(tx *store.Tx, userID string, on scope) ([]named, error) {
	assigned, err := store.RoleAssignments.Find(tx, store.Eq("target_id", on.id), store.Eq("target_type", on.kind), heldBy(userID))
	if err != nil || len(assigned) == 0 {
		return nil, err
	}
	all, err := roleIndex(tx)
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, a := range assigned {
		all.imply(a.RoleID, ids)
	}
	var roles []named
	for id := range ids {
		// A domain's role counts for what it implies, not for its name, which anybody
		// could think is that of a role of the whole cloud.
		if r := all[id]; r.DomainID == "" {
			roles = append(roles, named{id, r.Name})
		}
	}
	slices.SortFunc(roles, func(a, b named) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return roles, nil
}

// rolesByID is all roles.
type rolesByID map[string]*weft.Role

func roleIndex(tx *store.Tx) (rolesByID, error) {
	list, err := store.Roles.Find(tx)
	if err != nil {
		return nil, err
	}
	index := make(rolesByID, len(list))
	for _, r := range list {
		index[r.ID] = r
	}
	return index, nil
}

// imply adds a role and all that it implies to a set. Circles do no harm.
func (rs rolesByID) imply(id string, into map[string]bool) {
	r := rs[id]
	if r == nil || into[id] {
		return
	}
	into[id] = true
	for _, next := range r.Implies {
		rs.imply(next, into)
	}
}
