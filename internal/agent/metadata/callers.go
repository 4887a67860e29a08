package metadata

import (
	"slices"

	"github.com/weftnet/weft/internal/host"
)

// callersOf is who may ask at an interface on a network, if asks says so of an
// address of theirs. A network that is not known has nobody.
func callersOf(n *host.Network, asks func(*host.Lease, host.Address) bool) callers {
	out := callers{}
	if n == nil {
		return out
	}
	for i := range n.Leases {
		l := &n.Leases[i]
		for _, a := range l.Addresses {
			if isInstance(l) && asks(l, a) {
				out.add(l, a)
			}
		}
	}
	return out
}

func (c callers) add(l *host.Lease, a host.Address) {
	addr := a.Prefix.Addr()
	if _, twice := c[addr]; twice {
		c[addr] = caller{}
		return
	}
	c[addr] = caller{device: l.DeviceID, project: l.ProjectID}
}

func anybody(*host.Lease, host.Address) bool { return true }

// behind tells who may ask a router at one of its interfaces: those in its subnets
// whose gateway it is, whoever they belong to, and otherwise only its own project's.
// Anybody may attach a router to a network that is shared; by that he is nobody's
// gateway.
func behind(r *host.Router, p *host.RouterPort) func(*host.Lease, host.Address) bool {
	attached, gateway := map[string]bool{}, map[string]bool{}
	for _, a := range p.Addresses {
		attached[a.SubnetID] = true
		i := slices.IndexFunc(p.Subnets, func(s host.Subnet) bool { return s.ID == a.SubnetID })
		if i >= 0 && p.Subnets[i].Gateway == a.Prefix.Addr() {
			gateway[a.SubnetID] = true
		}
	}
	return func(l *host.Lease, a host.Address) bool {
		own := l.ProjectID == r.ProjectID && l.ProjectID != ""
		return gateway[a.SubnetID] || own && attached[a.SubnetID]
	}
}
