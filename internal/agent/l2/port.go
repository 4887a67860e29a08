package l2

import (
	"fmt"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
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
	var unplugged []link.Link // what stood for instances whose ports are here no more
	for _, l := range o.links {
		if !isTap(l) || known[l.Name] || deleted[l.Name] || !o.bridgeOfOurs(o.byIndex[l.Master]) {
			continue
		}
		if _, plug := o.oursFor(mark.Plug, l); plug {
			unplugged = append(unplugged, l)
		} else {
			ops = append(ops, set(l.Name, l.Name, "nomaster down", link.Master(0), link.Up(false)))
		}
	}
	if len(unplugged) > 0 {
		ops = append(ops, remove("", unplugged...))
	}
	return ops, reasons
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

// planPort is the way of a port's tap, l, to its bridge.
func planPort(s *host.State, p *host.Port, l link.Link, n *host.Network, o *observed, hold string) ([]Op, string) {
	name := l.Name
	switch {
	case !p.AdminUp:
		return takeOff(p.ID, l), "the port is administratively down"
	case n == nil:
		return takeOff(p.ID, l), fmt.Sprintf("network %s is unknown on host %s", p.NetworkID, s.Host)
	}
	bridge, ok := o.byName[host.BridgeName(n.ID)]
	if !ok {
		return nil, fmt.Sprintf("bridge %s is not present on host %s", host.BridgeName(n.ID), s.Host)
	}
	var ops []Op
	if l.MTU != n.MTU { // before it joins: a bridge adapts its own MTU to its ports'
		ops = append(ops, set(p.ID, name, fmt.Sprintf("mtu %d", n.MTU), link.MTU(n.MTU)))
	}
	if l.Master != bridge.Index {
		if hold != "" && l.Master == 0 {
			return nil, hold
		}
		if hold != "" {
			return takeOff(p.ID, l), hold
		}
		ops = append(ops, enslave(p.ID, name, bridge.Name, ""))
	}
	if !l.Up {
		ops = append(ops, set(p.ID, name, "up", link.Up(true)))
	}
	return ops, ""
}

// takeOff takes a tap off whatever bridge it is on, and brings it down, so that
// the guest sees that its link is dead.
func takeOff(id string, l link.Link) []Op {
	switch {
	case l.Master != 0:
		return []Op{set(id, l.Name, "nomaster down", link.Master(0), link.Up(false))}
	case l.Up:
		return []Op{set(id, l.Name, "down", link.Up(false))}
	}
	return nil
}

func absent(s *host.State, device string) string {
	return fmt.Sprintf("device %s is not present on host %s", device, s.Host)
}
