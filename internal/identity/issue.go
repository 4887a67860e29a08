package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// checkPassword is the user of a name and password. Wrong names, wrong passwords
// and users without one are refused alike and equally slowly, with errDenied.
func (s *Service) checkPassword(ctx context.Context, from string, ref userRef, password string) (*weft.User, error) {
	tx := s.db.Read(ctx, nil)
	u, err := findUser(tx, ref)
	if err != nil && !errors.Is(err, errDenied) {
		return nil, err
	}
	hash, who := "", login{from, ref.key()}
	if u != nil {
		who.user = u.ID
		// The hash is read after the user: should the password change in between, then
		// what is issued has the old epoch and is worthless.
		if hash, err = tx.Password(u.ID); err != nil {
			return nil, err
		}
	}
	ok, err := s.vault.check(ctx, who, hash, password)
	switch {
	case err != nil:
		return nil, err
	case u == nil:
		return nil, denied("no such user")
	case !ok:
		return nil, denied("wrong password for user %s", u.ID)
	}
	return u, nil
}

func findUser(tx *store.Tx, ref userRef) (*weft.User, error) {
	if ref.id != "" {
		return present(store.Users.Get(tx, ref.id))
	}
	d, err := findDomain(tx, ref.domain)
	if err != nil {
		return nil, err
	}
	return first(store.Users.First(tx, store.Eq("domain_id", d.ID), store.Eq("name", ref.name)))
}

func findDomain(tx *store.Tx, ref domainRef) (*weft.Domain, error) {
	if ref.id != "" {
		return present(store.Domains.Get(tx, ref.id))
	}
	return first(store.Domains.First(tx, store.Eq("name", ref.name)))
}

func findProject(tx *store.Tx, ref projectRef) (*weft.Project, error) {
	if ref.id != "" {
		return present(store.Projects.Get(tx, ref.id))
	}
	d, err := findDomain(tx, ref.domain)
	if err != nil {
		return nil, err
	}
	return first(store.Projects.First(tx, store.Eq("domain_id", d.ID), store.Eq("name", ref.name)))
}

// first turns nil into a reason for refusal.
func first[T any](v *T, err error) (*T, error) {
	if err == nil && v == nil {
		return nil, denied("no such name")
	}
	return v, err
}

// proof is what speaks for a user.
type proof struct {
	userID  string
	epoch   int64 // of the user when the proof was good
	methods byte
	parent  audit     // of the token exchanged
	expires time.Time // likewise

	credential *weft.ApplicationCredential // which decides on the scope, too
}

// issue judges a request for a token: errDenied, or what the token stands for and
// the token.
func (s *Service) issue(ctx context.Context, a *authRequest) (*grant, string, error) {
	p, err := s.prove(ctx, a)
	if err != nil {
		return nil, "", err
	}
	g, err := s.choose(ctx, p, a)
	if err != nil {
		return nil, "", err
	}
	if g.user.Epoch != p.epoch {
		return nil, "", denied("user %s changed meanwhile", p.userID)
	}
	g.methods, g.parent = p.methods, p.parent
	g.issued = s.now().UTC().Truncate(time.Microsecond)
	g.expires = g.issued.Add(s.ttl)
	if !p.expires.IsZero() {
		g.expires = p.expires // an exchange does not prolong
	}
	if end := ending(p.credential); !end.IsZero() && end.Before(g.expires) {
		g.expires = end
	}
	rand.Read(g.audit[:]) // never fails
	token, err := s.sealer.seal(&g.claims)
	return g, token, err
}

// prove goes through the methods of a request, which must agree on the user.
func (s *Service) prove(ctx context.Context, a *authRequest) (p proof, err error) {
	for _, method := range a.methods {
		var next proof
		switch method {
		case "token":
			next, err = s.proveByToken(ctx, a.token)
		case "application_credential":
			next, err = s.proveByCredential(ctx, a.from, &a.credential)
		default:
			next, err = s.proveByPassword(ctx, a)
		}
		if err != nil {
			return p, err
		}
		if p.userID != "" && (p.userID != next.userID || p.epoch != next.epoch) {
			return p, denied("the methods name different users")
		}
		next.methods |= p.methods
		if next.expires.IsZero() {
			next.parent, next.expires = p.parent, p.expires
		}
		if next.credential == nil {
			next.credential = p.credential
		}
		p = next
	}
	if p.userID == "" {
		return p, denied("no method")
	}
	return p, nil
}

func (s *Service) proveByPassword(ctx context.Context, a *authRequest) (proof, error) {
	u, err := s.checkPassword(ctx, a.from, a.user, a.password)
	if err != nil {
		return proof{}, err
	}
	return proof{userID: u.ID, epoch: u.Epoch, methods: byPassword}, nil
}

func (s *Service) proveByToken(ctx context.Context, token string) (proof, error) {
	g, err := s.resolve(ctx, token, false)
	if err != nil {
		return proof{}, err
	}
	if g.appCred != nil { // it would be good for more than the credential
		return proof{}, weft.Errorf(weft.NotFound, "TokenNotFound", "Failed to validate token")
	}
	return proof{userID: g.userID, epoch: g.user.Epoch, methods: g.methods | byToken, parent: g.audit, expires: g.expires}, nil
}

// choose finds the scope that a request means: the one it names, or the user's
// default project if that can be had, or none.
func (s *Service) choose(ctx context.Context, p proof, a *authRequest) (*grant, error) {
	tx := s.db.Read(ctx, nil)
	if c := p.credential; c != nil {
		return s.appraise(tx, &claims{userID: p.userID, scope: scope{weft.TargetProject, c.ProjectID}, credential: c.ID})
	}
	sc, err := findScope(tx, a)
	if err != nil {
		return nil, err
	}
	g, err := s.appraise(tx, &claims{userID: p.userID, scope: sc})
	if err != nil || a.scope != "" || g.user.DefaultProjectID == "" {
		return g, err
	}
	there, err := s.appraise(tx, &claims{userID: p.userID, scope: scope{weft.TargetProject, string(g.user.DefaultProjectID)}})
	if errors.Is(err, errDenied) {
		return g, nil
	}
	return there, err
}

func findScope(tx *store.Tx, a *authRequest) (scope, error) {
	switch a.scope {
	case weft.TargetProject:
		p, err := findProject(tx, a.project)
		if err != nil {
			return scope{}, err
		}
		return scope{a.scope, p.ID}, nil
	case weft.TargetDomain:
		d, err := findDomain(tx, a.inDomain)
		if err != nil {
			return scope{}, err
		}
		return scope{a.scope, d.ID}, nil
	case weft.TargetSystem:
		return scope{a.scope, wholeSystem}, nil
	}
	return scope{}, nil
}

// wholeSystem is the id of the one target of its type.
const wholeSystem = "all"

// setPassword keeps a new password, unless the user has changed since expected was
// read.
func (s *Service) setPassword(ctx context.Context, caller *weft.Caller, userID, hash string, expected int64) error {
	return s.update(ctx, caller, func(tx *store.Tx) error {
		u, err := present(store.Users.Get(tx, userID))
		if err != nil {
			return err
		}
		if u.Epoch != expected {
			return conflict("user", "The user was changed meanwhile")
		}
		u.Epoch++
		if err := store.Users.Update(tx, u); err != nil {
			return err
		}
		return tx.SetPassword(userID, hash)
	})
}
