package l2

import (
	"fmt"
	"strings"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

func vxlanName(vni uint32) string { return fmt.Sprintf("vxlan-%d", vni) }

func (p *planner) vxlan(n *host.Network) ([]Op, error) {
	name, bridge := vxlanName(n.Segment.ID), host.BridgeName(n.ID)
	want := link.VXLAN{VNI: n.Segment.ID, Local: p.cfg.VTEP, Port: p.cfg.VXLANPort, Proxy: p.cfg.ARPProxy}
	l, ok := p.o.byName[name]
	var ops []Op
	if err := p.foreign(l); err != nil {
		return nil, err
	}
	if ok && l.VXLAN != want {
		if !p.o.ours(l) {
			return nil, fmt.Errorf("interface %s on host %s was not made by weft and is not as it should be", name, p.s.Host)
		}
		ops, ok = append(ops, remove(n.ID, l)), false // the kernel changes none of these
	}
	if !ok {
		return append(append(ops, p.newVXLAN(n, name, bridge, want)), p.entries(n, name, link.Link{})...), nil
	}
	ops = append(ops, p.common(n, name, l, bridge)...)
	if !l.Up {
		ops = append(ops, set(n.ID, name, "up", link.Up(true)))
	}
	return append(ops, p.entries(n, name, l)...), nil
}

func (p *planner) newVXLAN(n *host.Network, name, bridge string, want link.VXLAN) Op {
	text := fmt.Sprintf("mtu %d alias %s addrgenmode none master %s up type vxlan id %d", n.MTU, networkAlias(p.s, n.ID), bridge,
		want.VNI)
	if want.Local.IsValid() {
		text += " local " + want.Local.String()
	}
	text += fmt.Sprintf(" dstport %d nolearning", want.Port)
	if want.Proxy {
		text += " proxy"
	}
	return create(n.ID, name, bridge, text, want,
		link.MTU(n.MTU), link.Alias(networkAlias(p.s, n.ID)), link.NoAutoIPv6(), link.Up(true))
}

// entries plans the tunnel's forwarding entries and neighbours. What is to be is
// there before what is not goes.
func (p *planner) entries(n *host.Network, name string, l link.Link) (ops []Op) {
	if !p.o.entries {
		return nil
	}
	forwards, neighbours := p.peers(n)
	add, del := diff(forwards, p.o.forwards[l.Index], l.Index != 0)
	if len(add) > 0 {
		ops = append(ops, on(n.ID, name, lines(add, func(f link.Forward) string {
			verb := "replace"
			if f.MAC.IsZero() {
				verb = "append"
			}
			return fmt.Sprintf("bridge fdb %s %s dev %s dst %s", verb, f.MAC, name, f.Remote)
		}), func(k *kernel, i int) error { return k.AddForwards(i, add...) }))
	}
	if len(del) > 0 {
		ops = append(ops, on(n.ID, name, lines(del, func(f link.Forward) string {
			return fmt.Sprintf("bridge fdb del %s dev %s dst %s", f.MAC, name, f.Remote)
		}), func(k *kernel, i int) error { return k.DeleteForwards(i, del...) }))
	}
	return append(ops, p.neighbours(n, name, neighbours, l)...)
}

func (p *planner) neighbours(n *host.Network, name string, want []link.Neighbour, l link.Link) (ops []Op) {
	if !p.cfg.ARPProxy {
		return nil
	}
	add, del := diff(want, p.o.neighbours[l.Index], l.Index != 0)
	if len(del) > 0 {
		ops = append(ops, on(n.ID, name, lines(del, func(e link.Neighbour) string {
			return fmt.Sprintf("ip neigh del %s dev %s", e.Addr, name)
		}), func(k *kernel, i int) error { return k.DeleteNeighbours(i, del...) }))
	}
	if len(add) > 0 {
		ops = append(ops, on(n.ID, name, lines(add, func(e link.Neighbour) string {
			return fmt.Sprintf("ip neigh replace %s lladdr %s dev %s nud permanent", e.Addr, e.MAC, name)
		}), func(k *kernel, i int) error { return k.SetNeighbours(i, add...) }))
	}
	return ops
}

// peers is where the tunnel leads.
func (p *planner) peers(n *host.Network) (forwards []link.Forward, neighbours []link.Neighbour) {
	for _, peer := range n.Peers {
		if peer.VTEP == p.cfg.VTEP {
			continue // a frame to ourselves would come back as from a stranger
		}
		forwards = append(forwards, link.Forward{Remote: peer.VTEP})
		for _, e := range peer.Entries {
			forwards = append(forwards, link.Forward{MAC: e.MAC, Remote: peer.VTEP})
			for _, a := range e.Addresses {
				neighbours = append(neighbours, link.Neighbour{Addr: a, MAC: e.MAC})
			}
		}
	}
	return forwards, neighbours
}

// diff is what want has more than have, and less. Without something to have
// everything is more.
func diff[T comparable](want, have []T, exists bool) (add, del []T) {
	if !exists {
		return want, nil
	}
	in := func(list []T) map[T]bool {
		m := make(map[T]bool, len(list))
		for _, v := range list {
			m[v] = true
		}
		return m
	}
	wanted, had := in(want), in(have)
	for _, v := range want {
		if !had[v] {
			add = append(add, v)
		}
	}
	for _, v := range have {
		if !wanted[v] {
			del = append(del, v)
		}
	}
	return add, del
}

func lines[T any](list []T, f func(T) string) string {
	var out []string
	for _, v := range list {
		out = append(out, f(v))
	}
	return strings.Join(out, "\n")
}
