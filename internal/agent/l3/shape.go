package l3

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/weftnet/weft/internal/agent/wire"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/host"
)

// Names of the devices in a router's namespace begin so.
var (
	internalPrefix = host.RouterDevice("")
	gatewayPrefix  = host.GatewayDevice("")
)

// settings of a router's namespace. ip_forward comes first: the kernel resets
// others with it.
var settings = []wire.Setting{
	{Path: "net/ipv4/ip_forward", Value: "1"},
	{Path: "net/ipv6/conf/all/forwarding", Value: "1"},
	// Only the device that has an address answers for it and names it as sender:
	// two legs may be on the same network.
	{Path: "net/ipv4/conf/all/arp_ignore", Value: "1"},
	{Path: "net/ipv4/conf/all/arp_announce", Value: "2"},
	// Loose: packets may come by another way than they would go (extra routes, two
	// legs on one network). The kernel takes the greater of this and the device's,
	// so that a strict default of the host does not hold here.
	{Path: "net/ipv4/conf/all/rp_filter", Value: "2"},
	// An address that goes must not take others of its subnet along.
	{Path: "net/ipv4/conf/all/promote_secondaries", Value: "1"},
	{Path: "net/ipv6/conf/default/accept_ra", Value: "0"},
}

const defaultMTU = 1500 // where the State does not say

// spaceOf is what a router is in the kernel, its translation left out. One that is
// administratively down keeps its legs, without anything on them.
func spaceOf(r *host.Router) *wire.Space {
	s := &wire.Space{
		Name:     host.RouterNamespace(r.ID),
		Settings: append(slices.Clone(settings), wire.Setting{Path: wire.ProxyNDP, Value: "0"}),
		Prefixes: []string{internalPrefix, gatewayPrefix},
	}
	for i := range r.Interfaces {
		p := &r.Interfaces[i]
		s.Legs = append(s.Legs, legOf(r, p, host.RouterDevice(p.PortID), prefixes(p)))
	}
	for _, g := range r.Gateways() {
		leg := legOf(r, g, host.GatewayDevice(g.PortID), append(prefixes(g), floating(r, g)...))
		if r.AdminUp && r.NDPProxy && g == r.Gateway {
			leg.Proxied = r.Published
		}
		s.Legs = append(s.Legs, leg)
	}
	if r.NDPProxy {
		s.Settings[len(settings)].Value = "1"
	}
	if r.AdminUp {
		s.Routes = routesOf(r)
	}
	return s
}

func legOf(r *host.Router, p *host.RouterPort, device string, addresses []netip.Prefix) wire.Leg {
	l := wire.Leg{
		Device: device, MAC: p.MAC, MTU: p.MTU, Up: r.AdminUp,
		Outer: host.TapName(p.PortID), Alias: mark.Mark{Kind: mark.Port, ID: p.PortID}.String(), Bridge: host.BridgeName(p.NetworkID),
	}
	if l.MTU == 0 {
		l.MTU = defaultMTU
	}
	if r.AdminUp {
		l.Addresses = addresses
	}
	return l
}

func prefixes(p *host.RouterPort) (out []netip.Prefix) {
	for _, a := range p.Addresses {
		out = append(out, a.Prefix)
	}
	return out
}

// floating are the addresses of floating IPs on a gateway: its device has each, or
// nobody would answer for them.
func floating(r *host.Router, g *host.RouterPort) (out []netip.Prefix) {
	for _, f := range r.FloatingIPs {
		if r.GatewayOf(f) == g {
			out = append(out, netip.PrefixFrom(f.Floating, f.Floating.BitLen()))
		}
	}
	return out
}

// routing collects a router's routes.
type routing struct {
	legs   []reach
	routes map[netip.Prefix]wire.Route
	own    map[netip.Addr]bool // addresses of the router itself
	extras map[netip.Prefix]bool
}

// reach is what is on the link of a device.
type reach struct {
	device string
	prefix netip.Prefix
}

// routesOf are the routes that do not come with an address, on-link ones first,
// because the others need them. A later source of routes wins: the kernel's own
// over ours, and a tenant's over the gateway's.
func routesOf(r *host.Router) []wire.Route {
	t := &routing{routes: map[netip.Prefix]wire.Route{}, own: map[netip.Addr]bool{}, extras: map[netip.Prefix]bool{}}
	for i := range r.Interfaces {
		t.connect(&r.Interfaces[i], host.RouterDevice(r.Interfaces[i].PortID))
	}
	for _, g := range r.Gateways() {
		t.connect(g, host.GatewayDevice(g.PortID))
	}
	for _, g := range r.Gateways() {
		device := host.GatewayDevice(g.PortID)
		t.outside(g, device)
		if g == r.Gateway || r.ECMP {
			t.gateway(g, device)
		}
	}
	for _, x := range r.Routes {
		t.extra(x.Destination.Masked(), x.NextHop)
	}
	return t.sorted()
}

