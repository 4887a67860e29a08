package firewall

import (
	"net/netip"
	"reflect"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/host"
)

// change is what was closed between two States. Opening closes nothing.
type change struct {
	closed map[string]bool // ids of ports for which connections may no longer be admitted
	left   []*host.Port    // ports as they were, that are gone or have fewer addresses
}

func (c *change) empty() bool { return len(c.closed) == 0 && len(c.left) == 0 }

// changes compares two States. Of a State that is not known anything may be closed
// since: rules may have gone while nobody was there to end their connections.
func changes(old, s *host.State) change {
	c := change{closed: map[string]bool{}}
	if old == nil {
		for i := range s.Ports {
			c.closed[s.Ports[i].ID] = true
		}
		return c
	}
	d := difference{old: newCompiler(old), new: newCompiler(s), seen: map[string]bool{}}
	now := portsByID(s)
	for i := range old.Ports {
		was := &old.Ports[i]
		is := now[was.ID]
		if is == nil || is.NetworkID != was.NetworkID || d.addressesLeft(was, is) {
			c.left = append(c.left, was)
		}
		if is != nil && d.closes(was, is) {
			c.closed[was.ID] = true
		}
	}
	return c
}

func portsByID(s *host.State) map[string]*host.Port {
	out := make(map[string]*host.Port, len(s.Ports))
	for i := range s.Ports {
		out[s.Ports[i].ID] = &s.Ports[i]
	}
	return out
}

