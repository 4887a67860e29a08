package nova

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/weftnet/weft/internal/peer"
)

// What one message has at most, and how long it is waited before one is tried again:
// twice as long each time.
const (
	manyInMessage = 200
	firstPause    = 250 * time.Millisecond
	lastPause     = 10 * time.Second
)

// tell has Nova take the events, however long that takes. The error is that of ctx.
func (n *Notifier) tell(ctx context.Context, events []event) error {
	for len(events) > 0 {
		part := events[:min(len(events), manyInMessage)]
		events = events[len(part):]
		if err := n.insist(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// insist sends a message until Nova has answered it. What Nova finds no sense in, as a
// whole, is sent in parts, so that one event does not hold up all.
func (n *Notifier) insist(ctx context.Context, events []event) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := n.send(ctx, events)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			n.works(ctx)
			n.note(func(s *Status) { s.Told += int64(len(events)) })
			return nil
		case senseless(err) && len(events) == 1:
			n.Log.WarnContext(ctx, "nova refuses an event, which is forgotten", "event", events[0], "error", err)
			n.works(ctx)
			return nil
		case senseless(err):
			half := len(events) / 2
			if err := n.insist(ctx, events[:half]); err != nil {
				return err
			}
			return n.insist(ctx, events[half:])
		}
		n.fails(ctx, err)
		if !wait(ctx, pause) {
			return ctx.Err()
		}
	}
}

// senseless reports whether Nova will never take what was sent.
func senseless(err error) bool {
	var e *peer.Error
	return errors.As(err, &e) && (e.Status == http.StatusBadRequest || e.Status == http.StatusRequestEntityTooLarge ||
		e.Status == http.StatusUnprocessableEntity)
}

// send sends one message. Servers that Nova does not know, or that have no host, are no
// error: there is nobody to tell.
func (n *Notifier) send(ctx context.Context, events []event) error {
	id := "req-" + uuid.NewString()
	start := time.Now()
	answer, err := n.Nova.Do(ctx, peer.Request{Method: http.MethodPost, Path: "/os-server-external-events", Request: id,
		Body: map[string]any{"events": events}})
	var refused *peer.Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound && refused.Message != "" {
		n.Log.DebugContext(ctx, "nova knows none of the servers", "events", events, "request", id)
		return nil
	}
	if err != nil {
		return err
	}
	var said struct {
		Events []struct {
			event
			Code int `json:"code"`
		} `json:"events"`
	}
	if err := answer.Decode(&said); err != nil {
		return err
	}
	n.Log.InfoContext(ctx, "told nova", "events", len(events), "request", id, "took", time.Since(start).Round(time.Millisecond))
	for _, e := range said.Events {
		level := slog.LevelDebug
		if e.Code != http.StatusOK && e.Code != http.StatusNotFound && e.Code != http.StatusUnprocessableEntity {
			level = slog.LevelWarn
		}
		n.Log.Log(ctx, level, "nova's answer", "event", e.Name, "server", e.Server, "port", e.Tag, "code", e.Code, "request", id)
	}
	return nil
}

// fails notes that Nova does not take what it is told. That is logged when it begins,
// and once an hour while it lasts.
func (n *Notifier) fails(ctx context.Context, err error) {
	now := time.Now()
	n.mu.Lock()
	begins := n.status.Failing == nil
	if begins {
		n.status.Failing = &now
	}
	again := now.Sub(n.warned) >= time.Hour
	if again || begins {
		n.warned = now
	}
	n.mu.Unlock()
	if begins || again {
		n.Log.WarnContext(ctx, "nova does not answer; what happens to ports is kept until it does", "error", err)
	}
}

func (n *Notifier) works(ctx context.Context) {
	n.mu.Lock()
	since := n.status.Failing
	n.status.Failing = nil
	n.mu.Unlock()
	if since != nil {
		n.Log.InfoContext(ctx, "nova answers again", "after", time.Since(*since).Round(time.Millisecond))
	}
}
