package dhcp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/weftnet/weft/internal/agent/quiet"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

// Agent keeps the DHCP servers of one host.
type Agent struct {
	log     *slog.Logger
	set     Settings
	forward *forwarder
	servers map[string]*server      // by network id
	logs    map[string]*slog.Logger // by network id: what guests cause is bounded for each
}

// New makes an Agent that serves nothing yet.
func New(log *slog.Logger, set Settings) *Agent {
	return &Agent{log: log, set: set, forward: newForwarder(set), servers: map[string]*server{}, logs: map[string]*slog.Logger{}}
}

// Result is what Converge found and did for one network.
type Result struct {
	NetworkID string
	Done      []string // what was changed on the host, as ip(8) would put it
	Err       error    // why the network is not served, nil when it is
}

// Converge makes the host's DHCP service what s says: a result for each network
// that has one, sorted by network id, and one for each that was taken away. A
// network that cannot be served does not keep others from being so; the error
// joins what went wrong everywhere. What is right already is left untouched.
func (a *Agent) Converge(ctx context.Context, s *host.State) ([]Result, error) {
	results, err := a.sweep(s)
	errs := []error{err}
	for i := range s.Networks {
		n := &s.Networks[i]
		if n.DHCP == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return results, err
		}
		r := a.network(s.Cloud, n)
		if r.Err != nil {
			errs = append(errs, fmt.Errorf("dhcp of network %s: %w", n.ID, r.Err))
		}
		results = append(results, r)
	}
	slices.SortStableFunc(results, func(a, b Result) int { return strings.Compare(a.NetworkID, b.NetworkID) })
	return results, errors.Join(errs...)
}

// Close stops answering and leaves everything else on the host as it is, so that
// a next Agent takes it over.
func (a *Agent) Close() {
	for id := range a.servers {
		a.drop(id)
	}
}

func (a *Agent) drop(networkID string) {
	if s := a.servers[networkID]; s != nil {
		s.close()
		delete(a.servers, networkID)
	}
}

// sweep takes away the service of networks that have none in s, whoever made it.
func (a *Agent) sweep(s *host.State) ([]Result, error) {
	wanted := map[string]bool{}
	for i := range s.Networks {
		wanted[s.Networks[i].ID] = s.Networks[i].DHCP != nil
	}
	for id := range maps.Clone(a.servers) {
		if !wanted[id] {
			a.drop(id)
		}
	}
	maps.DeleteFunc(a.logs, func(id string, _ *slog.Logger) bool { return !wanted[id] })
	entries, err := os.ReadDir(netns.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var results []Result
	for _, e := range entries { // those that are right are not looked into: there are many
		name := e.Name()
		id, is := strings.CutPrefix(name, host.DHCPNamespace(""))
		if !is || wanted[id] {
			continue
		}
		if ours, err := netns.Owned(name, s.Cloud); err != nil || !ours {
			continue // gone meanwhile, or somebody else's
		}
		results = append(results, Result{NetworkID: id, Done: []string{"ip netns del " + name}, Err: netns.Delete(name, s.Cloud)})
	}
	return results, nil
}

// network brings one network's service about. The table comes first: a server
// that runs already need not wait for the kernel to learn of a new port.
func (a *Agent) network(cloud string, n *host.Network) Result {
	r := Result{NetworkID: n.ID}
	if a.logs[n.ID] == nil {
		a.logs[n.ID] = quiet.Logger(a.log.With("network", n.ID))
	}
	t, err := newTable(n, a.set)
	old := a.servers[n.ID]
	if err != nil {
		t.odd = err.Error()
	}
	if t.odd != "" && (old == nil || old.table.Load().odd != t.odd) { // once, not at every pass
		a.logs[n.ID].Warn("dhcp options left out", "error", err)
	}
	if old != nil {
		old.table.Store(t)
	}
	want := wiringOf(n).in(cloud)
	var at place
	r.Done, at, r.Err = a.wire(want)
	if at == (place{}) {
		return r
	}
	if old != nil && !old.failed() && old.place == at && slices.Equal(old.addresses, t.servers) {
		return r
	}
	fresh, err := open(a.logs[n.ID], want, at, t, a.forward)
	if err != nil {
		r.Err = err
		return r
	}
	a.drop(n.ID)
	a.servers[n.ID] = fresh
	r.Done = append(r.Done, "listen on "+want.device+" in "+want.namespace)
	return r
}
