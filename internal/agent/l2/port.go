package l2

import (
	"fmt"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

// planPorts is the way to the State's taps on their bridges, and why a port of
// the State is not connected when that is done; "" if it is.
func planPorts(s *host.State, o *observed, failed map[string]string, hold string) ([]Op, map[string]string) {
	networks := map[string]*host.Network{}
	for i := range s.Networks {
		networks[s.Networks[i].ID] = &s.Networks[i]
	}
	reasons := make(map[string]string, len(s.Ports))
	known := served(s)
	ops, deleted := staleSubPorts(s, o)
	for i := range s.Ports {
		p := &s.Ports[i]
		known[host.TapName(p.ID)] = true
		if p.Parent != "" {
			continue
		}
		l, ok := o.byName[host.TapName(p.ID)]
		some, reason := []Op(nil), absent(s, host.TapName(p.ID))
		if ok && !deleted[l.Name] {
			some, reason = planPort(s, p, l, networks[p.NetworkID], o, hold)
		}
		ops, reasons[p.ID] = append(ops, some...), reason
	}
	// Parents first: subports need their taps up, and with their MTU.
	for i := range s.Ports {
		if p := &s.Ports[i]; p.Parent != "" {
			some, reason := planSubPort(s, p, networks[p.NetworkID], o, hold, deleted, reasons)
			ops, reasons[p.ID] = append(ops, some...), reason
		}
	}
	for i := range s.Ports {
		if p := &s.Ports[i]; reasons[p.ID] == "" {
			reasons[p.ID] = failed[p.NetworkID]
		}
	}
	for name := range deleted {
		known[name] = true
	}
	return append(ops, unknown(known, o)...), reasons
}

// unknown deals with the taps on our bridges that are those of no port here. What
// weft plugged stood for instances whose ports are here no more, and goes. What weft
// put on the bridge comes off. What others put there stays and is down: its port may
// be about to be bound here, and then it has to be there still.
func unknown(known map[string]bool, o *observed) (ops []Op) {
	var unplugged []link.Link
	for _, l := range o.links {
		if !isTap(l) || known[l.Name] || !o.bridgeOfOurs(o.byIndex[l.Master]) {
			continue
		}
		switch {
		case o.plugged(l):
			unplugged = append(unplugged, l)
		case o.added[l.Name] == l.Index:
			ops = append(ops, takeOff(l.Name, l)...)
		case l.Up:
			ops = append(ops, set(l.Name, l.Name, "down", link.Up(false)))
		}
	}
	if len(unplugged) > 0 {
		ops = append(ops, remove("", unplugged...))
	}
	return ops
}

// served is the taps that DHCP services and routers have on our bridges.
func served(s *host.State) map[string]bool {
	taps := map[string]bool{}
	for _, n := range s.Networks {
		if n.DHCP != nil {
			taps[host.TapName(n.DHCP.PortID)] = true
		}
	}
	for _, r := range s.Routers {
		for _, p := range r.Interfaces {
			taps[host.TapName(p.PortID)] = true
		}
		for _, g := range r.Gateways() {
			taps[host.TapName(g.PortID)] = true
		}
	}
	return taps
}

// addedByMaker reports whether who made the tap of a port adds it to the bridge. Nova
// does so for its instances, by libvirt, and fails if that has been done already. What
// weft plugged is weft's to add.
func (o *observed) addedByMaker(p *host.Port, l link.Link) bool {
	return p.OfInstance() && p.Parent == "" && !o.plugged(l)
}

// planPort is the way of a port's tap, l, to its bridge.
func planPort(s *host.State, p *host.Port, l link.Link, n *host.Network, o *observed, hold string) ([]Op, string) {
	away := takeOff
	if o.addedByMaker(p, l) {
		away = goDown
	}
	switch {
	case !p.AdminUp:
		return away(p.ID, l), "the port is administratively down"
	case n == nil:
		return away(p.ID, l), fmt.Sprintf("network %s is unknown on host %s", p.NetworkID, s.Host)
	}
	bridge, ok := o.byName[host.BridgeName(n.ID)]
	if !ok {
		return nil, fmt.Sprintf("bridge %s is not present on host %s", host.BridgeName(n.ID), s.Host)
	}
	var ops []Op
	if l.MTU != n.MTU { // before it joins: a bridge adapts its own MTU to its ports'
		ops = append(ops, set(p.ID, l.Name, fmt.Sprintf("mtu %d", n.MTU), link.MTU(n.MTU)))
	}
	join, reason := planJoin(p, l, bridge, o, hold)
	if reason != "" && hold != "" {
		return join, reason
	}
	if ops = append(ops, join...); reason == "" && !l.Up {
		ops = append(ops, set(p.ID, l.Name, "up", link.Up(true)))
	}
	return ops, reason
}

// planJoin is the way of a tap to its bridge, and why it is not there then.
func planJoin(p *host.Port, l, bridge link.Link, o *observed, hold string) ([]Op, string) {
	maker := o.addedByMaker(p, l)
	switch {
	case l.Master == bridge.Index && hold != "" && maker && o.wired[l.Name] != l.Index:
		return goDown(p.ID, l), hold // it came while there were no rules for it
	case l.Master == bridge.Index:
		return nil, ""
	case maker && o.bridgeOfOurs(o.byIndex[l.Master]):
		return takeOff(p.ID, l), notAdded(l, bridge)
	case maker:
		return nil, notAdded(l, bridge)
	case hold != "" && l.Master == 0:
		return nil, hold
	case hold != "":
		return takeOff(p.ID, l), hold
	}
	return []Op{enslave(p.ID, l.Name, bridge.Name, "")}, ""
}

func notAdded(l, bridge link.Link) string {
	return fmt.Sprintf("device %s is not on bridge %s yet: for a port of an instance, who makes the device adds it", l.Name,
		bridge.Name)
}

// goDown brings a tap down where it is, so that the guest sees that its link is dead.
func goDown(id string, l link.Link) []Op {
	if !l.Up {
		return nil
	}
	return []Op{set(id, l.Name, "down", link.Up(false))}
}

// takeOff takes a tap off whatever bridge it is on, and brings it down, so that
// the guest sees that its link is dead.
func takeOff(id string, l link.Link) []Op {
	if l.Master == 0 {
		return goDown(id, l)
	}
	return []Op{set(id, l.Name, "nomaster down", link.Master(0), link.Up(false))}
}

func absent(s *host.State, device string) string {
	return fmt.Sprintf("device %s is not present on host %s", device, s.Host)
}
