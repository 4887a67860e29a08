package firewall

import (
	"net/netip"
	"reflect"
	"slices"

	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/host"
)

// place is an address in a network's zone.
type place struct {
	zone uint16
	addr netip.Addr
}

// closed is where, between two States, something was closed: addresses with the
// port that has them now, nil if none does. Opening closes nothing. A state before
// that is not known closes nothing either.
func closed(old, s *host.State) map[place]*host.Port {
	if old == nil {
		return nil
	}
	d := difference{old: newCompiler(old), new: newCompiler(s), seen: map[string]bool{}}
	ports := make(map[string]*host.Port, len(s.Ports))
	for i := range s.Ports {
		ports[s.Ports[i].ID] = &s.Ports[i]
	}
	out := map[place]*host.Port{}
	oldZones := zones(old.Networks)
	for i := range old.Ports {
		was := &old.Ports[i]
		now := ports[was.ID]
		if now != nil && now.NetworkID == was.NetworkID && !d.closes(was, now) {
			continue
		}
		for _, a := range addresses(was) {
			place := place{oldZones[was.NetworkID], a}
			out[place] = nil
			if now != nil && now.NetworkID == was.NetworkID && slices.Contains(addresses(now), a) {
				out[place] = now
			}
		}
	}
	return out
}

// addresses are those that connections of a port have.
func addresses(p *host.Port) []netip.Addr {
	out := slices.Clone(p.Addresses)
	for _, pair := range p.Pairs {
		if pair.Prefix.IsSingleIP() {
			out = append(out, pair.Prefix.Addr())
		}
	}
	return out
}

// difference tells whether rules were closed between two States; ports with equal
// groups are looked at once.
type difference struct {
	old, new *compiler
	seen     map[string]bool
}

func (d *difference) closes(was, now *host.Port) bool {
	switch {
	case !filtered(now):
		return false
	case !filtered(was):
		return true
	}
	for _, a := range addresses(was) {
		if !slices.Contains(addresses(now), a) {
			return true
		}
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

// everyPort is where filtered ports are.
func everyPort(s *host.State) map[place]*host.Port {
	zones := zones(s.Networks)
	out := make(map[place]*host.Port, len(s.Ports))
	for i := range s.Ports {
		for _, a := range addresses(&s.Ports[i]) {
			out[place{zones[s.Ports[i].NetworkID], a}] = &s.Ports[i]
		}
	}
	return out
}

// judge decides what becomes of connections.
type judge struct {
	compiler *compiler
	watched  map[place]*host.Port // connections of these are judged
	revive   map[place]*host.Port // ... and, once cut, those of these
}

func (j *judge) decide(f *conntrack.Flow) conntrack.Action {
	mark := uint32(cutMark)
	switch watched, verdict := j.verdict(j.watched, f); {
	case watched && verdict == gone:
		return conntrack.Action{Delete: true}
	case watched && verdict == refused && f.Mark != cutMark:
		return conntrack.Action{Mark: &mark}
	}
	if f.Mark != cutMark || j.revive == nil {
		return conntrack.Action{}
	}
	_, verdict := j.verdict(j.revive, f)
	return conntrack.Action{Delete: verdict == admitted}
}

const (
	admitted = iota
	refused
	gone
)

// verdict is what becomes of a flow if one of the ports has an end of it.
func (j *judge) verdict(ports map[place]*host.Port, f *conntrack.Flow) (watched bool, verdict int) {
	for _, ingress := range []bool{false, true} {
		addr := f.Orig.Src
		if ingress {
			addr = f.Orig.Dst
		}
		port, ok := ports[place{f.Zone, addr}]
		if !ok {
			continue
		}
		watched = true
		switch {
		case port == nil:
			return true, gone
		case filtered(port) && !j.admits(port, ingress, &f.Orig):
			verdict = refused
		}
	}
	return watched, verdict
}

// admits is what a port's chain of rules would say to the first packet.
func (j *judge) admits(p *host.Port, ingress bool, t *conntrack.Tuple) bool {
	found := false
	j.compiler.each(p.Groups, func(r *host.Rule) {
		found = found || r.Ingress == ingress && r.IPv6 == t.Src.Is6() && admitsProtocol(r, t) && j.admitsRemote(r, t)
	})
	return found
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
