package l2

import (
	"cmp"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

// physical is the interface of a network's physical network.
func (p *planner) physical(n *host.Network) (link.Link, error) {
	name, ok := p.cfg.Physnets[n.Segment.PhysicalNetwork]
	if !ok {
		return link.Link{}, fmt.Errorf("physical network %s has no interface on host %s", n.Segment.PhysicalNetwork, p.s.Host)
	}
	l, ok := p.o.byName[name]
	if !ok {
		return link.Link{}, fmt.Errorf("interface %s of physical network %s is not present on host %s", name,
			n.Segment.PhysicalNetwork, p.s.Host)
	}
	return l, nil
}

func (p *planner) flat(n *host.Network) ([]Op, error) {
	bridge := host.BridgeName(n.ID)
	l, err := p.physical(n)
	if err != nil {
		return nil, err
	}
	if other, ok := p.taken[l.Name]; ok {
		return nil, fmt.Errorf("physical network %s carries flat network %s already", n.Segment.PhysicalNetwork, other)
	}
	p.taken[l.Name] = n.ID
	master := p.o.byIndex[l.Master]
	var ops []Op
	if !l.Up {
		ops = append(ops, set(n.ID, l.Name, "up", link.Up(true)))
	}
	if !p.onBridge(l, bridge) {
		if l.Master != 0 && !p.o.bridgeOfOurs(master) {
			return nil, fmt.Errorf("interface %s of physical network %s is a port of %s, which was not made by weft",
				l.Name, n.Segment.PhysicalNetwork, cmp.Or(master.Name, "another bridge"))
		}
		ops = append(ops, enslave(n.ID, l.Name, bridge, ""))
		if l.Master != 0 { // a network before this one had it
			ops = append(ops, move(n.ID, master.Name, bridge, p.o.addrs[l.Master], p.o.routes[l.Master])...)
		}
	}
	return append(ops, move(n.ID, l.Name, bridge, p.o.addrs[l.Index], p.o.routes[l.Index])...), nil
}

func (p *planner) vlan(n *host.Network) ([]Op, error) {
	parent, err := p.physical(n)
	if err != nil {
		return nil, err
	}
	name, bridge := host.VLANDevice(parent.Name, n.Segment.ID), host.BridgeName(n.ID)
	want := link.VLAN{Parent: parent.Index, ID: uint16(n.Segment.ID)}
	var ops []Op
	if !parent.Up {
		ops = append(ops, set(n.ID, parent.Name, "up", link.Up(true)))
	}
	l, ok := p.o.byName[name]
	if !ok {
		text := fmt.Sprintf("link %s alias %s addrgenmode none master %s mtu %d up type vlan id %d", parent.Name,
			networkAlias(p.s, n.ID), bridge, n.MTU, want.ID)
		return append(ops, createVLAN(n.ID, name, bridge, text, want, link.Alias(networkAlias(p.s, n.ID)), link.NoAutoIPv6(),
			link.MTU(n.MTU), link.Up(true))), nil
	}
	if l.VLAN != want {
		return nil, fmt.Errorf("interface %s on host %s is not VLAN %d of %s", name, p.s.Host, want.ID, parent.Name)
	}
	if err := p.foreign(l); err != nil {
		return nil, err
	}
	ops = append(ops, p.common(n, name, l, bridge)...)
	if !l.Up {
		ops = append(ops, set(n.ID, name, "up", link.Up(true)))
	}
	return ops, nil
}

func createVLAN(id, name, bridge, text string, v link.VLAN, changes ...link.Change) Op {
	op := create(id, name, bridge, text, v, changes...)
	run := op.run
	op.run = func(k *kernel) error { return explainVLAN(run(k)) }
	return op
}

func explainVLAN(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("the kernel of this host has no VLAN sub-interfaces (module 8021q): %w", err)
	}
	return err
}
