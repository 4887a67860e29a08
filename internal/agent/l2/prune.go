package l2

import (
	"cmp"
	"maps"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/host"
)

// wanted is the names of the links that the State's networks are made of.
func wanted(cfg *Config, s *host.State) map[string]bool {
	names := map[string]bool{}
	for _, n := range s.Networks {
		names[host.BridgeName(n.ID)] = true
		switch n.Segment.Type {
		case weft.TypeVXLAN:
			names[vxlanName(n.Segment.ID)] = true
		case weft.TypeVLAN:
			names[host.VLANDevice(cfg.Physnets[n.Segment.PhysicalNetwork], n.Segment.ID)] = true
		}
	}
	return names
}

// unwanted is the links of ours that belong to no network of the State.
func unwanted(s *host.State, cfg *Config, o *observed) []link.Link {
	names := wanted(cfg, s)
	var out []link.Link
	for _, l := range o.links {
		if _, ok := o.oursFor(mark.Network, l); ok && !names[l.Name] {
			out = append(out, l)
		}
	}
	return out
}

// planPrune deletes unwanted tunnels, and unwanted bridges that have no other
// ports. Physical interfaces get back what they gave.
func planPrune(cfg *Config, s *host.State, o *observed) []Op {
	going := map[int]link.Link{}
	for _, l := range unwanted(s, cfg, o) {
		going[l.Index] = l
	}
	var ops []Op
	for _, l := range o.links {
		master := going[l.Master]
		if l.Master == 0 || master.Index == 0 || going[l.Index].Index != 0 {
			continue
		}
		if isPhysical(cfg, l) {
			ops = append(ops, giveBack(l, master, o)...)
		} else {
			delete(going, l.Master)
		}
	}
	return append(ops, sweep(going)...)
}

func giveBack(l, bridge link.Link, o *observed) []Op {
	ops := move("", bridge.Name, l.Name, o.addrs[bridge.Index], o.routes[bridge.Index])
	return append(ops, set("", l.Name, "nomaster", link.Master(0)))
}

// sweep deletes tunnels and taps before bridges: a bridge's ports go with it only
// in the sense that they are ports no more.
func sweep(going map[int]link.Link) []Op {
	if len(going) == 0 {
		return nil
	}
	links := slices.SortedFunc(maps.Values(going), func(a, b link.Link) int {
		return cmp.Or(boolOrder(a.Type == "bridge", b.Type == "bridge"), cmp.Compare(a.Index, b.Index))
	})
	return []Op{remove("", links...)}
}

// planCleanup deletes every link of ours. What others put on our bridges comes
// off and stays; an interface that is neither ours nor a tap gets the addresses
// that its bridge has.
func planCleanup(cfg *Config, o *observed) []Op {
	going := map[int]link.Link{}
	for _, l := range o.links {
		if o.ours(l) {
			going[l.Index] = l
		}
	}
	var ops []Op
	for _, l := range o.links {
		master, ok := going[l.Master]
		switch {
		case !ok || o.ours(l):
		case isPhysical(cfg, l) || !isTap(l):
			ops = append(ops, giveBack(l, master, o)...)
		default:
			ops = append(ops, set("", l.Name, "nomaster", link.Master(0)))
		}
	}
	return append(ops, sweep(going)...)
}
