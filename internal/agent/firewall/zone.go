package firewall

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// The mark of a packet while it crosses a bridge: a tag by which ours are told
// from those of others, what is known of its connection, and the zone.
const (
	markTag         = 0x77000000
	markTagMask     = 0xfff00000
	markEstablished = 0x00010000
	markInvalid     = 0x00020000
	markStateless   = 0x00040000 // the sender's groups keep no state
	markTracked     = 0x00080000 // ... but the receiver's do
	markZone        = 0x0000ffff
)

// cutMark is the mark of connections whose rule is gone: their packets are judged
// one by one, as if they belonged to none. Deleting the entry would not do: the
// next packet of the other side would open the connection anew, in its own
// direction.
const cutMark = 0x77000001

// zones gives each network a conntrack zone, so that networks with equal
// addresses do not meet in the table. A network that has a zone keeps it, whatever
// others come and go: its connections are in it.
func zones(networks []host.Network, before map[string]uint16) map[string]uint16 {
	const count = 65534 // 0 is the host's own
	out, taken := make(map[string]uint16, len(networks)), make(map[uint16]bool, len(networks))
	for i := range networks {
		if z := before[networks[i].ID]; z != 0 && !taken[z] {
			out[networks[i].ID], taken[z] = z, true
		}
	}
	for i := range networks {
		if len(taken) == count {
			break
		}
		if out[networks[i].ID] != 0 {
			continue
		}
		h := fnv.New32a()
		h.Write([]byte(networks[i].ID))
		z := uint16(h.Sum32()%count) + 1
		for taken[z] {
			z = z%count + 1
		}
		out[networks[i].ID], taken[z] = z, true
	}
	return out
}

// zonesInForce reads from marks of devices, as the kernel has them, which zones
// networks have.
func zonesInForce(marks map[string]uint32, devs []device) map[string]uint16 {
	out := map[string]uint16{}
	for _, d := range devs {
		if z := uint16(marks[d.name] & markZone); z != 0 {
			out[d.network] = z
		}
	}
	return out
}

// filtered reports whether a port is filtered at all.
func filtered(p *host.Port) bool { return p.PortSecurity && !p.Trusted }

// device is an interface on a network's bridge.
type device struct {
	name, network string
	port          bool // an instance's
	stateless     bool
}

// devices is everything on the bridges of networks that have filtered ports: both
// directions of a connection must be in one zone, whatever is at the other end.
func devices(s *host.State, physnets map[string]string) []device {
	tracked := map[string]bool{}
	for i := range s.Ports {
		tracked[s.Ports[i].NetworkID] = tracked[s.Ports[i].NetworkID] || filtered(&s.Ports[i])
	}
	return slices.DeleteFunc(allDevices(s, physnets), func(d device) bool { return !tracked[d.network] })
}

// closedDevices is everything on the bridges of networks on which the host itself
// has no business. A bridge needs no address for the host to hear what is sent to
// the bridge's MAC, or to answer for the addresses it has elsewhere.
func closedDevices(s *host.State, physnets map[string]string) []device {
	closed := map[string]bool{}
	for i := range s.Networks {
		closed[s.Networks[i].ID] = !hostMayBeOn(s.Networks[i].Segment)
	}
	return slices.DeleteFunc(allDevices(s, physnets), func(d device) bool { return !closed[d.network] })
}

// hostMayBeOn reports whether the host may have addresses on a network, or be a
// router there: not on one that is tenants' alone.
func hostMayBeOn(s host.Segment) bool {
	return s.Type == weft.TypeFlat || s.Type == weft.TypeVLAN || s.Type == weft.TypeLocal
}

// allDevices is everything that belongs on the bridges.
func allDevices(s *host.State, physnets map[string]string) []device {
	var out []device
	for i := range s.Networks {
		n := &s.Networks[i]
		if name := uplink(n.Segment, physnets); name != "" {
			out = append(out, device{name: name, network: n.ID})
		}
	}
	return append(out, taps(s)...)
}

// taps is what of this host belongs on the bridges: of services, routers and instances.
func taps(s *host.State) []device {
	var out []device
	add := func(network, port string) { out = append(out, device{name: host.TapName(port), network: network}) }
	for i := range s.Networks {
		if n := &s.Networks[i]; n.DHCP != nil {
			add(n.ID, n.DHCP.PortID)
		}
	}
	for i := range s.Routers {
		for _, p := range s.Routers[i].Interfaces {
			add(p.NetworkID, p.PortID)
		}
		for _, g := range s.Routers[i].Gateways() {
			add(g.NetworkID, g.PortID)
		}
	}
	stateless := statelessGroups(s)
	for i := range s.Ports {
		p := &s.Ports[i]
		out = append(out, device{host.TapName(p.ID), p.NetworkID, true, filtered(p) && anyOf(p.Groups, stateless)})
	}
	return out
}

// uplink is the interface by which a network reaches other hosts; "" if none.
func uplink(seg host.Segment, physnets map[string]string) string {
	physical := physnets[seg.PhysicalNetwork]
	switch {
	case seg.Type == weft.TypeVXLAN:
		return fmt.Sprintf("vxlan-%d", seg.ID)
	case seg.Type == weft.TypeFlat:
		return physical
	case seg.Type == weft.TypeVLAN && physical != "":
		return host.VLANDevice(physical, seg.ID)
	}
	return ""
}

func statelessGroups(s *host.State) map[string]bool {
	out := map[string]bool{}
	for i := range s.Groups {
		if !s.Groups[i].Stateful {
			out[s.Groups[i].ID] = true
		}
	}
	return out
}

func anyOf(ids []string, set map[string]bool) bool {
	for _, id := range ids {
		if set[id] {
			return true
		}
	}
	return false
}

func (d device) mark(zones map[string]uint16) nft.Datum {
	m := uint32(markTag) | uint32(zones[d.network])
	if d.stateless {
		m |= markStateless
	}
	return nft.Number(m)
}
