package outside

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/wire"
	"github.com/weftnet/weft/internal/dataplane/arp"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

// Namespace is where the outside world is, unless another weft of this machine has
// that name: see Agent.Name.
const Namespace = "weft-outside"

const (
	devicePrefix = "eth"
	defaultMTU   = 1500
)

// settings make it a router between the subnets it is the gateway of.
var settings = []wire.Setting{
	{Path: "net/ipv4/ip_forward", Value: "1"},
	{Path: "net/ipv6/conf/all/forwarding", Value: "1"},
	{Path: "net/ipv4/conf/all/rp_filter", Value: "2"}, // loose: subnets share a link
	{Path: "net/ipv4/conf/all/promote_secondaries", Value: "1"},
	{Path: "net/ipv6/conf/default/accept_ra", Value: "0"},
}

// Agent keeps the stand-in. It is not safe for concurrent use.
type Agent struct {
	log      *slog.Logger
	root     *link.Handle
	physnets map[string]string
	name     string
	arp      *arp.Announcer
}

// New makes an Agent for the physical networks that have a stand-in, each with the
// name of the interface on the host that stands for it. The handle stays the
// caller's.
func New(log *slog.Logger, root *link.Handle, physnets map[string]string) *Agent {
	return &Agent{log: log, root: root, physnets: physnets, name: Namespace, arp: arp.NewAnnouncer(log)}
}

// Close leaves the stand-in on the host as it is.
func (a *Agent) Close() { a.arp.Close() }

// Name is the namespace's. It is right after Prepare.
func (a *Agent) Name() string { return a.name }

// choose finds a name for the namespace. Names are shared by all whose mounts are the
// same: wefts in network namespaces of one machine. The usual name is for the first;
// another has the number of its network namespace in it.
func (a *Agent) choose(cloud string) error {
	home, err := netns.Home()
	if err != nil {
		return err
	}
	own := Namespace + "-" + home
	for _, name := range []string{own, Namespace} {
		ours, err := netns.Owned(name, cloud)
		if ours {
			a.name = name
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if netns.Exists(Namespace) {
		a.name = own
	}
	return nil
}

// Prepare chooses the namespace and makes the interfaces, without anything behind
// them, where they are not there: the L2 agent wants to find them. Those that are
// there stay as they are.
func (a *Agent) Prepare(ctx context.Context, cloud string) error {
	if err := a.choose(cloud); err != nil {
		return fmt.Errorf("choosing a namespace for the outside: %w", err)
	}
	for _, outer := range a.physnets {
		if _, err := a.root.ByName(outer); errors.Is(err, link.ErrNotFound) {
			_, err := a.Converge(ctx, &host.State{Cloud: cloud})
			return err
		}
	}
	return nil
}

// Converge gives the outside world the gateways of all subnets of the State's flat
// networks that have a stand-in, and returns what it changed.
func (a *Agent) Converge(ctx context.Context, s *host.State) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	want := spaceOf(a.physnets, s).In(s.Cloud)
	want.Name = a.name
	done, err := a.converge(s.Cloud, want)
	for _, text := range done {
		a.log.Debug("outside changed", "op", text)
	}
	if err != nil {
		return done, fmt.Errorf("stand-in for the outside: %w", err)
	}
	return done, nil
}

func (a *Agent) converge(cloud string, want *wire.Space) ([]string, error) {
	k, err := wire.Open(a.root, cloud, want.Name)
	if err != nil {
		return nil, err
	}
	defer k.Close()
	have, err := k.Observe(want)
	if err != nil {
		return nil, err
	}
	p := want.Plan(have)
	failed := map[string]error{}
	done := k.Run(slices.Concat(p.Make, p.Add, p.Remove), failed)
	for device, addrs := range p.New {
		if failed[device] == nil {
			a.arp.Announce(want.Name, device, addrs...)
		}
	}
	return done, errors.Join(slices.Collect(maps.Values(failed))...)
}

// spaceOf is the outside world of a State: eth0, eth1 ... for the physical networks
// in order of name.
func spaceOf(physnets map[string]string, s *host.State) *wire.Space {
	out := &wire.Space{Name: Namespace, Settings: settings, Prefixes: []string{devicePrefix}}
	taken := addresses(s)
	for i, name := range slices.Sorted(maps.Keys(physnets)) {
		l := wire.Leg{
			Device: devicePrefix + strconv.Itoa(i), MTU: defaultMTU, Up: true,
			Outer: physnets[name], Alias: mark.Mark{Kind: mark.Outside, ID: name}.String(),
		}
		for j := range s.Networks {
			n := &s.Networks[j]
			if n.Segment.Type != weft.TypeFlat || n.Segment.PhysicalNetwork != name {
				continue
			}
			l.MTU = max(l.MTU, n.MTU)
			for k := range n.Subnets {
				attach(out, &l, &n.Subnets[k], taken)
			}
		}
		out.Legs = append(out.Legs, l)
	}
	return out
}

// attach puts the outside on a subnet: as its gateway, or else, where a port has the
// gateway's address or there is no gateway, on its link only.
func attach(s *wire.Space, l *wire.Leg, sub *host.Subnet, taken map[netip.Addr]bool) {
	cidr, gw := sub.CIDR.Masked(), sub.Gateway
	switch {
	case gw.IsValid() && !taken[gw] && cidr.Contains(gw):
		l.Addresses = append(l.Addresses, netip.PrefixFrom(gw, cidr.Bits()))
		return
	case gw.Is6() && gw.IsLinkLocalUnicast():
		l.Addresses = append(l.Addresses, netip.PrefixFrom(gw, 64))
	case gw.IsValid() && !taken[gw]:
		l.Addresses = append(l.Addresses, netip.PrefixFrom(gw, gw.BitLen()))
	}
	if !slices.ContainsFunc(s.Routes, func(r wire.Route) bool { return r.Dst == cidr }) {
		s.Routes = append(s.Routes, wire.Route{Dst: cidr, Device: l.Device})
	}
}

// addresses are those that ports of the State's networks have.
func addresses(s *host.State) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	add := func(addrs []host.Address) {
		for _, a := range addrs {
			out[a.Prefix.Addr()] = true
		}
	}
	for i := range s.Networks {
		for j := range s.Networks[i].Leases {
			add(s.Networks[i].Leases[j].Addresses)
		}
		if d := s.Networks[i].DHCP; d != nil {
			add(d.Addresses)
		}
	}
	for i := range s.Routers {
		for j := range s.Routers[i].Interfaces {
			add(s.Routers[i].Interfaces[j].Addresses)
		}
		for _, g := range s.Routers[i].Gateways() {
			add(g.Addresses)
		}
	}
	for i := range s.Ports {
		for _, a := range s.Ports[i].Addresses {
			out[a] = true
		}
	}
	return out
}
