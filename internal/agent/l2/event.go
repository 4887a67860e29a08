package l2

import (
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/host"
)

// settled is how Wire left an interface, as far as events tell. A master below
// zero is any.
type settled struct {
	master int
	mtu    int
}

const anyMaster = -1

// settle notes what is as it shall be after Wire.
func (a *Agent) settle(s *host.State, reasons map[string]string) {
	a.settled, a.unsettled = map[string]settled{}, map[string]bool{}
	for i := range s.Networks {
		n := &s.Networks[i]
		if a.failed[n.ID] != "" {
			continue
		}
		bridge := host.BridgeName(n.ID)
		a.settled[bridge] = settled{0, n.MTU}
		switch n.Segment.Type {
		case weft.TypeVXLAN:
			a.settled[vxlanName(n.Segment.ID)] = settled{a.index[bridge], n.MTU}
		case weft.TypeVLAN:
			a.settled[host.VLANDevice(a.cfg.Physnets[n.Segment.PhysicalNetwork], n.Segment.ID)] = settled{a.index[bridge], n.MTU}
		}
	}
	for tap := range served(s) {
		a.settled[tap] = settled{anyMaster, 0}
	}
	a.settlePorts(s, reasons)
}

func (a *Agent) settlePorts(s *host.State, reasons map[string]string) {
	mtu := map[string]int{}
	for i := range s.Networks {
		mtu[s.Networks[i].ID] = s.Networks[i].MTU
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		tap := host.TapName(p.ID)
		if a.unsettled[tap] = reasons[p.ID] != ""; a.unsettled[tap] {
			delete(a.settled, tap)
		} else {
			a.settled[tap] = settled{a.index[host.BridgeName(p.NetworkID)], mtu[p.NetworkID]}
		}
	}
}

// Concerns reports whether an event says something new to us: a device of a
// network or port that is not as Wire left it, or a stranger that is up on a bridge.
func (a *Agent) Concerns(e link.Event) bool {
	want, known := a.settled[e.Name]
	switch {
	case known && !e.Deleted && e.Up:
		if want.master == anyMaster {
			return e.Master == 0
		}
		return e.Master != want.master || e.MTU != want.mtu
	case known || a.unsettled[e.Name]:
		return true
	case a.waiting && (e.Deleted || e.Master == 0):
		return true
	case strings.HasPrefix(e.Name, "tap"):
		return !e.Deleted && e.Up && e.Master != 0
	}
	m, ok := mark.Parse(e.Alias)
	return ok && m.Kind == mark.Network || isPhysical(&a.cfg, link.Link{Name: e.Name})
}
