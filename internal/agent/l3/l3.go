package l3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/arp"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// Agent keeps the routers of one host. It is not safe for concurrent use.
type Agent struct {
	log     *slog.Logger
	root    *link.Handle
	routers map[string]*router // by id
	arp     *arp.Announcer
}

// router is what the Agent remembers of a router that it has converged.
type router struct {
	nft  *nft.Conn
	ns   *netns.NS // keeps nft's descriptor
	last host.Router
}

// New makes an Agent for the host whose links root shows.
func New(log *slog.Logger, root *link.Handle) *Agent {
	return &Agent{log: log, root: root, routers: map[string]*router{}, arp: arp.NewAnnouncer(log)}
}

// Result is what Converge found and did for one router.
type Result struct {
	RouterID string
	Done     []string // what was changed on the host
	Err      error    // why the router is not what it must be; nil when it is
}

// Converge makes the host's routers what s says: a result for each, sorted by id,
// and for each that was taken away. A router that fails does not keep others from
// being right; the error joins what went wrong everywhere.
func (a *Agent) Converge(ctx context.Context, s *host.State) ([]Result, error) {
	results, err := a.sweep(s)
	errs := []error{err}
	links, err := a.links()
	if err != nil {
		return results, errors.Join(append(errs, err)...)
	}
	for i := range s.Routers {
		if err := ctx.Err(); err != nil {
			return results, err
		}
		r := &s.Routers[i]
		res := Result{RouterID: r.ID}
		res.Done, res.Err = a.router(ctx, r, links)
		if res.Err != nil {
			errs = append(errs, fmt.Errorf("router %s: %w", r.ID, res.Err))
		}
		for _, op := range res.Done {
			a.log.Debug("router changed", "router", r.ID, "op", op)
		}
		results = append(results, res)
	}
	slices.SortStableFunc(results, func(a, b Result) int { return strings.Compare(a.RouterID, b.RouterID) })
	return results, errors.Join(errs...)
}

func (a *Agent) links() (map[string]link.Link, error) {
	list, err := a.root.List()
	out := make(map[string]link.Link, len(list))
	for _, l := range list {
		out[l.Name] = l
	}
	return out, err
}

func (a *Agent) router(ctx context.Context, r *host.Router, links map[string]link.Link) (done []string, err error) {
	k := &kernel{root: a.root}
	defer k.close()
	w := wantOf(r)
	h, err := k.observe(w, links)
	if err != nil {
		return nil, err
	}
	ops, fresh := plan(w, h)
	for _, o := range ops {
		if err := o.run(k); err != nil {
			return done, fmt.Errorf("%s: %w", o.text, err)
		}
		done = append(done, o.text)
	}
	more, err := a.translate(ctx, r)
	done = append(done, more...)
	if err != nil {
		return done, err
	}
	a.announce(w, fresh)
	for _, d := range w.devices {
		if h.bridges[d.bridge] == 0 {
			return done, fmt.Errorf("bridge %s is not there", d.bridge)
		}
	}
	return done, nil
}

// translate converges the NAT table, and forgets connections that were translated
// in a way that no longer holds.
func (a *Agent) translate(ctx context.Context, r *host.Router) ([]string, error) {
	st, err := a.remembered(r.ID)
	if err != nil {
		return nil, err
	}
	done, err := st.nft.Converge(ctx, natTable(r))
	if err != nil {
		return done, err
	}
	if gone := abandoned(&st.last, r); len(gone) > 0 {
		if err := a.forget(host.RouterNamespace(r.ID), gone); err != nil {
			return done, err
		}
		done = append(done, fmt.Sprintf("conntrack -D %v", gone))
	}
	st.last = *r
	return done, nil
}

func (a *Agent) remembered(id string) (*router, error) {
	if st := a.routers[id]; st != nil {
		return st, nil
	}
	ns, err := netns.Open(host.RouterNamespace(id))
	if err != nil {
		return nil, err
	}
	st := &router{nft: nft.Open(ns.FD()), ns: ns}
	a.routers[id] = st
	return st, nil
}

// abandoned is the addresses whose translation has gone or changed.
func abandoned(old, r *host.Router) []netip.Addr {
	var out []netip.Addr
	for _, f := range old.FloatingIPs {
		kept := slices.ContainsFunc(r.FloatingIPs, func(g host.FloatingIP) bool { return g.Floating == f.Floating && g.Fixed == f.Fixed })
		if !kept {
			out = append(out, f.Floating)
		}
	}
	if old.Gateway != nil && (r.Gateway == nil || !reflect.DeepEqual(old.Gateway.Addresses, r.Gateway.Addresses)) {
		for _, a := range old.Gateway.Addresses {
			out = append(out, a.Prefix.Addr())
		}
	}
	return out
}

// involving matches connections that have one of the addresses at either end,
// before or after translation.
type involving []netip.Addr

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (v involving) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	for _, ip := range [][]byte{f.Forward.SrcIP, f.Forward.DstIP, f.Reverse.SrcIP, f.Reverse.DstIP} {
		if a, ok := netip.AddrFromSlice(ip); ok && slices.Contains(v, a.Unmap()) {
			return true
		}
	}
	return false
}

func (a *Agent) forget(namespace string, addrs []netip.Addr) error {
	return netns.Do(namespace, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		defer h.Close()
		_, err = h.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, involving(addrs))
		return err
	})
}

// announce tells the neighbours about new addresses.
func (a *Agent) announce(w want, fresh map[string][]netip.Addr) {
	for _, d := range w.devices {
		a.arp.Announce(w.namespace, d.name, fresh[d.name]...)
	}
}

// sweep deletes the namespaces of routers that are not in s, and with them
// everything inside.
func (a *Agent) sweep(s *host.State) (results []Result, err error) {
	names, err := netns.List()
	if err != nil {
		return nil, err
	}
	var errs []error
	prefix := host.RouterNamespace("")
	for _, name := range names {
		id, ok := strings.CutPrefix(name, prefix)
		if !ok || slices.ContainsFunc(s.Routers, func(r host.Router) bool { return r.ID == id }) {
			continue
		}
		if owned, err := netns.Owned(name); err != nil || !owned {
			continue
		}
		a.drop(id)
		err := netns.Delete(name)
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		results = append(results, Result{RouterID: id, Done: []string{"ip netns del " + name}, Err: err})
		errs = append(errs, err)
	}
	return results, errors.Join(errs...)
}

func (a *Agent) drop(id string) {
	if st := a.routers[id]; st != nil {
		st.ns.Close()
		delete(a.routers, id)
	}
}

// Close lets go of the routers and leaves them on the host as they are.
func (a *Agent) Close() {
	a.arp.Close()
	for id := range a.routers {
		a.drop(id)
	}
}
