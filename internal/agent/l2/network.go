package l2

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

// planNetworks is the way to the State's bridges and tunnels, and which networks
// cannot be had on this host.
func planNetworks(cfg *Config, s *host.State, o *observed) ([]Op, map[string]error) {
	var all []Op
	failed := map[string]error{}
	p := planner{cfg, s.Host, o, map[string]string{}}
	for i := range s.Networks {
		n := &s.Networks[i]
		ops, err := p.network(n)
		if err != nil {
			failed[n.ID] = err
		}
		all = append(all, ops...)
	}
	return all, failed
}

type planner struct {
	cfg   *Config
	host  string
	o     *observed
	taken map[string]string // physical interface -> the network that has it
}

// network plans the bridge even if the segment cannot be had: ports on the same
// host reach each other then.
func (p *planner) network(n *host.Network) ([]Op, error) {
	ops, err := p.bridge(n)
	if err != nil {
		return nil, err
	}
	segment, err := p.segment(n)
	return append(ops, segment...), err
}

func (p *planner) segment(n *host.Network) ([]Op, error) {
	switch n.Segment.Type {
	case weft.TypeLocal:
		return nil, nil
	case weft.TypeVXLAN:
		return p.vxlan(n)
	case weft.TypeFlat:
		return p.flat(n)
	case weft.TypeVLAN:
		return p.vlan(n)
	}
	return nil, fmt.Errorf("networks of type %s cannot be carried by the Linux bridge backend", n.Segment.Type)
}

// bridgeSettings are those of every bridge. NFCall: security groups need
// connection tracking, which the kernel does for bridged packets only on bridges
// that ask for it. Snooping would drop what routers of tenants multicast.
var bridgeSettings = link.Bridge{NFCall: true}

func (p *planner) bridge(n *host.Network) ([]Op, error) {
	name, alias := host.BridgeName(n.ID), networkMark+n.ID
	l, ok := p.o.byName[name]
	if ok && l.Type != "bridge" {
		return nil, fmt.Errorf("interface %s on host %s is not a bridge", name, p.host)
	}
	var ops []Op
	const settings = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0 nf_call_iptables 1 nf_call_ip6tables 1"
	if !ok {
		ops = append(ops, create(n.ID, name, "", fmt.Sprintf("mtu %d alias %s addrgenmode none %s", n.MTU, alias, settings),
			bridgeSettings, link.MTU(n.MTU), link.Alias(alias), link.NoAutoIPv6()))
		l = link.Link{Alias: alias, MTU: n.MTU, NoAutoIPv6: true, Bridge: bridgeSettings}
	}
	if l.Bridge != bridgeSettings {
		ops = append(ops, on(n.ID, name, "ip link set "+name+" "+settings, func(k *kernel, i int) error { return k.SetBridge(i, bridgeSettings) }))
	}
	ops = append(ops, p.common(n, name, l, "")...)
	if !l.IPv6Off {
		// Or a router advertisement from a tenant would give the host an address.
		path := "net/ipv6/conf/" + name + "/disable_ipv6"
		ops = append(ops, Op{n.ID, "sysctl " + path + "=1", func(k *kernel) error { return k.SetSysctl(path, "1") }})
	}
	if !l.Up {
		ops = append(ops, set(n.ID, name, "up", link.Up(true)))
	}
	return ops, nil
}

// common mends what every device of a network has: mark, MTU and bridge, and no
// address of its own making.
func (p *planner) common(n *host.Network, name string, l link.Link, bridge string) (ops []Op) {
	if alias := networkMark + n.ID; l.Alias != alias {
		ops = append(ops, set(n.ID, name, "alias "+alias, link.Alias(alias)))
	}
	if l.MTU != n.MTU {
		ops = append(ops, set(n.ID, name, fmt.Sprintf("mtu %d", n.MTU), link.MTU(n.MTU)))
	}
	if !l.NoAutoIPv6 {
		ops = append(ops, set(n.ID, name, "addrgenmode none", link.NoAutoIPv6()))
	}
	if bridge != "" && !p.onBridge(l, bridge) {
		ops = append(ops, enslave(n.ID, name, bridge, ""))
	}
	return ops
}

func (p *planner) onBridge(l link.Link, bridge string) bool {
	br, ok := p.o.byName[bridge]
	return ok && l.Master == br.Index
}

func vxlanName(vni uint32) string { return fmt.Sprintf("vxlan-%d", vni) }

