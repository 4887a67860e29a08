package run

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// logged is a logger without times, and what it has written.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})), &b
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// server is a task that is ready after a while and runs until it is stopped, for
// which it takes a second.
func server(name string, ready time.Duration) Task {
	return New(name, func(ctx context.Context, isReady func()) error {
		select {
		case <-time.After(ready):
			isReady()
			<-ctx.Done()
		case <-ctx.Done():
		}
		time.Sleep(time.Second)
		return ctx.Err()
	})
}

func failing(name string, after time.Duration, err error) Task {
	return New(name, func(context.Context, func()) error {
		time.Sleep(after)
		return err
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestGroupRunsUntilCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := logged()
		g := NewGroup(log, server("api", 2*time.Second))
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- g.Run(ctx) }()

		time.Sleep(2*time.Second - time.Nanosecond)
		synctest.Wait()
		if isClosed(g.Ready()) {
			t.Error("ready too early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !isClosed(g.Ready()) {
			t.Error("not ready")
		}
		cancel()
		synctest.Wait()
		if len(result) != 0 {
			t.Error("Run returned before its task")
		}
		if err := <-result; err != nil {
			t.Error(err)
		}
		want := "level=DEBUG msg=starting task=api\nlevel=INFO msg=ready task=api took=2s\nlevel=INFO msg=stopped task=api\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

func TestGroupIsReadyWithTheLastTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brief := failing("migration", 3*time.Second, nil) // ends well, without ever calling ready
		g := NewGroup(quiet(), server("api", time.Second), server("agent", 5*time.Second), brief)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		start := time.Now()
		go func() { result <- g.Run(ctx) }()
		<-g.Ready()
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("ready after %v", took)
		}
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

func TestFirstFailureStopsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		g := NewGroup(quiet(), server("api", time.Hour), failing("agent", time.Second, boom), failing("late", 90*time.Second, errors.New("later")))
		start := time.Now()
		err := g.Run(t.Context())
		if !errors.Is(err, boom) || err.Error() != "agent: boom" {
			t.Errorf("the error is %v", err)
		}
		if took := time.Since(start); took != 90*time.Second {
			t.Errorf("Run took %v; it is to wait for every task", took)
		}
		if isClosed(g.Ready()) {
			t.Error("a group that failed is ready")
		}
	})
}

func TestHowATaskEnds(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name string
		err  error
		want error
	}{
		{"well", nil, nil},
		{"asking to stop", ErrStop, nil},
		{"failing", boom, boom},
		{"by a cancellation that is not the group's", context.Canceled, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				others := server("api", 0)
				if tt.err == nil {
					others = failing("api", time.Hour, nil)
				}
				if err := NewGroup(quiet(), failing("x", time.Second, tt.err), others).Run(t.Context()); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestFailureWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := NewGroup(quiet(), failing("db", time.Second, boom)).Run(ctx); !errors.Is(err, boom) {
			t.Errorf("a failure to stop in order is lost: %v", err)
		}
	})
}

func TestGroupsNest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := NewGroup(quiet(), server("api", time.Second), server("identity", 2*time.Second))
		outer := NewGroup(quiet(), inner, server("agent", time.Second))
		if got := outer.String(); got != "api+identity+agent" {
			t.Error(got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- outer.Run(ctx) }()
		<-outer.Ready()
		if !isClosed(inner.Ready()) {
			t.Error("ready before a part is")
		}
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

func TestEmptyGroup(t *testing.T) {
	g := NewGroup(quiet())
	if err := g.Run(t.Context()); err != nil || !isClosed(g.Ready()) {
		t.Errorf("%v, ready: %t", err, isClosed(g.Ready()))
	}
}

func TestSignals(t *testing.T) {
	log, out := logged()
	s := Signals(syscall.SIGUSR1)
	other := New("other", func(ctx context.Context, ready func()) error {
		ready()
		<-ctx.Done()
		return ctx.Err()
	})
	g := NewGroup(log, s, other)
	result := make(chan error, 1)
	go func() { result <- g.Run(t.Context()) }()
	<-g.Ready()
	p, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "asked to stop: user defined signal 1") {
		t.Errorf("the log does not say why:\n%s", out)
	}
}

func TestSignalsEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Signals(syscall.SIGUSR2).Run(ctx); err != nil {
		t.Error(err)
	}
}
