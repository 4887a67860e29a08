// Package accord lets a transaction rest on what another service has agreed to,
// without asking it while the database waits.
//
// The transaction finds out what has to be agreed to, and says so by Need. If that is
// new it is rolled back, the other service is asked, and it runs again: it finds what it
// needs agreed to and goes on, or finds that the world has changed and needs something
// else. What was agreed to in vain is taken back.
package accord

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/weftnet/weft"
)

// Term is something that another service has to agree to.
type Term interface {
	// Key is the same for terms that ask the same.
	Key() string
	// Agree asks the service. Its error refuses the change.
	Agree(ctx context.Context) error
	// Withdraw takes back what was agreed to.
	Withdraw(ctx context.Context) error
}

// Need returns nil if all terms have been agreed to for this change. Otherwise the
// transaction has to fail with the error. ctx is the transaction's. It is called once a
// transaction, with all that it needs.
func Need(ctx context.Context, terms ...Term) error {
	if len(terms) == 0 {
		return nil
	}
	t, _ := ctx.Value(key{}).(*talks)
	if t == nil {
		return errors.New("a change that others have to agree to, where nobody asks them")
	}
	t.needed = append(t.needed, terms...)
	for _, term := range terms {
		if t.agreed[term.Key()] == nil {
			return errOpen
		}
	}
	return nil
}

type key struct{}

// errOpen is the error of a transaction that needs what has not been agreed to.
var errOpen = errors.New("others have to agree first")

// talks are those of one change.
type talks struct {
	needed []Term          // by the last transaction
	agreed map[string]Term // by key
}

const (
	rounds   = 5                // in which the world may change meanwhile
	patience = 30 * time.Second // for taking something back, also if the client has gone
)

// Do runs a change, which is a transaction with the context that it is given, with what
// it needs. A refusal of the other service is its error.
func Do(ctx context.Context, log *slog.Logger, change func(context.Context) error) error {
	t := &talks{agreed: map[string]Term{}}
	for range rounds {
		t.needed = nil
		err := change(context.WithValue(ctx, key{}, t))
		if !errors.Is(err, errOpen) {
			if err != nil {
				t.needed = nil
			}
			t.withdraw(ctx, log)
			return err
		}
		t.withdraw(ctx, log)
		if err := t.agree(ctx); err != nil {
			t.needed = nil
			t.withdraw(ctx, log)
			return err
		}
	}
	t.needed = nil
	t.withdraw(ctx, log)
	return weft.Errorf(weft.Conflict, "Conflict", "Others change the same all the time; try again.")
}

// agree asks for what is needed and not agreed to.
func (t *talks) agree(ctx context.Context) error {
	for _, term := range t.needed {
		if t.agreed[term.Key()] != nil {
			continue
		}
		if err := term.Agree(ctx); err != nil {
			return err
		}
		t.agreed[term.Key()] = term
	}
	return nil
}

// withdraw takes back what was agreed to and is not needed.
func (t *talks) withdraw(ctx context.Context, log *slog.Logger) {
	needed := map[string]bool{}
	for _, term := range t.needed {
		needed[term.Key()] = true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for k, term := range t.agreed {
		if needed[k] {
			continue
		}
		delete(t.agreed, k)
		if err := term.Withdraw(ctx); err != nil {
			log.Error("taking back what another service has agreed to", "what", k, "error", err)
		}
	}
}
