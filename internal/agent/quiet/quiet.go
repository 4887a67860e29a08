// Package quiet makes loggers for what guests can cause: a line may be logged some
// times, then only now and then, with how often it was left out. However many packets
// a guest sends, the log of the host stays readable and its disk is not filled.
package quiet

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// lines is how often a message is logged within a period.
	lines = 5
	// period begins with the first line of a message.
	period = 10 * time.Minute
	// distinct is how many messages are told apart; all others count as one.
	distinct = 32
)

// Logger logs as log does, but with bounds. What is made of it by With shares them.
func Logger(log *slog.Logger) *slog.Logger {
	return slog.New(handler{log.Handler(), &budget{now: time.Now, spent: map[string]*tally{}}})
}

type handler struct {
	slog.Handler
	budget *budget
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	ok, left := h.budget.spend(r.Message)
	if !ok {
		return nil
	}
	if left > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("left_out_before", left))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.budget}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.budget}
}

// budget counts lines by message.
type budget struct {
	now   func() time.Time
	mu    sync.Mutex
	spent map[string]*tally
}

type tally struct {
	since     time.Time
	lines     int
	discarded int
}

// spend reports whether one more line of a message may be logged, and how many were
// not since the last one that was.
func (b *budget) spend(message string) (ok bool, left int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.spent[message]
	if t == nil && len(b.spent) >= distinct {
		message = ""
		t = b.spent[message]
	}
	if t == nil {
		t = &tally{}
		b.spent[message] = t
	}
	if now := b.now(); now.Sub(t.since) >= period {
		left, t.discarded = t.discarded, 0
		t.since, t.lines = now, 0
	}
	if t.lines >= lines {
		t.discarded++
		return false, 0
	}
	t.lines++
	return true, left
}
