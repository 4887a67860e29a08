package feed

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/store"
)

// Config is what a Feed is made of.
type Config struct {
	Log    *slog.Logger
	DB     *store.DB
	Cloud  string // its id
	Host   string
	Domain string // DNS domain of DHCP, without trailing dot

	// Statuses of ports and floating IPs are rules of the services.
	SetPorts       func(tx *store.Tx, host string, reports []host.PortReport) error
	SetFloatingIPs func(tx *store.Tx, host string, statuses map[string]string) error
}

// Feed is the stream of states of one host. It is safe for concurrent use.
type Feed struct {
	Config
	mu       sync.Mutex
	interest interest // of the last state given
	memory   memory   // of that too
}

// New makes a feed.
func New(c Config) *Feed { return &Feed{Config: c} }

// batch is how many entries of the change log are read at once.
const batch = 1000

// State blocks until there is a change after the given revision that concerns the
// host, and returns the host's state then. With a revision below zero it returns
// the present state at once.
func (f *Feed) State(ctx context.Context, after int64) (*host.State, error) {
	if after < 0 {
		return f.compute(ctx)
	}
	f.mu.Lock()
	in := f.interest
	f.mu.Unlock()
	for {
		changes, err := f.DB.WaitChanges(ctx, after, batch)
		if err != nil {
			return nil, err
		}
		if !changes[0].Follows(after) { // the log was trimmed beyond the position
			return f.compute(ctx)
		}
		for _, c := range changes {
			after = c.Seq
			if in.concerns(c) {
				return f.compute(ctx)
			}
		}
	}
}

func (f *Feed) compute(ctx context.Context) (*host.State, error) {
	start := time.Now()
	f.mu.Lock()
	before := f.memory
	f.mu.Unlock()
	var st *host.State
	seen := make(memory, len(before))
	err := f.DB.View(ctx, weft.SystemCaller("feed"), func(tx *store.Tx) error {
		c := &computation{tx: tx, cloud: f.Cloud, host: f.Host, domain: f.Domain, before: before, seen: seen}
		var err error
		st, err = c.state()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("computing the state of host %s: %w", f.Host, err)
	}
	f.mu.Lock()
	f.interest, f.memory = interestOf(st), seen
	f.mu.Unlock()
	f.Log.Debug("host state", "host", f.Host, "revision", st.Revision, "ports", len(st.Ports), "networks", len(st.Networks),
		"routers", len(st.Routers), "took", time.Since(start))
	return st, nil
}

// Report records what the host has realised.
func (f *Feed) Report(ctx context.Context, r host.Report) error {
	err := f.DB.Update(ctx, weft.SystemCaller("agent:"+r.Host), func(tx *store.Tx) error {
		if err := f.SetPorts(tx, r.Host, r.Ports); err != nil {
			return err
		}
		return f.SetFloatingIPs(tx, r.Host, r.FloatingIPs)
	})
	if err != nil {
		return fmt.Errorf("recording the report of host %s: %w", r.Host, err)
	}
	return nil
}