// own is the addresses from which a port may send.
func own(p *host.Port) []netip.Prefix {
	single := func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
	out := []netip.Prefix{single(weft.EUI64(linkLocal, p.MAC))}
	for _, a := range p.Addresses {
		out = append(out, single(a))
	}
	for _, pair := range p.Pairs {
		out = append(out, pair.Prefix.Masked())
		if !pair.MAC.IsZero() && pair.MAC != p.MAC {
			out = append(out, single(weft.EUI64(linkLocal, pair.MAC)))
		}
	}
	if len(p.Addresses) == 0 {
		out = append(out, netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	}
	return out
}

func owns(p *host.Port, a netip.Addr) bool {
	return slices.ContainsFunc(own(p), func(x netip.Prefix) bool { return x.Contains(a) })
}

// difference tells whether rules were closed between two States; ports with equal
// groups are looked at once.
type difference struct {
	old, new *compiler
	seen     map[string]bool
}

func (d *difference) addressesLeft(was, now *host.Port) bool {
	if was.MAC == now.MAC && slices.Equal(was.Addresses, now.Addresses) && slices.Equal(was.Pairs, now.Pairs) {
		return false
	}
	have := own(now)
	return slices.ContainsFunc(own(was), func(p netip.Prefix) bool { return !slices.Contains(have, p) })
}

func (d *difference) closes(was, now *host.Port) bool {
	switch {
	case !filtered(now):
		return false
	case !filtered(was):
		return true
	}
	key := comboName(was.Groups) + comboName(now.Groups)
	result, done := d.seen[key]
	if !done {
		result = d.rulesClosed(was.Groups, now.Groups)
		d.seen[key] = result
	}
	return result
}

func (d *difference) rulesClosed(was, now []string) bool {
	remain := map[host.Rule]bool{}
	d.new.each(now, func(r *host.Rule) { remain[nameless(r)] = true })
	closed := false
	d.old.each(was, func(r *host.Rule) {
		closed = closed || !remain[nameless(r)] || r.RemoteGroup != "" && d.membersLeft(r.RemoteGroup)
	})
	return closed
}

func nameless(r *host.Rule) host.Rule {
	out := *r
	out.ID = ""
	return out
}

func (d *difference) membersLeft(group string) bool {
	result, done := d.seen["members "+group]
	if !done {
		now := make(map[netip.Prefix]bool, len(d.new.members[group]))
		for _, m := range d.new.members[group] {
			now[m] = true
		}
		result = slices.ContainsFunc(d.old.members[group], func(m netip.Prefix) bool { return !now[m] })
		d.seen["members "+group] = result
	}
	return result
}

// sameRules reports whether two States admit the same.
func sameRules(a, b *host.State) bool {
	return len(a.Ports) == len(b.Ports) && reflect.DeepEqual(a.Groups, b.Groups) && reflect.DeepEqual(a.Members, b.Members) &&
		slices.EqualFunc(a.Ports, b.Ports, func(x, y host.Port) bool {
			return x.ID == y.ID && filtered(&x) == filtered(&y) && slices.Equal(x.Groups, y.Groups)
		})
}

// place is an address in a network's zone.
type place struct {
	zone uint16
	addr netip.Addr
}

// places tells whose an address is. Several ports may share one, by pairs.
type places struct {
	exact map[place][]*host.Port
	wide  map[uint16][]wide // by zone: ports with whole prefixes, or with any address
}

type wide struct {
	prefix netip.Prefix
	port   *host.Port
}

func newPlaces() *places {
	return &places{map[place][]*host.Port{}, map[uint16][]wide{}}
}

func (w *places) add(zone uint16, p *host.Port) {
	for _, x := range own(p) {
		if x.IsSingleIP() {
			at := place{zone, x.Addr()}
			w.exact[at] = append(w.exact[at], p)
		} else {
			w.wide[zone] = append(w.wide[zone], wide{x, p})
		}
	}
}

// within is the ports that have the address in a prefix only.
func (w *places) within(at place) (out []*host.Port) {
	for _, x := range w.wide[at.zone] {
		if x.prefix.Contains(at.addr) {
			out = append(out, x.port)
		}
	}
	return out
}

// at is the ports that have the address; those that have it for itself come before
// those that have all around it.
func (w *places) at(at place) []*host.Port {
	if p := w.exact[at]; len(p) > 0 {
		return p
	}
	return w.within(at)
}

// judge decides what becomes of connections.
type judge struct {
	compiler *compiler
	now      *places
	ports    map[string]*host.Port
	left     *places         // of ports as they were
	closed   map[string]bool // connections of these are judged
	revive   bool            // ... and all that were cut
}

func newJudge(s *host.State, c change, zones, before map[string]uint16) *judge {
	j := &judge{compiler: newCompiler(s), now: newPlaces(), ports: portsByID(s), left: newPlaces(), closed: c.closed}
	for i := range s.Ports {
		j.now.add(zones[s.Ports[i].NetworkID], &s.Ports[i])
	}
	for _, p := range c.left {
		j.left.add(before[p.NetworkID], p)
	}
	return j
}

func (j *judge) decide(f *conntrack.Flow) conntrack.Action {
	if f.Zone == 0 {
		return conntrack.Action{} // the host's own
	}
	ends := []end{{place{f.Zone, f.Orig.Src}, false}, {place{f.Zone, f.Orig.Dst}, true}}
	if slices.ContainsFunc(ends, j.gone) {
		return conntrack.Action{Delete: true}
	}
	judged := f.Mark == cutMark && j.revive || slices.ContainsFunc(ends, j.touched)
	if !judged {
		return conntrack.Action{}
	}
	refused := slices.ContainsFunc(ends, func(e end) bool { return j.refused(e, &f.Orig) })
	mark := uint32(cutMark)
	switch {
	case refused && f.Mark != cutMark:
		return conntrack.Action{Mark: &mark}
	case !refused && f.Mark == cutMark:
		return conntrack.Action{Delete: true} // and begins anew
	}
	return conntrack.Action{}
}

// end is one end of a flow.
type end struct {
	place
	ingress bool // the one that was spoken to
}

// gone reports whether the end was a port's that does not have the address any
// more.
func (j *judge) gone(e end) bool {
	lost := func(was *host.Port) bool {
		is := j.ports[was.ID]
		return is == nil || is.NetworkID != was.NetworkID || !owns(is, e.addr)
	}
	if slices.ContainsFunc(j.left.exact[e.place], lost) {
		return true
	}
	return len(j.now.at(e.place)) == 0 && slices.ContainsFunc(j.left.within(e.place), lost)
}

func (j *judge) touched(e end) bool {
	return slices.ContainsFunc(j.now.at(e.place), func(p *host.Port) bool { return j.closed[p.ID] })
}

// refused reports whether none of the ports with the address would have the first
// packet.
func (j *judge) refused(e end, t *conntrack.Tuple) bool {
	ports := j.now.at(e.place)
	admits := func(p *host.Port) bool { return !filtered(p) || j.admits(p, e.ingress, t) }
	return len(ports) > 0 && !slices.ContainsFunc(ports, admits)
}

// admits is what the chains of a port would say to the first packet.
func (j *judge) admits(p *host.Port, ingress bool, t *conntrack.Tuple) bool {
	found := always(ingress, t)
	j.compiler.each(p.Groups, func(r *host.Rule) {
		found = found || r.Ingress == ingress && r.IPv6 == t.Src.Is6() && admitsProtocol(r, t) && j.admitsRemote(r, t)
	})
	return found
}

// always is what chains "egress" and "ingress" let pass whatever the groups say.
func always(ingress bool, t *conntrack.Tuple) bool {
	client, server := uint16(68), uint16(67)
	if t.Src.Is6() {
		client, server = 546, 547
	}
	if ingress {
		client, server = server, client
	}
	switch t.Protocol {
	case protoUDP:
		return t.SPort == client && t.DPort == server
	case protoICMPv6:
		return t.Src.Is6() && (!ingress || slices.Contains([]uint8{mldQuery, routerAdvert, neighbourSolicit, neighbourAdvert}, t.Type))
	}
	return false
}

func admitsProtocol(r *host.Rule, t *conntrack.Tuple) bool {
	p := protocol(r)
	switch {
	case p < 0:
		return true
	case p != int(t.Protocol):
		return false
	case hasPorts(p) && (r.Min >= 0 || r.Max >= 0):
		lo, hi := portRange(r)
		return lo <= int(t.DPort) && int(t.DPort) <= hi
	case p == protoICMP || p == protoICMPv6:
		return (r.Min < 0 || r.Min == int(t.Type)) && (r.Max < 0 || r.Max == int(t.Code))
	}
	return true
}

func (j *judge) admitsRemote(r *host.Rule, t *conntrack.Tuple) bool {
	remote := t.Dst
	if r.Ingress {
		remote = t.Src
	}
	if r.RemoteGroup == "" {
		return !r.Remote.IsValid() || r.Remote.Contains(remote)
	}
	return slices.ContainsFunc(j.compiler.members[r.RemoteGroup], func(m netip.Prefix) bool { return m.Contains(remote) })
}
