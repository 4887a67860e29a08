package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addrs is the addresses of an interface, link-local ones included, each with its
// prefix length.
func (h *Handle) Addrs(index int) ([]netip.Prefix, error) {
	var out []netip.Prefix
	all, err := retried(func() ([]netlink.Addr, error) { return h.nl.AddrList(device(index), netlink.FAMILY_ALL) })
	if err != nil {
		return nil, h.naming(err, "listing addresses of", index)
	}
	for _, a := range all {
		if p, ok := prefix(a.IPNet); ok {
			out = append(out, p)
		}
	}
	return out, nil
}

// AddAddr gives an interface an address. IPv6 addresses are valid at once:
// nobody else can have them, so the kernel need not ask. An address that is there
// already is no error.
func (h *Handle) AddAddr(index int, p netip.Prefix) error {
	a := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	if err := h.nl.AddrAdd(device(index), a); err != nil && !errors.Is(err, unix.EEXIST) {
		return h.naming(err, fmt.Sprintf("adding address %s to", p), index)
	}
	return nil
}

// DeleteAddr takes an address from an interface. One that is not there is no
// error.
func (h *Handle) DeleteAddr(index int, p netip.Prefix) error {
	err := h.nl.AddrDel(device(index), &netlink.Addr{IPNet: ipNet(p)})
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return h.naming(err, fmt.Sprintf("deleting address %s of", p), index)
	}
	return nil
}

// Route is a unicast route of a routing table.
type Route struct {
	Dst      netip.Prefix // 0.0.0.0/0 or ::/0 is the default route
	Via      netip.Addr   // invalid: the destination is on the link
	Link     int
	Src      netip.Addr // preferred source; invalid: the kernel's choice
	Metric   int
	Table    int // 0: main
	Protocol int // who made it; 0 when making one: unix.RTPROT_STATIC
	OnLink   bool
	More     []Hop // ways of equal cost beside Via and Link
}

// Hop is one of several ways that a route goes.
type Hop struct {
	Via  netip.Addr
	Link int
}

// Routes is the unicast routes of the main table by way of an interface, or of
// all interfaces if index is 0, with those that the kernel made for addresses
// (Protocol unix.RTPROT_KERNEL).
func (h *Handle) Routes(index int) ([]Route, error) {
	filter, mask := &netlink.Route{Table: unix.RT_TABLE_MAIN, LinkIndex: index}, netlink.RT_FILTER_TABLE
	if index != 0 {
		mask |= netlink.RT_FILTER_OIF
	}
	all, err := retried(func() ([]netlink.Route, error) {
		return h.nl.RouteListFiltered(netlink.FAMILY_ALL, filter, mask)
	})
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	var out []Route
	for i := range all {
		if all[i].Type == unix.RTN_UNICAST {
			out = append(out, fromKernel(&all[i]))
		}
	}
	return out, nil
}

func fromKernel(k *netlink.Route) Route {
	r := Route{Link: k.LinkIndex, Metric: k.Priority, Protocol: int(k.Protocol), OnLink: k.Flags&unix.RTNH_F_ONLINK != 0}
	if k.Table != unix.RT_TABLE_MAIN {
		r.Table = k.Table
	}
	r.Dst, _ = prefix(k.Dst)
	if k.Dst == nil {
		r.Dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if k.Family == unix.AF_INET6 {
			r.Dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
	}
	r.Via, r.Src = addr(k.Gw), addr(k.Src)
	for i, hop := range k.MultiPath {
		if i == 0 {
			r.Via, r.Link = addr(hop.Gw), hop.LinkIndex
			continue
		}
		r.More = append(r.More, Hop{addr(hop.Gw), hop.LinkIndex})
	}
	return r
}

// ReplaceRoute makes a route, in the place of the one with the same destination,
// metric and table if there is one.
func (h *Handle) ReplaceRoute(r Route) error {
	if err := h.nl.RouteReplace(r.toKernel()); err != nil {
		return fmt.Errorf("making route %s: %w", r, err)
	}
	return nil
}

// DeleteRoute deletes a route. One that is not there is no error.
func (h *Handle) DeleteRoute(r Route) error {
	if err := h.nl.RouteDel(r.toKernel()); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("deleting route %s: %w", r, err)
	}
	return nil
}

func (r Route) toKernel() *netlink.Route {
	k := &netlink.Route{
		Dst: ipNet(r.Dst), LinkIndex: r.Link, Priority: r.Metric, Table: r.Table,
		Protocol: netlink.RouteProtocol(r.Protocol), Scope: netlink.SCOPE_UNIVERSE,
	}
	if r.Protocol == 0 {
		k.Protocol = unix.RTPROT_STATIC
	}
	if r.Via.IsValid() {
		k.Gw = r.Via.AsSlice()
	} else if r.Dst.Addr().Is4() {
		k.Scope = netlink.SCOPE_LINK
	}
	if len(r.More) > 0 {
		k.MultiPath = []*netlink.NexthopInfo{{LinkIndex: r.Link, Gw: k.Gw}}
		for _, hop := range r.More {
			k.MultiPath = append(k.MultiPath, &netlink.NexthopInfo{LinkIndex: hop.Link, Gw: hop.Via.AsSlice()})
		}
		k.LinkIndex, k.Gw = 0, nil
	}
	if r.Src.IsValid() {
		k.Src = r.Src.AsSlice()
	}
	if r.OnLink {
		k.Flags = unix.RTNH_F_ONLINK
	}
	return k
}

func (r Route) String() string {
	s := r.Dst.String()
	if r.Via.IsValid() {
		s += " via " + r.Via.String()
	}
	s = fmt.Sprintf("%s dev %d", s, r.Link)
	for _, hop := range r.More {
		s += fmt.Sprintf(" or via %s dev %d", hop.Via, hop.Link)
	}
	return s
}

// retried repeats a list that the kernel says is torn.
func retried[T any](f func() (T, error)) (v T, err error) {
	for range 20 {
		if v, err = f(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return v, err
}

func device(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func prefix(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	bits, _ := n.Mask.Size()
	a := addr(n.IP)
	return netip.PrefixFrom(a, bits), a.IsValid()
}

func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
