package core

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/store"
)

// SetPortStatuses records what the agent of a host has realised: a port is ACTIVE
// when it is up there as it is bound now, and DOWN when it is not. Reports about
// ports that are gone or bound elsewhere are out of date and ignored, as are those
// from before the present binding.
func (s *Service) SetPortStatuses(tx *store.Tx, hostID string, reports []host.PortReport) error {
	const batch = 256
	for len(reports) > 0 {
		n := min(batch, len(reports))
		if err := s.setStatuses(tx, hostID, reports[:n]); err != nil {
			return err
		}
		reports = reports[n:]
	}
	return nil
}

func (s *Service) setStatuses(tx *store.Tx, hostID string, reports []host.PortReport) error {
	byID := make(map[string]host.PortReport, len(reports))
	var ids []any
	for _, r := range reports {
		ids = append(ids, r.ID)
		byID[r.ID] = r
	}
	for len(ids)&(len(ids)-1) != 0 { // few lengths make few statements to keep prepared
		ids = append(ids, ids[0])
	}
	ports, err := store.Ports.Find(tx, store.Eq("host_id", hostID), store.In("id", ids...))
	err = each(ports, err, func(p *weft.Port) error {
		r := byID[p.ID]
		status := weft.StatusDown
		switch {
		case r.Revision < p.BoundRevision, p.Status == weft.StatusNotApplicable:
			return nil
		case r.Up && p.Bound() && p.AdminStateUp:
			status = weft.StatusActive
		}
		if p.Status == status {
			return nil
		}
		p.Status = status
		return store.Ports.Update(tx, p)
	})
	if err == nil {
		err = setWired(tx, hostID, byID, ids)
	}
	for _, hook := range s.PortsReported {
		if err == nil {
			err = hook(tx, ids)
		}
	}
	return err
}

// setWired records which of the bindings that prepare the host have their port ready
// there: an instance that moves can come.
func setWired(tx *store.Tx, hostID string, reports map[string]host.PortReport, ids []any) error {
	bindings, err := store.PortBindings.Find(tx, store.Eq("host", hostID), store.In("port_id", ids...))
	return each(bindings, err, func(b *weft.PortBinding) error {
		if up := reports[b.PortID].Up; b.Wired != up {
			b.Wired = up
			return store.PortBindings.Update(tx, b)
		}
		return nil
	})
}

// RetryBindings binds again the ports of a host that no driver could carry, when
// an agent there appears or comes back to life.
func (s *Service) RetryBindings(tx *store.Tx, hostID string) error {
	ports, err := store.Ports.Find(tx, store.Eq("host_id", hostID))
	return each(ports, err, func(p *weft.Port) error {
		if p.Bound() {
			return nil
		}
		v, err := look(tx, p.NetworkID, p.MAC)
		if err != nil {
			return err
		}
		old := weft.Clone(p)
		if err := s.bind(tx, v, p, p.Revision+1); err != nil || !p.Bound() {
			return err
		}
		for _, hook := range s.PortUpdating {
			if err := hook(tx, old, p); err != nil {
				return err
			}
		}
		if err := store.Ports.Update(tx, p); err != nil {
			return err
		}
		return s.schedule(tx, v, p)
	})
}
