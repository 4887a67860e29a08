package identity

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/authtoken"
	"github.com/weftnet/weft/internal/body"
	"github.com/weftnet/weft/internal/store"
)

// Config is what a Service is made of. Zero values are useful.
type Config struct {
	DB           *store.DB // required
	Log          *slog.Logger
	TokenTTL     time.Duration    // how long tokens live; 0 is an hour
	PasswordCost int              // of bcrypt; 0 is its default
	CacheSize    int              // how many tokens are remembered; 0 is 4096
	FreeFailures int              // wrong secrets in a row after which an address is made to wait; 0: it never is
	Now          func() time.Time // for tests; nil is the wall clock
	Bodies       *body.Reader     // nil: one with the default limits
}

// Service issues and judges tokens and keeps users, projects and the rest.
type Service struct {
	db     *store.DB
	log    *slog.Logger
	now    func() time.Time
	ttl    time.Duration
	sealer *sealer
	vault  *vault
	cache  *cache
	bodies *body.Reader
}

// New makes a service on a database, and in a new database the key that seals
// tokens.
func New(ctx context.Context, c Config) (*Service, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Bodies == nil {
		c.Bodies = body.NewReader(body.Defaults())
	}
	sealer, err := loadSealer(ctx, c.DB)
	if err != nil {
		return nil, fmt.Errorf("loading the keys of tokens: %w", err)
	}
	return &Service{
		db: c.DB, log: c.Log, now: c.Now, sealer: sealer, bodies: c.Bodies,
		ttl:   orElse(c.TokenTTL, time.Hour),
		vault: newVault(orElse(c.PasswordCost, bcrypt.DefaultCost), newGuesses(c.FreeFailures, c.Now)),
		cache: newCache(orElse(c.CacheSize, 4096)),
	}, nil
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// lateWindow is for how long after its end a token is still known to those who ask
// for late ones.
const lateWindow = 48 * time.Hour

// Look implements authtoken.Source.
func (s *Service) Look(ctx context.Context, token string, late bool) (*authtoken.Subject, error) {
	g, err := s.resolve(ctx, token, late)
	if err != nil {
		return nil, err
	}
	return g.subject, nil
}

// Authenticate returns who a token speaks for. The caller is shared by all
// requests with the token: copy it before changing it. A token that is not, or no
// longer, good for anything is refused with weft.Unauthorized; other errors are
// the database's.
func (s *Service) Authenticate(ctx context.Context, token string) (*weft.Caller, error) {
	g, err := s.resolve(ctx, token, false)
	if err != nil {
		return nil, err
	}
	return &g.caller, nil
}

// Run follows what other servers change, until ctx ends; then it returns nil.
func (s *Service) Run(ctx context.Context) error {
	if s.db.Dialect() == "sqlite" {
		// All writers are in this process, and update has told the cache already.
		<-ctx.Done()
		return nil
	}
	return s.follow(ctx)
}

func (s *Service) follow(ctx context.Context) error {
	seq, err := s.db.Read(ctx, nil).Head()
	for ctx.Err() == nil {
		var changed bool
		if err == nil {
			seq, changed, err = s.db.WaitIdentity(ctx, seq)
		}
		if changed || err != nil { // who cannot hear of changes must not rely on memory
			s.cache.forget()
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		s.log.Warn("following changes of identity", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
			err = nil
		}
	}
	return nil
}

// update runs a transaction that changes who may do what. Remembered tokens are
// forgotten before the change is acknowledged; also if it failed, because a commit
// that failed may have happened.
func (s *Service) update(ctx context.Context, caller *weft.Caller, fn func(*store.Tx) error) error {
	defer s.cache.forget()
	return s.db.Update(ctx, caller, fn)
}

// errDenied is wrapped in every reason for not believing a client. The reason is
// for the log; the client learns nothing.
var errDenied = errors.New("denied")

func denied(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errDenied}, args...)...)
}

// newID is an id as Keystone makes them: 32 hexadecimal characters.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
