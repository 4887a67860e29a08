package agent

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

// drifting runs an agent with a drift to be signalled, and says whether anything
// is amiss then.
func drifting(t *testing.T, audit time.Duration, f func(w *world, signals chan struct{}, amiss *bool)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, states: make(chan *host.State), events: make(chan link.Event, 10), fail: map[string]error{}, done: make(chan error, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		signals, amiss := make(chan struct{}), false
		a := New(Config{Host: "h1", Source: w, Reporter: w, L2: w, Log: slog.New(slog.DiscardHandler), Audit: audit,
			Events: func(context.Context) (<-chan link.Event, error) { return w.events, nil },
			Drifts: []Drift{{"filters", func(context.Context) (<-chan struct{}, error) { return signals, nil },
				func(*host.State) bool { return amiss }}}})
		go func() { w.done <- a.Run(ctx) }()
		synctest.Wait()
		f(w, signals, &amiss)
		cancel()
		close(signals)
		if err := <-w.done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestDrift(t *testing.T) {
	drifting(t, 0, func(w *world, signals chan struct{}, amiss *bool) {
		*amiss = true
		signals <- struct{}{}
		w.expect("no state yet", "")
		w.states <- simple(1)
		w.did()
		signals <- struct{}{}
		w.expect("amiss", "prepare wire prune")
		*amiss = false
		signals <- struct{}{}
		w.expect("our own doing", "")
		time.Sleep(time.Hour)
		w.expect("no audit", "")
	})
}

func TestAudit(t *testing.T) {
	drifting(t, time.Minute, func(w *world, _ chan struct{}, _ *bool) {
		w.states <- simple(1)
		w.did()
		time.Sleep(time.Minute)
		w.expect("a minute later", "prepare wire prune")
	})
}

func TestNamespaces(t *testing.T) {
	s := simple(1)
	s.Routers = []host.Router{{ID: "r"}}
	want := []string{host.DHCPNamespace(s.Networks[0].ID), "qrouter-r"}
	if d := cmp.Diff(want, namespaces(s)); d != "" {
		t.Error(d)
	}
}
