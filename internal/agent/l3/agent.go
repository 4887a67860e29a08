package l3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/weftnet/weft/internal/agent/wire"
	"github.com/weftnet/weft/internal/dataplane/arp"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

// Agent keeps the routers of one host. It is not safe for concurrent use.
type Agent struct {
	log    *slog.Logger
	root   *link.Handle
	arp    *arp.Announcer
	checks sync.WaitGroup
	closed atomic.Bool

	mu      sync.Mutex         // held against check only
	routers map[string]*router // by id
}

// New makes an Agent that keeps nothing yet. The handle, of the host that the
// routers are on, stays the caller's.
func New(log *slog.Logger, root *link.Handle) *Agent {
	return &Agent{log: log, root: root, arp: arp.NewAnnouncer(log), routers: map[string]*router{}}
}

// Close lets go of the routers and leaves them on the host as they are.
func (a *Agent) Close() {
	a.closed.Store(true)
	a.arp.Close()
	a.checks.Wait()
	for id := range a.routers {
		a.drop(id)
	}
}

// Result is what Converge found and did for one router.
type Result struct {
	RouterID    string
	Done        []string          // what was changed on the host, as one would do it by hand
	Ports       []host.PortReport // of its interfaces and its gateway
	FloatingIPs map[string]string // id -> status
	Err         error             // why the router is not all it must be; nil when it is
}

// Converge makes the host's routers what s says: a result for each, sorted by id as
// in s, after one for each that was taken away. A router that fails does not keep
// others from being right, nor does one of its ports the other ports; the error
// joins what went wrong everywhere. What is right already is left untouched.
func (a *Agent) Converge(ctx context.Context, s *host.State) ([]Result, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.check()
	results, err := a.sweep(s)
	errs := []error{err}
	for i := range s.Routers {
		if err := ctx.Err(); err != nil {
			return results, err
		}
		r := a.router(ctx, s.Cloud, &s.Routers[i])
		for _, text := range r.Done {
			a.log.Debug("router changed", "router", r.RouterID, "op", text)
		}
		if r.Err != nil {
			errs = append(errs, fmt.Errorf("router %s: %w", r.RouterID, r.Err))
		}
		results = append(results, r)
	}
	return results, errors.Join(errs...)
}

func (a *Agent) router(ctx context.Context, cloud string, want *host.Router) Result {
	r := a.routers[want.ID]
	if r == nil || !r.kernel.Current() {
		a.drop(want.ID)
		k, err := wire.Open(a.root, cloud, host.RouterNamespace(want.ID))
		if err != nil {
			p := &pass{want: want, failed: map[string]error{"": err}}
			return p.result()
		}
		r = &router{kernel: k}
		a.routers[want.ID] = r
	}
	return r.converge(ctx, cloud, want, a.arp)
}

// check looks, in the background and one router at a time, for connections that a
// process before this one should have ended.
func (a *Agent) check() {
	var ids []string
	for id, r := range a.routers {
		if !r.checked {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return
	}
	a.checks.Go(func() {
		for _, id := range ids {
			if a.closed.Load() {
				return
			}
			a.checkOne(id)
		}
	})
}

func (a *Agent) checkOne(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.routers[id]
	if r == nil || r.checked || r.kernel.NS() == nil {
		return
	}
	n, err := forget(r.kernel.NS(), r.force)
	if err != nil {
		a.log.Warn("checking connections", "router", id, "error", err)
		return
	}
	r.checked = true
	if n > 0 {
		a.log.Info("connections of a former translation ended", "router", id, "connections", n)
	}
}

func (a *Agent) drop(id string) {
	if r := a.routers[id]; r != nil {
		r.kernel.Close()
		delete(a.routers, id)
	}
}

// sweep deletes the namespaces of the cloud's routers that are not in s, whichever
// process made them.
func (a *Agent) sweep(s *host.State) ([]Result, error) {
	wanted := map[string]bool{}
	for i := range s.Routers {
		wanted[s.Routers[i].ID] = true
	}
	entries, err := os.ReadDir(netns.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	var results []Result
	for _, e := range entries {
		id, is := strings.CutPrefix(e.Name(), host.RouterNamespace(""))
		if !is || wanted[id] {
			continue
		}
		if ours, err := netns.Owned(e.Name(), s.Cloud); err != nil || !ours {
			continue // gone meanwhile, or somebody else's
		}
		a.drop(id)
		names = append(names, e.Name())
		results = append(results, Result{RouterID: id, Done: []string{"ip netns del " + e.Name()}})
	}
	if len(names) == 0 {
		return nil, nil
	}
	err = wire.Delete(a.root, s.Cloud, []string{internalPrefix, gatewayPrefix}, names...)
	if err == nil {
		return results, nil
	}
	for i := range results {
		if netns.Exists(names[i]) {
			results[i].Done, results[i].Err = nil, err
		}
	}
	return results, err
}
