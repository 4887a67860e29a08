package keystone

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/authtoken"
	"github.com/weftnet/weft/internal/peer"
)

// Config is what a Validator is made of. Zero times and sizes are useful.
type Config struct {
	Log *slog.Logger
	// Keystone, and the user of this service there. He needs a role that may validate
	// tokens: service or admin.
	Keystone peer.Config

	Recheck   time.Duration // how long an answer is the truth; 0 is 10 s
	CacheTime time.Duration // how long it is better than none; 0 is 5 min
	CacheSize int           // how many good tokens are remembered; 0 is 16384
}

// Validator knows tokens. It is an authtoken.Source.
type Validator struct {
	log     *slog.Logger
	now     func() time.Time
	session *peer.Session
	user    string
	cache   *cache
	flights singleflight.Group
}

// New makes a validator. It asks Keystone for nothing yet: which of the two starts
// first does not matter.
func New(c Config) (*Validator, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Keystone.Now == nil {
		c.Keystone.Now = time.Now
	}
	session, err := peer.NewSession(c.Keystone)
	if err != nil {
		return nil, err
	}
	return &Validator{log: c.Log, now: c.Keystone.Now, session: session, user: c.Keystone.User.Name,
		cache: newCache(orElse(c.Recheck, 10*time.Second), orElse(c.CacheTime, 5*time.Minute), orElse(c.CacheSize, 16384))}, nil
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// The pauses between attempts to log in.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// Run logs in, again and again until Keystone lets it, so that the log tells early
// what is wrong. It returns nil when ctx ends.
func (v *Validator) Run(ctx context.Context) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		_, err := v.session.Login(ctx, nil)
		if err == nil {
			v.log.Info("keystone answers", "url", v.session.URL(), "user", v.user)
			<-ctx.Done()
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		v.log.Warn("logging in at keystone", "url", v.session.URL(), "user", v.user, "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// maxToken bounds what is worth asking about. Fernet tokens have some 200
// characters; tokens of federated users name their groups and have more.
const maxToken = 8192

// Look implements authtoken.Source. The error is weft.Unavailable if Keystone
// cannot be asked and nothing is known of the token that is young enough.
func (v *Validator) Look(ctx context.Context, token string, late bool) (*authtoken.Subject, error) {
	if !plausible(token) {
		return nil, authtoken.Unauthorized()
	}
	key := keyOf(token, late)
	if e, ok := v.cache.get(key, v.now()); ok {
		return e.answer()
	}
	// One question for all who wait for its answer; none of them can call it off.
	flight := v.flights.DoChan(string(key[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*v.session.Timeout())
		defer cancel()
		return v.ask(ctx, key, token, late)
	})
	select {
	case r := <-flight:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(entry).answer()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// plausible reports whether a token can be one: such text is all that an HTTP
// header carries without harm.
func plausible(token string) bool {
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return token != "" && len(token) <= maxToken
}

// keyOf is what a token is remembered by: memory holds no tokens, and no more for
// long ones.
func keyOf(token string, late bool) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%t %s", late, token))
}

func (v *Validator) ask(ctx context.Context, key [sha256.Size]byte, token string, late bool) (entry, error) {
	asked := v.now() // before: what happens meanwhile may not be in the answer
	s, err := v.validate(ctx, token, late)
	if err != nil {
		v.log.ErrorContext(ctx, "validating a token", "error", err)
		if e, ok := v.cache.fall(key, v.now()); ok {
			return e, nil
		}
		return entry{}, weft.Errorf(weft.Unavailable, "ServiceUnavailable", "The Keystone service is temporarily unavailable.")
	}
	e := entry{subject: s, asked: asked}
	v.cache.put(key, e, v.now())
	return e, nil
}
