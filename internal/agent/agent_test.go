package agent

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

// world is everything around an agent, played by the test.
type world struct {
	sync.Mutex // of what the agent and the test both write
	t          *testing.T
	states     chan *host.State
	events     chan link.Event
	calls      []string          // in order
	fail       map[string]error  // by call
	wired      map[string]string // what Wire answers
	along      map[string]string // what Rewire says besides
	result     Result            // what the module dhcp answers
	sent       []host.Report
	done       chan error
	cancel     context.CancelFunc
}

// play runs an agent in a bubble of time.
func play(t *testing.T, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, states: make(chan *host.State), events: make(chan link.Event, 10), fail: map[string]error{},
			done: make(chan error, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		w.cancel = cancel
		a := New(Config{Host: "h1", Source: w, Reporter: w, L2: w, Log: slog.New(slog.DiscardHandler),
			Events:   func(context.Context) (<-chan link.Event, error) { return w.events, w.call("events") },
			Firewall: func(context.Context, *host.State) error { return w.call("firewall") },
			Modules: []Module{
				{"dhcp", func(context.Context, *host.State) (Result, error) {
					err := w.call("dhcp")
					w.Lock()
					defer w.Unlock()
					r := w.result
					r.Ports = maps.Clone(r.Ports)
					return r, err
				}},
				{"l3", func(context.Context, *host.State) (Result, error) { return Result{}, w.call("l3") }},
			}})
		go func() { w.done <- a.Run(ctx) }()
		synctest.Wait()
		f(w)
		cancel()
		if err := <-w.done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func (w *world) call(name string) error {
	w.Lock()
	defer w.Unlock()
	w.calls = append(w.calls, name)
	return w.fail[name]
}

// breaks makes calls of that name fail, mend makes all work again.
func (w *world) breaks(name, why string) {
	w.Lock()
	defer w.Unlock()
	w.fail[name] = errors.New(why)
}

func (w *world) mend() {
	w.Lock()
	defer w.Unlock()
	clear(w.fail)
}

// set changes what the agent will find.
func (w *world) set(f func()) {
	w.Lock()
	defer w.Unlock()
	f()
}

func (w *world) State(ctx context.Context, after int64) (*host.State, error) {
	w.Lock()
	err := w.fail["state"]
	w.Unlock()
	if err != nil {
		w.call("state")
		return nil, err
	}
	select {
	case s := <-w.states:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *world) Report(_ context.Context, r host.Report) error {
	if err := w.call("report"); err != nil {
		return err
	}
	w.set(func() { w.sent = append(w.sent, r) })
	return nil
}

func (w *world) Prepare(context.Context, *host.State, bool) error { return w.call("prepare") }

func (w *world) Wire(_ context.Context, _ *host.State, hold string) (map[string]string, error) {
	if hold != "" {
		w.call("hold")
	}
	err := w.call("wire")
	w.Lock()
	defer w.Unlock()
	return maps.Clone(w.wired), err
}

func (w *world) Rewire(_ context.Context, _ *host.State, hold string, ports []string) (map[string]string, error) {
	if hold != "" {
		w.call("hold")
	}
	err := w.call("rewire")
	w.Lock()
	defer w.Unlock()
	some := map[string]string{}
	for _, id := range ports {
		some[id] = w.wired[id]
	}
	maps.Copy(some, w.along)
	return some, err
}

func (w *world) Prune(context.Context, *host.State) error { return w.call("prune") }
func (w *world) Cleanup(context.Context, string) error    { return w.call("cleanup") }
func (w *world) Concerns(e link.Event) bool               { return !strings.HasPrefix(e.Name, "boring") }

// did is what the agent has called since did was asked before.
func (w *world) did() string {
	synctest.Wait()
	w.Lock()
	defer w.Unlock()
	s := strings.Join(w.calls, " ")
	w.calls = nil
	return s
}

func (w *world) expect(what, calls string) {
	w.t.Helper()
	if got := w.did(); got != calls {
		w.t.Errorf("%s:\n got %s\nwant %s", what, got, calls)
	}
}

// told is the last report.
func (w *world) told(want host.Report) {
	w.t.Helper()
	if len(w.sent) == 0 {
		w.t.Error("no report")
		return
	}
	if d := cmp.Diff(want, w.sent[len(w.sent)-1]); d != "" {
		w.t.Errorf("report (-want +got):\n%s", d)
	}
}

const (
	full    = "prepare firewall wire dhcp l3 prune"
	partial = "rewire"
)

// simple is a host with two ports and a DHCP service.
func simple(revision int64) *host.State {
	return &host.State{Host: "h1", Revision: revision,
		Networks: []host.Network{{ID: "n", DHCP: &host.DHCP{PortID: "d", Revision: 4}}},
		Ports:    []host.Port{{ID: "p1", Revision: 7}, {ID: "p2", Revision: 8}}}
}

func TestPassAndReport(t *testing.T) {
	play(t, func(w *world) {
		w.expect("start", "events")
		w.set(func() { w.wired = map[string]string{"p1": "", "p2": "no device"} })
		w.set(func() {
			w.result = Result{Ports: map[string]string{"d": "", "stale": ""}, FloatingIPs: map[string]string{"f": "ACTIVE"}}
		})
		w.states <- simple(100)
		w.expect("a state", full+" report")
		w.told(host.Report{Host: "h1", Revision: 100, FloatingIPs: map[string]string{"f": "ACTIVE"}, Ports: []host.PortReport{
			{ID: "d", Revision: 4, Up: true}, {ID: "p1", Revision: 7, Up: true}, {ID: "p2", Revision: 8, Reason: "no device"}}})

		w.states <- simple(101)
		w.expect("the same with a new revision", full+" report")
		w.told(host.Report{Host: "h1", Revision: 101, FloatingIPs: map[string]string{"f": "ACTIVE"}})

		w.set(func() { w.wired["p2"] = "" })
		w.events <- link.Event{Name: "tapp2"}
		w.expect("a tap", partial+" report")
		w.told(host.Report{Host: "h1", Revision: 101, FloatingIPs: map[string]string{"f": "ACTIVE"},
			Ports: []host.PortReport{{ID: "p2", Revision: 8, Up: true}}})

		w.events <- link.Event{Name: "tapp2"}
		w.expect("nothing new", partial)
		w.events <- link.Event{Name: "boring"}
		w.expect("no news", "")
		w.events <- link.Event{Name: "brqn"}
		w.expect("a bridge", full)
		w.events <- link.Event{Lost: true}
		w.expect("lost events", full)
	})
}

// What becomes of a subport when the tap of its parent comes is told with that.
func TestReportsWhatFollowsTheTap(t *testing.T) {
	play(t, func(w *world) {
		w.set(func() { w.wired = map[string]string{"p1": "no parent", "p2": "no device"} })
		w.states <- simple(100)
		w.did()
		w.set(func() { w.wired["p2"], w.along = "", map[string]string{"p1": ""} })
		w.events <- link.Event{Name: "tapp2"}
		w.expect("the parent's tap", partial+" report")
		w.told(host.Report{Host: "h1", Revision: 100, FloatingIPs: map[string]string{},
			Ports: []host.PortReport{{ID: "p1", Revision: 7, Up: true}, {ID: "p2", Revision: 8, Up: true}}})
	})
}

func TestFailedModuleStopsNobodyAndIsRetried(t *testing.T) {
	play(t, func(w *world) {
		w.did()
		w.set(func() { w.wired = map[string]string{"p1": "", "p2": ""} })
		w.breaks("prepare", "oops")
		w.breaks("dhcp", "oops")
		w.set(func() { w.result = Result{Ports: map[string]string{"d": "oops"}} })
		w.states <- simple(1)
		w.expect("failing", full+" report")
		w.told(host.Report{Host: "h1", Revision: 1, FloatingIPs: map[string]string{}, Ports: []host.PortReport{
			{ID: "d", Revision: 4, Reason: "oops"}, {ID: "p1", Revision: 7, Up: true}, {ID: "p2", Revision: 8, Up: true}}})

		time.Sleep(firstRetry)
		w.expect("first retry", full)
		time.Sleep(firstRetry)
		w.expect("not yet", "")
		w.events <- link.Event{Name: "brqn"}
		w.expect("events of our own doing do not hurry it", "")
		w.events <- link.Event{Name: "tapp2"}
		w.expect("ports do not wait", partial)
		time.Sleep(firstRetry)
		w.expect("second retry", full)

		time.Sleep(time.Minute)
		w.did()
		w.events <- link.Event{Name: "brqn"}
		time.Sleep(hurried)
		w.expect("after a long time they do", full)

		w.mend()
		w.set(func() { w.result.Ports["d"] = "" })
		time.Sleep(lastRetry)
		w.expect("success", full+" report")
		time.Sleep(time.Hour)
		w.expect("quiet", "")
	})
}

func TestFirewallFailureHoldsNewPorts(t *testing.T) {
	play(t, func(w *world) {
		w.did()
		w.set(func() { w.wired = map[string]string{"p1": "", "p2": "no device"} })
		w.states <- simple(1)
		w.did()
		w.breaks("firewall", "oops")
		w.states <- simple(2)
		w.expect("hold", "prepare firewall hold wire dhcp l3 prune report")
		w.told(host.Report{Host: "h1", Revision: 2, FloatingIPs: map[string]string{}})
		w.set(func() { w.wired["p2"] = "" })
		w.events <- link.Event{Name: "tapp2"}
		w.expect("still", "hold rewire report")
		w.told(host.Report{Host: "h1", Revision: 2, FloatingIPs: map[string]string{}, Ports: []host.PortReport{
			{ID: "p2", Revision: 8, Reason: "security groups could not be applied: oops"}}})
		w.mend()
		time.Sleep(firstRetry)
		w.expect("retry", full+" report")
	})
}

func TestUnwirable(t *testing.T) {
	play(t, func(w *world) {
		w.did()
		w.breaks("wire", "no netlink")
		w.states <- simple(1)
		w.expect("failing", full+" report")
		w.told(host.Report{Host: "h1", Revision: 1, FloatingIPs: map[string]string{}, Ports: []host.PortReport{
			{ID: "p1", Revision: 7, Reason: "no netlink"}, {ID: "p2", Revision: 8, Reason: "no netlink"}}})
	})
}

func TestReportIsRepeatedUntilTaken(t *testing.T) {
	play(t, func(w *world) {
		w.did()
		w.set(func() { w.wired = map[string]string{"p1": "", "p2": ""} })
		w.breaks("report", "server away")
		w.states <- simple(1)
		w.expect("refused", full+" report")
		time.Sleep(firstRetry)
		w.expect("refused again", full+" report")
		w.mend()
		time.Sleep(2 * firstRetry)
		w.expect("taken", full+" report")
		if n := len(w.sent[0].Ports); n != 2 {
			t.Errorf("the report that was taken has %d ports", n)
		}
	})
}

func TestSourceAway(t *testing.T) {
	play(t, func(w *world) {
		w.breaks("state", "server away")
		w.states <- simple(1) // the question under way
		time.Sleep(time.Minute)
		if n := strings.Count(w.did(), "state"); n < 5 || n > 20 {
			t.Errorf("asked %d times in a minute", n)
		}
		w.mend()
		time.Sleep(lastRetry)
		w.states <- simple(2)
		w.expect("back", full+" report")
	})
}

func TestEventsEndAndBeginAgain(t *testing.T) {
	play(t, func(w *world) {
		w.set(func() { w.wired = map[string]string{"p1": "", "p2": ""} })
		w.states <- simple(1)
		w.did()
		old := w.events
		w.events = make(chan link.Event, 10)
		close(old)
		w.expect("watch again and look", "events "+full)
		w.events <- link.Event{Name: "tapp1"}
		w.expect("a tap", partial)
	})
}

func TestOnlyLatestStateCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, states: make(chan *host.State), fail: map[string]error{}}
		a := New(Config{Source: w, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		out := make(chan *host.State)
		go a.follow(ctx, out)
		for i := range int64(5) {
			w.states <- simple(i)
		}
		synctest.Wait()
		if s := <-out; s.Revision != 4 {
			t.Errorf("revision %d", s.Revision)
		}
		cancel()
	})
}

func TestServed(t *testing.T) {
	s := simple(1)
	s.Routers = []host.Router{{Interfaces: []host.RouterPort{{PortID: "r", Revision: 2}}, Gateway: &host.RouterPort{PortID: "g", Revision: 3}}}
	if got := slices.Sorted(maps.Keys(served(s))); !slices.Equal(got, []string{"d", "g", "r"}) {
		t.Errorf("served = %v", got)
	}
}
