package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

// Source tells what the host must be.
type Source interface {
	// State blocks until there is a State whose revision is greater than after, or
	// ctx ends. Below zero, after asks for the present State.
	State(ctx context.Context, after int64) (*host.State, error)
}

// Reporter is told what the host is. When Report returns nil the server has it
// for good, and is not told again.
type Reporter interface {
	Report(ctx context.Context, r host.Report) error
}

// L2 wires networks and ports. Its methods are called from one goroutine.
type L2 interface {
	// Prepare makes networks, with no port of an instance on them yet. Unless fresh
	// is set, no event has come since any method was called last.
	Prepare(ctx context.Context, s *host.State, fresh bool) error

	// Wire connects ports, and returns for each of the State why it is not
	// connected, or "". A hold that is not empty is a reason to connect nothing new.
	Wire(ctx context.Context, s *host.State, hold string) (map[string]string, error)

	// Rewire is Wire for some ports of the State of the last Wire, whose taps have
	// changed, and for those whose taps follow theirs.
	Rewire(ctx context.Context, s *host.State, hold string, ports []string) (map[string]string, error)

	// Prune deletes networks that are not in the State.
	Prune(ctx context.Context, s *host.State) error

	// Concerns reports whether an event is news: not what Wire left behind.
	Concerns(e link.Event) bool

	// Cleanup deletes everything that is the cloud's.
	Cleanup(ctx context.Context, cloud string) error
}

// Module realises a further part of a State.
type Module struct {
	Name     string
	Converge func(ctx context.Context, s *host.State) (Result, error)
}

// Result is what a module can tell of the things it serves.
type Result struct {
	Ports       map[string]string // id of a port that is the module's own -> why it does not work, or ""
	FloatingIPs map[string]string // id -> status
}

// Config is what an Agent is made of.
type Config struct {
	Host     string
	Source   Source
	Reporter Reporter
	Events   func(context.Context) (<-chan link.Event, error) // a link.Handle's Watch
	L2       L2
	Firewall func(context.Context, *host.State) error // between L2's Prepare and Wire; nil: none
	Modules  []Module                                 // after L2's Wire, in this order
	Drifts   []Drift
	Audit    time.Duration // how long to go at most without looking at everything; 0: for ever
	Log      *slog.Logger
}

// Agent keeps one host.
type Agent struct {
	Config
	state   *host.State       // nil: not known yet
	taps    map[string]string // of the State's ports, with their ids
	hold    error             // why the last full pass could not filter ports
	now     report            // what the host is
	sent    report            // what the server has
	last    time.Time         // when the last full pass began
	stirred bool              // an event has come since the last full pass
	failing bool              // the last full pass, or one since
	backoff backoff
	faults  *faults
}

// New makes an Agent.
func New(c Config) *Agent { return &Agent{Config: c, faults: newFaults(c.Log)} }

// Run keeps the host until ctx ends, and then returns nil, leaving everything on
// the host as it is. An error is that the kernel's events cannot be had.
func (a *Agent) Run(ctx context.Context) error {
	events, err := a.Events(ctx)
	if err != nil {
		return err
	}
	states := make(chan *host.State)
	go a.follow(ctx, states)
	drifts := a.watchDrifts(ctx)
	retry := time.NewTimer(0)
	retry.Stop()
	defer retry.Stop()
	audit, stop := every(a.Audit)
	defer stop()
	for {
		var ports []string // nil: everything
		select {
		case <-ctx.Done():
			return nil
		case s := <-states:
			a.learn(s)
		case <-retry.C:
			a.stirred = true // or so we suspect
		case <-audit:
			if a.stirred = true; a.failing {
				continue // the next attempt is on its way
			}
		case d := <-drifts:
			if !a.drifted(d) {
				continue
			}
			if a.stirred = true; a.postponed(retry) {
				continue
			}
		case e, ok := <-events:
			a.stirred = true
			if !ok {
				if events, err = a.Events(ctx); err != nil && ctx.Err() == nil {
					return err
				}
				break
			}
			n := a.news(e, events)
			if ports = n.ports; n.beyond && !a.postponed(retry) {
				ports = nil
			} else if len(ports) == 0 {
				continue
			}
		}
		if a.state != nil {
			a.pass(ctx, ports, retry)
		}
	}
}

// every is a clock, or with 0 none.
func every(d time.Duration) (<-chan time.Time, func()) {
	if d == 0 {
		return nil, func() {}
	}
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// postponed reports whether a full pass has to wait because the last one failed:
// our own attempts make events, which must not make us try for ever. It makes sure
// that the wait is short.
func (a *Agent) postponed(retry *time.Timer) bool {
	if !a.failing {
		return false
	}
	if a.backoff.last > hurried {
		retry.Reset(max(0, hurried-time.Since(a.last)))
	}
	return true
}

// learn makes a State the present one.
func (a *Agent) learn(s *host.State) {
	a.state = s
	a.taps = make(map[string]string, len(s.Ports))
	for i := range s.Ports {
		a.taps[host.TapName(s.Ports[i].ID)] = s.Ports[i].ID
	}
}

// follow asks for State after State. One that the agent has no time for is
// replaced by the next.
func (a *Agent) follow(ctx context.Context, out chan<- *host.State) {
	next := make(chan *host.State)
	go a.ask(ctx, next)
	var latest *host.State
	for {
		to := out
		if latest == nil {
			to = nil
		}
		select {
		case latest = <-next:
		case to <- latest:
			latest = nil
		case <-ctx.Done():
			return
		}
	}
}

func (a *Agent) ask(ctx context.Context, next chan<- *host.State) {
	after := int64(-1)
	var wait backoff
	for ctx.Err() == nil {
		s, err := a.Source.State(ctx, after)
		if ctx.Err() == nil {
			a.faults.note("what the host must be", err, true)
		}
		if err != nil {
			sleep(ctx, wait.next())
			continue
		}
		wait.reset()
		after = s.Revision
		select {
		case next <- s:
		case <-ctx.Done():
		}
	}
}

// news says what events are about.
type news struct {
	ports  []string // whose taps have changed
	beyond bool     // something else has
}

// news takes all events that have come by now together, and looks at the last of
// each interface: what was in between is over.
func (a *Agent) news(first link.Event, events <-chan link.Event) news {
	last := map[string]link.Event{first.Name: first}
	for waiting := true; waiting; {
		select {
		case e, ok := <-events:
			if waiting = ok; ok {
				last[e.Name] = e
			}
		default:
			waiting = false
		}
	}
	var n news
	for name, e := range last {
		port, ok := a.taps[name]
		switch {
		case !e.Lost && !a.L2.Concerns(e):
		case ok:
			n.ports = append(n.ports, port)
		default:
			n.beyond = true
		}
	}
	return n
}

// backoff grows from the first failure to a steady rhythm.
type backoff struct{ last time.Duration }

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 15 * time.Second
	hurried    = time.Second // when something has changed meanwhile
)

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, firstRetry), lastRetry)
	return b.last
}

func (b *backoff) reset() { b.last = 0 }

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
