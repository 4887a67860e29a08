package l2

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/host"
)

// The tap of a trunk's subport is a VLAN device on the tap of the parent: the
// kernel takes frames with its tag out of the parent's before these get to the
// parent's bridge. It goes with the parent's tap.

func subPortVLAN(p *host.Port, o *observed) link.VLAN {
	return link.VLAN{Parent: o.byName[host.TapName(p.Parent)].Index, ID: p.Tag}
}

// staleSubPorts deletes the VLAN devices of ours that are those of no subport of
// the State, or have another parent or tag. They go before others are made: two
// subports may have changed their tags.
func staleSubPorts(s *host.State, o *observed) (ops []Op, deleted map[string]bool) {
	right := map[string]link.VLAN{}
	for i := range s.Ports {
		if p := &s.Ports[i]; p.Parent != "" {
			right[host.TapName(p.ID)] = subPortVLAN(p, o)
		}
	}
	deleted = map[string]bool{}
	for _, l := range o.links {
		id, ours := o.oursFor(mark.SubPort, l)
		if want, ok := right[l.Name]; ours && !(ok && l.VLAN == want) {
			ops = append(ops, remove(id, l))
			deleted[l.Name] = true
		}
	}
	return ops, deleted
}

// planSubPort is the way to a subport's tap on its bridge, if its parent's tap is
// up. The reasons of the ports with taps of their own are known by then.
func planSubPort(s *host.State, p *host.Port, n *host.Network, o *observed, hold string, deleted map[string]bool, reasons map[string]string) ([]Op, string) {
	name, tap := host.TapName(p.ID), host.TapName(p.Parent)
	l, there := o.byName[name]
	there = there && !deleted[name]
	why, ok := reasons[p.Parent]
	if !ok {
		why = "it is not on host " + s.Host
	}
	want := subPortVLAN(p, o)
	switch {
	case why != "" && there:
		return takeOff(p.ID, l), fmt.Sprintf("parent port %s: %s", p.Parent, why)
	case why != "":
		return nil, fmt.Sprintf("parent port %s: %s", p.Parent, why)
	case !there:
		wire, reason := planPort(s, p, link.Link{Name: name}, n, o, hold)
		if reason != "" {
			return nil, reason
		}
		return append([]Op{createSubPort(p.ID, name, tap, subPortAlias(s, p.ID), want)}, wire...), ""
	case l.VLAN != want:
		return nil, fmt.Sprintf("interface %s on host %s is not VLAN %d of %s and was not made by weft", name, s.Host, want.ID, tap)
	}
	wire, reason := planPort(s, p, l, n, o, hold)
	if alias := subPortAlias(s, p.ID); l.Alias != alias {
		wire = append([]Op{set(p.ID, name, "alias "+alias, link.Alias(alias))}, wire...)
	}
	return wire, reason
}

func createSubPort(id, name, parent, alias string, v link.VLAN) Op {
	text := fmt.Sprintf("link %s alias %s addrgenmode none type vlan id %d", parent, alias, v.ID)
	op := createVLAN(id, name, "", text, v, link.Alias(alias), link.NoAutoIPv6())
	run := op.run
	op.run = func(k *kernel) error {
		err := run(k)
		if errors.Is(err, unix.ENODEV) { // the parent went while we looked
			err = fmt.Errorf("%w: %s", link.ErrNotFound, parent)
		}
		return err
	}
	return op
}
