package wire

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
)

// Space is a namespace as it shall be.
type Space struct {
	Name     string
	Settings []Setting
	Legs     []Leg
	Routes   []Route  // what is not reached by a leg's addresses; on-link ones first
	Prefixes []string // devices whose names begin so are legs: one that is not in Legs goes
}

// In is the Space as one of the cloud's: its legs are marked so.
func (s *Space) In(cloud string) *Space {
	for i := range s.Legs {
		m, _ := mark.Parse(s.Legs[i].Alias)
		m.Cloud = cloud
		s.Legs[i].Alias = m.String()
	}
	return s
}

// ProxyNDP is the path of the Setting without which the kernel does not answer for
// what is Proxied. A Space that has Proxied somewhere has it among its Settings.
const ProxyNDP = "net/ipv6/conf/all/proxy_ndp"

// Setting is a kernel setting of the namespace. A kernel that lacks it is no error.
type Setting struct {
	Path  string // below /proc/sys
	Value string
}

// Leg is a veth pair from the namespace to the host.
type Leg struct {
	Device    string   // end in the namespace
	MAC       weft.MAC // of that end; zero: any
	MTU       int
	Up        bool // of that end; the other is always up
	Addresses []netip.Prefix
	Proxied   []netip.Addr // IPv6 addresses it answers for as if they were its own
	Outer     string       // end on the host
	Alias     string       // of that end: a mark
	Bridge    string       // of that end; empty: somebody else's affair
}

// Route is a route of the namespace's main table. At most one leads to each
// destination.
type Route struct {
	Dst    netip.Prefix
	Via    netip.Addr // invalid: on the link
	Device string
	More   []Hop // ways of equal cost; see Join
}

// Hop is one of several ways that a route goes.
type Hop struct {
	Via    netip.Addr
	Device string
}

// Equal reports whether routes lead to the same by the same ways.
func (r Route) Equal(o Route) bool {
	return r.Dst == o.Dst && r.Via == o.Via && r.Device == o.Device && slices.Equal(r.More, o.More)
}

// Join is the route with one more way. The ways are in the order of their next hops.
func (r Route) Join(h Hop) Route {
	hops := append(slices.Clone(r.More), Hop{r.Via, r.Device}, h)
	slices.SortFunc(hops, func(a, b Hop) int { return cmp.Or(a.Via.Compare(b.Via), strings.Compare(a.Device, b.Device)) })
	hops = slices.Compact(hops)
	return Route{Dst: r.Dst, Via: hops[0].Via, Device: hops[0].Device, More: hops[1:]}
}

// devices are those that the route needs.
func (r Route) devices() []string {
	all := []string{r.Device}
	for _, h := range r.More {
		all = append(all, h.Device)
	}
	return all
}

// Observed is what the kernel has of a Space.
type Observed struct {
	Exists    bool                      // the namespace
	Settings  map[string]string         // those the kernel has
	Bridges   map[string]int            // index by name
	Outer     map[string]link.Link      // by name, of the Space's legs
	Inner     map[string]link.Link      // by name, everything in the namespace
	Addresses map[string][]netip.Prefix // by device
	Proxied   map[string][]netip.Addr   // by device
	Routes    []Route                   // made by hand or by us, not by the kernel
}

// paired reports whether both ends of the leg are there and belong together.
func (o *Observed) paired(l Leg) bool {
	out, in := o.Outer[l.Outer], o.Inner[l.Device]
	return out.Index != 0 && in.Index != 0 && out.Peer == in.Index && in.Peer == out.Index
}
