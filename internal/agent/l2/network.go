package l2

import (
	"fmt"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/host"
)

// planNetworks is the way to the State's bridges and tunnels, and which networks
// cannot be had on this host.
func planNetworks(cfg *Config, s *host.State, o *observed) ([]Op, map[string]error) {
	var all []Op
	failed := map[string]error{}
	p := planner{cfg, s, o, map[string]string{}}
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
	s     *host.State
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
	name, alias := host.BridgeName(n.ID), networkAlias(p.s, n.ID)
	l, ok := p.o.byName[name]
	if ok && l.Type != "bridge" {
		return nil, fmt.Errorf("interface %s on host %s is not a bridge", name, p.s.Host)
	}
	if err := p.foreign(l); err != nil {
		return nil, err
	}
	var ops []Op
	const settings = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0 nf_call_iptables 1 nf_call_ip6tables 1"
	if !ok {
		ops = append(ops, create(n.ID, name, "", fmt.Sprintf("mtu %d alias %s addrgenmode none %s", n.MTU, alias, settings),
			bridgeSettings, link.MTU(n.MTU), link.Alias(alias), link.NoAutoIPv6()))
		l = link.Link{Alias: alias, MTU: n.MTU, NoAutoIPv6: true, Bridge: bridgeSettings}
	} else if !p.o.bridgeOfOurs(l) {
		ops = p.quiet(n, l)
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

// quiet brings down the taps on a bridge that os-vif made before we knew of the
// network: it is about to be connected to other hosts, and there are no rules yet.
// Wire brings them up again. A bridge that carries traffic is another agent's whose
// place we take, and keeps it.
func (p *planner) quiet(n *host.Network, bridge link.Link) (ops []Op) {
	for _, l := range p.o.links {
		switch {
		case l.Master != bridge.Index:
		case !isTap(l):
			return nil
		default:
			ops = append(ops, goDown(n.ID, l)...)
		}
	}
	return ops
}

// foreign is the refusal to touch what another cloud has made.
func (p *planner) foreign(l link.Link) error {
	if mark.Foreign(p.s.Cloud, l.Alias) {
		return fmt.Errorf("interface %s on host %s is of another cloud (alias %q)", l.Name, p.s.Host, l.Alias)
	}
	return nil
}

// common mends what every device of a network has: mark, MTU and bridge, and no
// address of its own making.
func (p *planner) common(n *host.Network, name string, l link.Link, bridge string) (ops []Op) {
	if alias := networkAlias(p.s, n.ID); l.Alias != alias {
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