func (p *planner) vxlan(n *host.Network) ([]Op, error) {
	name, bridge := vxlanName(n.Segment.ID), host.BridgeName(n.ID)
	want := link.VXLAN{VNI: n.Segment.ID, Local: p.cfg.VTEP, Port: p.cfg.VXLANPort, Proxy: p.cfg.ARPProxy}
	l, ok := p.o.byName[name]
	var ops []Op
	if ok && l.VXLAN != want {
		if !isOurs(l) {
			return nil, fmt.Errorf("interface %s on host %s was not made by weft and is not as it should be", name, p.host)
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
	text := fmt.Sprintf("mtu %d alias %s addrgenmode none master %s up type vxlan id %d", n.MTU, networkMark+n.ID, bridge, want.VNI)
	if want.Local.IsValid() {
		text += " local " + want.Local.String()
	}
	text += fmt.Sprintf(" dstport %d nolearning", want.Port)
	if want.Proxy {
		text += " proxy"
	}
	return create(n.ID, name, bridge, text, want,
		link.MTU(n.MTU), link.Alias(networkMark+n.ID), link.NoAutoIPv6(), link.Up(true))
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

// physical is the interface of a network's physical network.
func (p *planner) physical(n *host.Network) (link.Link, error) {
	name, ok := p.cfg.Physnets[n.Segment.PhysicalNetwork]
	if !ok {
		return link.Link{}, fmt.Errorf("physical network %s has no interface on host %s", n.Segment.PhysicalNetwork, p.host)
	}
	l, ok := p.o.byName[name]
	if !ok {
		return link.Link{}, fmt.Errorf("interface %s of physical network %s is not present on host %s", name, n.Segment.PhysicalNetwork, p.host)
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
		if l.Master != 0 && !isBridgeOfOurs(master) {
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

// vlanName is the sub-interface of a physical interface, cut to what the kernel
// takes with a hash in the place of what is cut off.
func vlanName(parent string, vid uint32) string {
	name := fmt.Sprintf("%s.%d", parent, vid)
	if len(name) < unix.IFNAMSIZ {
		return name
	}
	sum := sha256.Sum256([]byte(parent))
	return fmt.Sprintf("%s%s.%d", parent[:4], hex.EncodeToString(sum[:3]), vid)
}

func (p *planner) vlan(n *host.Network) ([]Op, error) {
	parent, err := p.physical(n)
	if err != nil {
		return nil, err
	}
	name, bridge := vlanName(parent.Name, n.Segment.ID), host.BridgeName(n.ID)
	want := link.VLAN{Parent: parent.Index, ID: uint16(n.Segment.ID)}
	var ops []Op
	if !parent.Up {
		ops = append(ops, set(n.ID, parent.Name, "up", link.Up(true)))
	}
	l, ok := p.o.byName[name]
	if !ok {
		text := fmt.Sprintf("link %s alias %s addrgenmode none master %s mtu %d up type vlan id %d", parent.Name, networkMark+n.ID, bridge, n.MTU, want.ID)
		op := create(n.ID, name, bridge, text, want, link.Alias(networkMark+n.ID), link.NoAutoIPv6(), link.MTU(n.MTU), link.Up(true))
		run := op.run
		op.run = func(k *kernel) error { return explainVLAN(run(k)) }
		return append(ops, op), nil
	}
	if l.VLAN != want {
		return nil, fmt.Errorf("interface %s on host %s is not VLAN %d of %s", name, p.host, want.ID, parent.Name)
	}
	ops = append(ops, p.common(n, name, l, bridge)...)
	if !l.Up {
		ops = append(ops, set(n.ID, name, "up", link.Up(true)))
	}
	return ops, nil
}

func explainVLAN(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("the kernel of this host has no VLAN sub-interfaces (module 8021q): %w", err)
	}
	return err
}

// wanted is the names of the links that the State's networks are made of.
func wanted(cfg *Config, s *host.State) map[string]bool {
	names := map[string]bool{}
	for _, n := range s.Networks {
		names[host.BridgeName(n.ID)] = true
		switch n.Segment.Type {
		case weft.TypeVXLAN:
			names[vxlanName(n.Segment.ID)] = true
		case weft.TypeVLAN:
			names[vlanName(cfg.Physnets[n.Segment.PhysicalNetwork], n.Segment.ID)] = true
		}
	}
	return names
}

// unwanted is the links of ours that belong to no network of the State.
func unwanted(s *host.State, cfg *Config, o *observed) []link.Link {
	names := wanted(cfg, s)
	var out []link.Link
	for _, l := range o.links {
		if strings.HasPrefix(l.Alias, networkMark) && !names[l.Name] {
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
		if isOurs(l) {
			going[l.Index] = l
		}
	}
	var ops []Op
	for _, l := range o.links {
		master, ok := going[l.Master]
		switch {
		case !ok || isOurs(l):
		case isPhysical(cfg, l) || !isTap(l):
			ops = append(ops, giveBack(l, master, o)...)
		default:
			ops = append(ops, set("", l.Name, "nomaster", link.Master(0)))
		}
	}
	return append(ops, sweep(going)...)
}