func (t *routing) connect(p *host.RouterPort, device string) {
	for _, a := range p.Addresses {
		t.legs = append(t.legs, reach{device, a.Prefix.Masked()})
		t.own[a.Prefix.Addr()] = true
	}
}

// connected reports whether the kernel has a route to just this prefix already. A
// second one would take its place.
func (t *routing) connected(p netip.Prefix) bool {
	return slices.ContainsFunc(t.legs, func(r reach) bool { return r.prefix == p })
}

// outside adds the other subnets of the external network of a gateway. Of two gateways
// on one network the first reaches them.
func (t *routing) outside(p *host.RouterPort, device string) {
	for _, s := range p.Subnets {
		if cidr := s.CIDR.Masked(); !t.connected(cidr) && sameFamily(p, cidr.Addr()) {
			t.onLink(cidr, device)
		}
	}
}

// gateway adds the default routes, one for each family; those of several gateways share
// the traffic.
func (t *routing) gateway(p *host.RouterPort, device string) {
	mine := map[netip.Prefix]bool{}
	for _, a := range p.Addresses {
		i := slices.IndexFunc(p.Subnets, func(s host.Subnet) bool { return s.ID == a.SubnetID })
		if i < 0 || !p.Subnets[i].Gateway.IsValid() {
			continue
		}
		via := p.Subnets[i].Gateway
		dst := anywhere(via)
		if mine[dst] || t.own[via] {
			continue
		}
		mine[dst] = true
		if !t.leads(device, via) && !via.IsLinkLocalUnicast() {
			t.onLink(netip.PrefixFrom(via, via.BitLen()), device)
		}
		if other, have := t.routes[dst]; have {
			t.routes[dst] = other.Join(wire.Hop{Via: via, Device: device})
		} else {
			t.routes[dst] = wire.Route{Dst: dst, Via: via, Device: device}
		}
	}
}

func (t *routing) onLink(p netip.Prefix, device string) {
	t.routes[p] = wire.Route{Dst: p, Device: device}
	t.legs = append(t.legs, reach{device, p})
}

// extra adds a tenant's route, unless it leads nowhere: the API refuses next hops
// that no subnet of the router has, but a subnet may have gone since. Several to one
// destination share its traffic.
func (t *routing) extra(dst netip.Prefix, via netip.Addr) {
	device := t.device(via)
	switch {
	case device == "" || t.own[via] || t.connected(dst):
		return
	case t.extras[dst]:
		t.routes[dst] = t.routes[dst].Join(wire.Hop{Via: via, Device: device})
	default:
		t.routes[dst], t.extras[dst] = wire.Route{Dst: dst, Via: via, Device: device}, true
	}
}

// device is the one that reaches an address on its link, by the longest prefix.
func (t *routing) device(a netip.Addr) (device string) {
	best := -1
	for _, l := range t.legs {
		if l.prefix.Contains(a) && l.prefix.Bits() > best {
			device, best = l.device, l.prefix.Bits()
		}
	}
	return device
}

// leads reports whether a device leads to an address on its link. Of two gateways on
// one network both do.
func (t *routing) leads(device string, a netip.Addr) bool {
	best := t.device(a)
	if best == device || !strings.HasPrefix(best, gatewayPrefix) {
		return best == device
	}
	return slices.ContainsFunc(t.legs, func(l reach) bool { return l.device == device && l.prefix.Contains(a) })
}

func (t *routing) sorted() (out []wire.Route) {
	for _, r := range t.routes {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b wire.Route) int {
		if a.Via.IsValid() != b.Via.IsValid() {
			if b.Via.IsValid() {
				return -1
			}
			return 1
		}
		if c := a.Dst.Addr().Compare(b.Dst.Addr()); c != 0 {
			return c
		}
		return a.Dst.Bits() - b.Dst.Bits()
	})
	return out
}

func sameFamily(p *host.RouterPort, a netip.Addr) bool {
	return slices.ContainsFunc(p.Addresses, func(x host.Address) bool { return x.Prefix.Addr().Is4() == a.Is4() })
}

// anywhere is the destination of a default route.
func anywhere(a netip.Addr) netip.Prefix {
	if a.Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}
