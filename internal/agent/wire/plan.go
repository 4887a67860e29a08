package wire

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/weftnet/weft/internal/dataplane/link"
)

// Op is one change. Its text is how one would do it by hand.
type Op struct {
	Text   string
	Device string // the leg it is for; empty: the whole namespace
	run    func(*Kernel) error
}

// Plan is the way to a Space in three parts. Between them the caller may do what
// has to be in force before traffic comes: nothing has a new address before Add,
// and nothing that is wanted loses one before Remove.
type Plan struct {
	Make, Add, Remove []Op
	New               map[string][]netip.Addr // addresses that come or move to another MAC, by device
}

// Plan is the way from what the kernel has to the Space. It is empty where they
// agree.
func (s *Space) Plan(have Observed) Plan {
	p := &planning{want: s, have: have, settled: map[string]bool{}, plan: Plan{New: map[string][]netip.Addr{}}}
	p.namespace()
	for _, l := range s.Legs {
		p.leg(l)
	}
	p.stale()
	for _, l := range s.Legs {
		p.addresses(l)
		p.proxied(l)
	}
	p.routes()
	return p.plan
}

type planning struct {
	want    *Space
	have    Observed
	settled map[string]bool // devices that stay as they are, with their routes
	plan    Plan
}

func (p *planning) namespace() {
	name := p.want.Name
	if !p.have.Exists {
		p.plan.Make = append(p.plan.Make, Op{"ip netns add " + name, "", (*Kernel).makeNamespace})
	}
	for _, s := range p.want.Settings {
		is, known := p.have.Settings[s.Path]
		if is == s.Value || !known && p.have.Exists {
			continue
		}
		text := "ip netns exec " + name + " sysctl -w " + strings.ReplaceAll(s.Path, "/", ".") + "=" + s.Value
		p.plan.Make = append(p.plan.Make, Op{text, "", func(k *Kernel) error { return k.set(s) }})
	}
}

func (p *planning) leg(l Leg) {
	if !p.have.paired(l) {
		p.replace(l)
		return
	}
	p.settled[l.Device] = true
	p.outer(l)
	p.inner(l, p.have.Inner[l.Device])
}

func (p *planning) replace(l Leg) {
	do := func(text string, run func(*Kernel) error) { p.plan.Make = append(p.plan.Make, Op{text, l.Device, run}) }
	if out := p.have.Outer[l.Outer]; out.Index != 0 {
		do("ip link del "+l.Outer, func(k *Kernel) error { return k.deleteOuter(out) })
	}
	if in := p.have.Inner[l.Device]; in.Index != 0 {
		do("ip -n "+p.want.Name+" link del "+l.Device, func(k *Kernel) error { return k.ns.Delete(in.Index) })
	}
	bridge := p.have.Bridges[l.Bridge]
	text := "ip link add " + l.Outer + " mtu " + strconv.Itoa(l.MTU) + " alias " + l.Alias + " addrgenmode none up"
	if bridge != 0 {
		text += " master " + l.Bridge
	}
	text += " type veth peer name " + l.Device
	if !l.MAC.IsZero() {
		text += " address " + l.MAC.String()
	}
	text += " mtu " + strconv.Itoa(l.MTU) + " netns " + p.want.Name
	do(text, func(k *Kernel) error { return k.makeLeg(l, bridge) })
	p.inner(l, link.Link{MAC: l.MAC, MTU: l.MTU})
}

// outer mends the host end. It never gets an address of its own: nobody must
// reach the host by it.
func (p *planning) outer(l Leg) {
	have := p.have.Outer[l.Outer]
	set := func(what string, changes ...link.Change) {
		p.plan.Make = append(p.plan.Make, Op{"ip link set " + l.Outer + " " + what, l.Device,
			func(k *Kernel) error { return k.root.Set(have.Index, changes...) }})
	}
	if have.MTU != l.MTU {
		set("mtu "+strconv.Itoa(l.MTU), link.MTU(l.MTU))
	}
	if have.Alias != l.Alias {
		set("alias "+l.Alias, link.Alias(l.Alias))
	}
	if bridge := p.have.Bridges[l.Bridge]; bridge != 0 && have.Master != bridge {
		set("master "+l.Bridge, link.Master(bridge))
	}
	if !have.Up {
		set("addrgenmode none up", link.NoAutoIPv6(), link.Up(true))
	}
}

func (p *planning) inner(l Leg, have link.Link) {
	set := func(what string, change link.Change) {
		p.plan.Make = append(p.plan.Make, Op{"ip -n " + p.want.Name + " link set " + l.Device + " " + what, l.Device,
			func(k *Kernel) error { return k.inside(l.Device, func(i int) error { return k.ns.Set(i, change) }) }})
	}
	if have.MAC != l.MAC && !l.MAC.IsZero() {
		set("address "+l.MAC.String(), link.MAC(l.MAC))
		p.plan.New[l.Device] = hosts(l.Addresses)
	}
	if have.MTU != l.MTU {
		set("mtu "+strconv.Itoa(l.MTU), link.MTU(l.MTU))
	}
	if have.Up != l.Up {
		set(map[bool]string{true: "up", false: "down"}[l.Up], link.Up(l.Up))
	}
}

