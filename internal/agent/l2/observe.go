package l2

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/host"
)

// networkAlias marks what a network is made of.
func networkAlias(s *host.State, id string) string {
	return mark.Mark{Kind: mark.Network, ID: id, Cloud: s.Cloud}.String()
}

// subPortAlias marks the VLAN device of a trunk's subport.
func subPortAlias(s *host.State, id string) string {
	return mark.Mark{Kind: mark.SubPort, ID: id, Cloud: s.Cloud}.String()
}

// observed is the part of the kernel's state that plans depend on.
type observed struct {
	cloud      string      // whose agent looks
	links      []link.Link // by index
	byName     map[string]link.Link
	byIndex    map[int]link.Link
	entries    bool // whether forwards and neighbours were looked at
	forwards   map[int][]link.Forward
	neighbours map[int][]link.Neighbour
	addrs      map[int][]netip.Prefix // IPv4, of physical interfaces and bridges that may have theirs
	routes     map[int][]link.Route   // IPv4, not made by the kernel; of the same

	wired map[string]int // taps that were on their bridges before, with their indexes
	added map[string]int // those of them that weft put there
}

// observe reads the kernel. The entries of tunnels are left out if known has all
// of them.
func observe(h *link.Handle, cfg *Config, s *host.State, known *tunnels) (*observed, error) {
	links, err := h.List()
	if err != nil {
		return nil, err
	}
	o := observedBy(s.Cloud, links)
	return o, o.details(h, cfg, s, known)
}

// details reads what events of interfaces say nothing about.
func (o *observed) details(h *link.Handle, cfg *Config, s *host.State, known *tunnels) (err error) {
	if o.entries = !known.have(s, o); o.entries {
		if o.forwards, err = h.Forwards(); err != nil {
			return err
		}
		if cfg.ARPProxy {
			if o.neighbours, err = h.Neighbours(); err != nil {
				return err
			}
		}
	}
	for _, index := range o.addressed(cfg) {
		if err := o.observeAddresses(h, index); err != nil {
			return err
		}
	}
	return nil
}

func observedBy(cloud string, links []link.Link) *observed {
	o := newObserved(links)
	o.cloud = cloud
	return o
}

func newObserved(links []link.Link) *observed {
	o := &observed{links: links, byName: make(map[string]link.Link, len(links)), byIndex: make(map[int]link.Link, len(links)),
		entries: true, addrs: map[int][]netip.Prefix{}, routes: map[int][]link.Route{}}
	for _, l := range links {
		o.byName[l.Name] = l
		o.byIndex[l.Index] = l
	}
	return o
}

// addressed picks the interfaces that may have addresses of the host which are our
// concern: physical ones, and bridges of ours with a port that is neither a tap nor
// ours.
func (o *observed) addressed(cfg *Config) []int {
	var indexes []int
	for _, l := range o.links {
		if isPhysical(cfg, l) {
			indexes = append(indexes, l.Index)
		}
		if l.Master != 0 && !isTap(l) && !o.ours(l) && o.bridgeOfOurs(o.byIndex[l.Master]) {
			indexes = append(indexes, l.Master)
		}
	}
	return indexes
}

func (o *observed) observeAddresses(h *link.Handle, index int) error {
	addrs, err := h.Addrs(index)
	if err != nil {
		return err
	}
	o.addrs[index] = slices.DeleteFunc(addrs, func(p netip.Prefix) bool { return !p.Addr().Is4() })
	routes, err := h.Routes(index)
	if err != nil {
		return err
	}
	o.routes[index] = slices.DeleteFunc(routes, func(r link.Route) bool {
		return !r.Dst.Addr().Is4() || r.Protocol == unix.RTPROT_KERNEL
	})
	// Routes on the link come first: gateways must be reachable by them.
	slices.SortStableFunc(o.routes[index], func(a, b link.Route) int { return boolOrder(a.Via.IsValid(), b.Via.IsValid()) })
	return nil
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// ours reports whether a link is one that this cloud has made.
func (o *observed) ours(l link.Link) bool { return mark.Of(o.cloud, l.Alias) && l.Name != "lo" }

// oursFor is ours, for that kind of thing; it returns the id of what the link is for.
func (o *observed) oursFor(kind string, l link.Link) (id string, ok bool) {
	m, ok := mark.Parse(l.Alias)
	return m.ID, ok && m.Cloud == o.cloud && m.Kind == kind
}

// plugged reports whether `weft plug` made a tap for this cloud.
func (o *observed) plugged(l link.Link) bool {
	_, ok := o.oursFor(mark.Plug, l)
	return ok
}

func isTap(l link.Link) bool { return strings.HasPrefix(l.Name, "tap") }

func (o *observed) bridgeOfOurs(l link.Link) bool {
	_, ok := o.oursFor(mark.Network, l)
	return ok && l.Type == "bridge"
}

func isPhysical(cfg *Config, l link.Link) bool {
	for _, name := range cfg.Physnets {
		if name == l.Name {
			return true
		}
	}
	return false
}
