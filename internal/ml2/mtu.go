package ml2

import "github.com/weftnet/weft"

// MTU is the sizes of frames that the networks below ours carry.
type MTU struct {
	Global   int            // of every physical network (global_physnet_mtu); 0 is 1500
	Path     int            // between tunnel ends (path_mtu), 0 if it is Global's
	Physical map[string]int // of single physical networks
	IPv6     bool           // tunnels run over IPv6 (overlay_ip_version 6)
}

func (m MTU) global() int {
	if m.Global == 0 {
		return 1500
	}
	return m.Global
}

// Physnet is the MTU of a physical network.
func (m MTU) Physnet(name string) int {
	if v := m.Physical[name]; v > 0 {
		return min(v, m.global())
	}
	return m.global()
}

// Tunnel is the MTU inside a tunnel whose own header has the given size.
func (m MTU) Tunnel(header int) int {
	base := m.global()
	if m.Path > 0 {
		base = min(base, m.Path)
	}
	if m.IPv6 {
		return base - 40 - header
	}
	return base - 20 - header
}

// MTU settles the MTU of a network whose segments are known: 0 becomes the
// largest that all segments carry, more than that is refused.
func (m *Manager) MTU(n *weft.Network) error {
	limit := m.cfg.MTU.global()
	for _, p := range n.AllSegments() {
		if t := m.types[p.NetworkType]; t != nil {
			if v := t.MTU(string(p.PhysicalNetwork)); v > 0 {
				limit = min(limit, v)
			}
		}
	}
	if n.MTU == 0 {
		n.MTU = limit
	}
	if n.MTU > limit {
		return weft.Invalid("Requested MTU is too big, maximum is %d", limit)
	}
	return nil
}