// stale takes legs away that are not wanted. They go before addresses come: the
// successor of a leg often has its addresses, and two that answer for one address
// are worse than a moment without.
func (p *planning) stale() {
	wanted := map[string]bool{}
	for _, l := range p.want.Legs {
		wanted[l.Device] = true
	}
	for _, name := range slices.Sorted(maps.Keys(p.have.Inner)) {
		is := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if wanted[name] || !slices.ContainsFunc(p.want.Prefixes, is) {
			if !wanted[name] {
				p.settled[name] = true
			}
			continue
		}
		index := p.have.Inner[name].Index
		p.plan.Add = append(p.plan.Add, Op{"ip -n " + p.want.Name + " link del " + name, name, func(k *Kernel) error { return k.ns.Delete(index) }})
	}
}

func (p *planning) addresses(l Leg) {
	have := p.have.Addresses[l.Device]
	if !p.settled[l.Device] {
		have = nil
	}
	op := func(what string, a netip.Prefix, run func(k *Kernel, index int) error) Op {
		return Op{"ip -n " + p.want.Name + " addr " + what + " " + a.String() + " dev " + l.Device, l.Device,
			func(k *Kernel) error { return k.inside(l.Device, func(i int) error { return run(k, i) }) }}
	}
	for _, a := range l.Addresses {
		if slices.Contains(have, a) {
			continue
		}
		p.plan.Add = append(p.plan.Add, op("add", a, func(k *Kernel, i int) error { return k.ns.AddAddr(i, a) }))
		if !slices.Contains(p.plan.New[l.Device], a.Addr()) {
			p.plan.New[l.Device] = append(p.plan.New[l.Device], a.Addr())
		}
	}
	for _, a := range have {
		own := a.Addr().Is6() && a.Addr().IsLinkLocalUnicast() // the kernel's, of the device's MAC
		if !slices.Contains(l.Addresses, a) && !own {
			p.plan.Remove = append(p.plan.Remove, op("del", a, func(k *Kernel, i int) error { return k.ns.DeleteAddr(i, a) }))
		}
	}
}

func (p *planning) proxied(l Leg) {
	have := p.have.Proxied[l.Device]
	if !p.settled[l.Device] {
		have = nil
	}
	op := func(what string, a netip.Addr, run func(k *Kernel, index int) error) Op {
		return Op{"ip -n " + p.want.Name + " -6 neigh " + what + " proxy " + a.String() + " dev " + l.Device, l.Device,
			func(k *Kernel) error { return k.inside(l.Device, func(i int) error { return run(k, i) }) }}
	}
	for _, a := range l.Proxied {
		if !slices.Contains(have, a) {
			p.plan.Add = append(p.plan.Add, op("add", a, func(k *Kernel, i int) error { return k.ns.AddProxy(i, a) }))
		}
	}
	for _, a := range have {
		if !slices.Contains(l.Proxied, a) {
			p.plan.Remove = append(p.plan.Remove, op("del", a, func(k *Kernel, i int) error { return k.ns.DeleteProxy(i, a) }))
		}
	}
}

func hosts(prefixes []netip.Prefix) (out []netip.Addr) {
	for _, p := range prefixes {
		out = append(out, p.Addr())
	}
	return out
}

// routes replaces before it deletes. A replaced route need not be deleted: the
// kernel has put the new one in its place.
func (p *planning) routes() {
	replaced := map[netip.Prefix]bool{}
	have := slices.DeleteFunc(slices.Clone(p.have.Routes), func(r Route) bool {
		return slices.ContainsFunc(r.devices(), func(d string) bool { return !p.settled[d] })
	})
	for _, r := range p.want.Routes {
		if slices.ContainsFunc(have, r.Equal) {
			continue
		}
		replaced[r.Dst] = true
		p.plan.Add = append(p.plan.Add, p.route("replace", r, func(k *Kernel, l link.Route) error { return k.ns.ReplaceRoute(l) }))
	}
	for _, r := range have {
		switch {
		case slices.ContainsFunc(p.want.Routes, r.Equal):
		case replaced[r.Dst]:
			replaced[r.Dst] = false // of several with one destination it took the place of one
		default:
			p.plan.Remove = append(p.plan.Remove, p.route("del", r, func(k *Kernel, l link.Route) error { return k.ns.DeleteRoute(l) }))
		}
	}
}

func (p *planning) route(what string, r Route, run func(*Kernel, link.Route) error) Op {
	text := "ip -n " + p.want.Name + " "
	if r.Dst.Addr().Is6() {
		text += "-6 "
	}
	text += "route " + what + " "
	if r.Dst.Bits() == 0 {
		text += "default"
	} else {
		text += r.Dst.String()
	}
	for _, h := range append([]Hop{{r.Via, r.Device}}, r.More...) {
		if len(r.More) > 0 {
			text += " nexthop"
		}
		if h.Via.IsValid() {
			text += " via " + h.Via.String()
		}
		text += " dev " + h.Device
	}
	return Op{text, r.Device, func(k *Kernel) error {
		resolved, err := k.resolve(r)
		if err != nil {
			return err
		}
		return run(k, resolved)
	}}
}
