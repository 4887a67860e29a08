package metadata

import (
	"slices"

	"github.com/weftnet/weft/internal/host"
)

// callersOf is who may ask from the given networks.
func callersOf(s *host.State, networks []string) callers {
	out := callers{}
	for _, id := range networks {
		i := slices.IndexFunc(s.Networks, func(n host.Network) bool { return n.ID == id })
		if i < 0 {
			continue
		}
		for _, l := range s.Networks[i].Leases {
			out.add(l)
		}
	}
	return out
}

func (c callers) add(l host.Lease) {
	for _, a := range l.Addresses {
		addr := a.Prefix.Addr()
		if _, twice := c[addr]; twice {
			c[addr] = caller{}
			continue
		}
		c[addr] = caller{device: l.DeviceID, project: l.ProjectID}
	}
}
