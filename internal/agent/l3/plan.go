package l3

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/weftnet/weft/internal/dataplane/link"
)

// mark begins the alias of every device of ours.
const mark = "weft:"

// have is what the kernel has of a router. Links with index 0 are not there.
type have struct {
	namespace bool
	bridges   map[string]int
	taps      map[string]link.Link
	inside    map[string]link.Link // router devices in the namespace, by name
	addresses map[string][]netip.Prefix
	routes    []link.Route // those that were not made by the kernel
	forward   bool
}

// op is one change. Its text is how one would do it by hand.
type op struct {
	text string
	run  func(*kernel) error
}

// plan is the way from h to w, empty when they agree. fresh is the addresses that
// are new, by device.
func plan(w want, h have) (ops []op, fresh map[string][]netip.Addr) {
	p := &planner{w: w, h: h, fresh: map[string][]netip.Addr{}, cut: map[string]bool{}}
	if !h.namespace {
		p.do("ip netns add "+w.namespace, func(k *kernel) error { return k.makeNamespace(w.namespace) })
	}
	for _, d := range w.devices {
		p.device(d)
	}
	p.stale()
	p.routes()
	if w.forward != h.forward {
		value := map[bool]string{true: "1", false: "0"}[w.forward]
		p.do("ip netns exec "+w.namespace+" sysctl net.ipv4.ip_forward="+value, func(k *kernel) error { return k.forward(w.forward) })
	}
	return p.ops, p.fresh
}

type planner struct {
	w     want
	h     have
	ops   []op
	fresh map[string][]netip.Addr
	cut   map[string]bool // devices that lose an address, or are new: the kernel takes routes along
}

func (p *planner) do(text string, run func(*kernel) error) { p.ops = append(p.ops, op{text, run}) }

func (p *planner) in() string { return "ip -n " + p.w.namespace + " " }

func (p *planner) device(d device) {
	tap, end := p.h.taps[d.tap], p.h.inside[d.name]
	if tap.Index != 0 && end.Index != 0 && tap.Peer == end.Index && end.Peer == tap.Index {
		p.mend(d, tap, end)
		p.address(d, p.h.addresses[d.name])
		return
	}
	if tap.Index != 0 {
		p.do("ip link del "+d.tap, func(k *kernel) error { return k.root.Delete(tap.Index) })
	}
	if end.Index != 0 {
		p.do(p.in()+"link del "+d.name, func(k *kernel) error { return k.ns.Delete(end.Index) })
	}
	p.cut[d.name] = true
	text := fmt.Sprintf("ip link add %s mtu %d alias %s up", d.tap, d.mtu, d.alias)
	if p.h.bridges[d.bridge] != 0 {
		text += " master " + d.bridge
	}
	text += fmt.Sprintf(" type veth peer name %s address %s netns %s up", d.name, d.mac, p.w.namespace)
	master := p.h.bridges[d.bridge]
	p.do(text, func(k *kernel) error { return k.makeVeth(d, master) })
	p.address(d, nil)
}

// mend sets right what differs of a pair that is there.
func (p *planner) mend(d device, tap, end link.Link) {
	host := func(what string, c ...link.Change) {
		p.do("ip link set "+d.tap+" "+what, func(k *kernel) error { return k.root.Set(tap.Index, c...) })
	}
	inside := func(what string, c ...link.Change) {
		p.do(p.in()+"link set "+d.name+" "+what, func(k *kernel) error { return k.ns.Set(end.Index, c...) })
	}
	if tap.Alias != d.alias {
		host("alias "+d.alias, link.Alias(d.alias))
	}
	if tap.MTU != d.mtu {
		host(fmt.Sprint("mtu ", d.mtu), link.MTU(d.mtu))
	}
	if master := p.h.bridges[d.bridge]; tap.Master != master {
		host("master "+d.bridge, link.Master(master))
	}
	if !tap.Up {
		host("up", link.NoAutoIPv6(), link.Up(true))
	}
	if end.MAC != d.mac {
		inside("address "+d.mac.String(), link.MAC(d.mac))
	}
	if end.MTU != d.mtu {
		inside(fmt.Sprint("mtu ", d.mtu), link.MTU(d.mtu))
	}
	if !end.Up {
		p.cut[d.name] = true
		inside("up", link.Up(true))
	}
}

// address adds before it deletes, so that the router can be reached all the time.
func (p *planner) address(d device, got []netip.Prefix) {
	for _, a := range d.addresses {
		if !slices.Contains(got, a) {
			p.do(p.in()+"addr add "+a.String()+" dev "+d.name, func(k *kernel) error {
				return k.inside(d.name, func(i int) error { return k.ns.AddAddr(i, a) })
			})
			p.fresh[d.name] = append(p.fresh[d.name], a.Addr())
		}
	}
	for _, a := range got {
		if !slices.Contains(d.addresses, a) {
			p.cut[d.name] = p.cut[d.name] || !a.IsSingleIP()
			p.do(p.in()+"addr del "+a.String()+" dev "+d.name, func(k *kernel) error {
				return k.inside(d.name, func(i int) error { return k.ns.DeleteAddr(i, a) })
			})
		}
	}
}

// stale deletes devices of ports that the router has no longer.
func (p *planner) stale() {
	for name, l := range p.h.inside {
		if slices.ContainsFunc(p.w.devices, func(d device) bool { return d.name == name }) {
			continue
		}
		p.cut[name] = true
		p.do(p.in()+"link del "+name, func(k *kernel) error { return k.ns.Delete(l.Index) })
	}
}

// routes brings the routes to what they must be. A route by a device that loses an
// address is made again: the kernel may have taken it along.
func (p *planner) routes() {
	for _, r := range p.w.routes {
		i := slices.IndexFunc(p.h.routes, func(have link.Route) bool { return have.Dst == r.dst && have.Via == r.via })
		if i >= 0 && !p.cut[p.nameOf(p.h.routes[i].Link)] {
			continue
		}
		p.do(p.in()+"route replace "+r.text(), func(k *kernel) error { return k.replaceRoute(r) })
	}
	for _, have := range p.h.routes {
		wanted := slices.ContainsFunc(p.w.routes, func(r route) bool { return have.Dst == r.dst })
		if wanted || p.cut[p.nameOf(have.Link)] {
			continue
		}
		p.do(p.in()+"route del "+have.Dst.String(), func(k *kernel) error { return k.ns.DeleteRoute(have) })
	}
}

func (p *planner) nameOf(index int) string {
	for name, l := range p.h.inside {
		if l.Index == index {
			return name
		}
	}
	return ""
}

func (r route) text() string {
	parts := []string{r.dst.String()}
	if r.via.IsValid() {
		parts = append(parts, "via "+r.via.String())
	}
	if r.device != "" {
		parts = append(parts, "dev "+r.device)
	}
	return strings.Join(parts, " ")
}
