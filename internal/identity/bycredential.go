package identity

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func unrestricted(c *weft.ApplicationCredential) bool {
	return c.Unrestricted != nil && *c.Unrestricted
}

// ending is when a credential ends; zero is never, as of no credential.
func ending(c *weft.ApplicationCredential) time.Time {
	if c == nil || c.Expires == nil {
		return time.Time{}
	}
	return time.UnixMicro(*c.Expires).UTC()
}

// proveByCredential is as checkPassword: what is not there and what is wrong take
// equally long and look alike.
func (s *Service) proveByCredential(ctx context.Context, from string, ref *credentialRef) (proof, error) {
	tx := s.db.Read(ctx, nil)
	c, err := findCredential(tx, ref)
	if err != nil && !errors.Is(err, errDenied) {
		return proof{}, err
	}
	hash, who := "", login{from, userRef{ref.id, ref.name, ref.user.domain}.key()}
	if c != nil {
		who.user = c.ID
		if hash, err = tx.Secret(c.ID); err != nil {
			return proof{}, err
		}
	}
	ok, err := s.vault.check(ctx, who, hash, ref.secret)
	switch {
	case err != nil:
		return proof{}, err
	case c == nil:
		return proof{}, denied("no such application credential")
	case !ok:
		return proof{}, denied("wrong secret for application credential %s", c.ID)
	}
	u, err := present(store.Users.Get(tx, c.UserID))
	if err != nil {
		return proof{}, err
	}
	return proof{userID: u.ID, epoch: u.Epoch, methods: byCredential, credential: c}, nil
}

func findCredential(tx *store.Tx, ref *credentialRef) (*weft.ApplicationCredential, error) {
	if ref.id != "" {
		return present(store.ApplicationCredentials.Get(tx, ref.id))
	}
	u, err := findUser(tx, ref.user)
	if err != nil {
		return nil, err
	}
	return first(store.ApplicationCredentials.First(tx, store.Eq("user_id", u.ID), store.Eq("name", ref.name)))
}

// limit reduces a grant to what an application credential is good for: its roles,
// as far as the user still has them, and its rules.
func (s *Service) limit(tx *store.Tx, g *grant, id string) error {
	c, err := present(store.ApplicationCredentials.Get(tx, id))
	if err != nil {
		return err
	}
	if end := ending(c); !end.IsZero() && !s.now().Before(end) {
		return denied("application credential %s has ended", id)
	}
	if c.UserID != g.userID || g.scope != (scope{weft.TargetProject, c.ProjectID}) {
		return denied("application credential %s is for another user or project", id)
	}
	g.roles = slices.DeleteFunc(g.roles, func(r named) bool { return !slices.Contains(c.RoleIDs, r.ID) })
	if len(g.roles) == 0 {
		return denied("application credential %s has no role left", id)
	}
	g.appCred = c
	g.rules, err = rulesOf(tx, c)
	return err
}

// rulesOf is the access rules of a credential.
func rulesOf(tx *store.Tx, c *weft.ApplicationCredential) ([]weft.AccessRule, error) {
	var rules []weft.AccessRule
	for _, id := range c.Rules {
		r, err := store.AccessRules.Get(tx, id)
		if err != nil {
			return nil, err
		}
		rules = append(rules, *r)
	}
	return rules, nil
}
