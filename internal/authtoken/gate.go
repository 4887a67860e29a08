package authtoken

import (
	"context"
	"slices"
	"time"

	"github.com/weftnet/weft"
)

// Subject is what a token stands for. It is shared and never changed.
type Subject struct {
	Caller  weft.Caller
	Expires time.Time
	Rules   []weft.AccessRule // the only requests it is good for; nil: all
}

// Source knows tokens. Look refuses with weft.Unauthorized a token that is good for
// nothing, and with weft.Unavailable if that cannot be found out now. Tokens that
// have expired are known only if late, and only if that was not long ago.
type Source interface {
	Look(ctx context.Context, token string, late bool) (*Subject, error)
}

// Config is what a Gate is made of.
type Config struct {
	Source        Source           // required
	ServiceRoles  []string         // one of them makes a service's token one
	RolesRequired bool             // whether other tokens are refused in place of a service's
	ServiceType   string           // of this service, as access rules name it
	Now           func() time.Time // for tests; nil is the wall clock
}

// Gate lets requests in.
type Gate struct{ Config }

// New makes a gate.
func New(c Config) *Gate {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Gate{c}
}

// Admit is who sends a request, or weft.Unauthorized, or another error of the
// source. The caller may be shared by requests: copy it before changing it.
func (g *Gate) Admit(ctx context.Context, c weft.Credentials) (*weft.Caller, error) {
	service, err := g.service(ctx, c)
	if err != nil {
		return nil, err
	}
	trusted := service != nil && g.trusts(service)
	s, err := g.look(ctx, c.Token, trusted)
	if err != nil {
		return nil, err
	}
	// What a service passes on is not what the rules of its user are about. But
	// anybody can repeat his own token as that of a service: only trust lifts rules.
	if !trusted && !g.permits(s, c) {
		return nil, Unauthorized()
	}
	if service == nil {
		return &s.Caller, nil
	}
	caller := s.Caller
	caller.ServiceRoles = service.Caller.Roles
	return &caller, nil
}

// service is the sender of the service's token, nil if there is none. Rules of that
// token itself hold like those of any other.
func (g *Gate) service(ctx context.Context, c weft.Credentials) (*Subject, error) {
	if c.ServiceToken == "" {
		return nil, nil
	}
	s, err := g.look(ctx, c.ServiceToken, false)
	if err != nil {
		return nil, err
	}
	if g.RolesRequired && !g.trusts(s) || !g.permits(s, c) {
		return nil, Unauthorized()
	}
	return s, nil
}

// trusts reports whether a token is that of a service.
func (g *Gate) trusts(s *Subject) bool { return slices.ContainsFunc(g.ServiceRoles, s.Caller.HasRole) }

func (g *Gate) permits(s *Subject, c weft.Credentials) bool {
	return Permits(s.Rules, g.ServiceType, c.Method, c.Path)
}

func (g *Gate) look(ctx context.Context, token string, late bool) (*Subject, error) {
	if token == "" {
		return nil, Unauthorized()
	}
	s, err := g.Source.Look(ctx, token, late)
	if err == nil && !late && !g.Now().Before(s.Expires) {
		return nil, Unauthorized()
	}
	return s, err
}

// Permits reports whether a request to a service is within rules; nil is no rules,
// and all requests.
func Permits(rules []weft.AccessRule, serviceType, method, path string) bool {
	return rules == nil || slices.ContainsFunc(rules, func(r weft.AccessRule) bool {
		return r.Service == serviceType && r.Method == method && r.Covers(path)
	})
}

// Unauthorized is the refusal of a token.
func Unauthorized() error {
	return weft.Errorf(weft.Unauthorized, "Unauthorized", "The request you have made requires authentication.")
}
