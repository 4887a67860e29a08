package trunk

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// PortDeleting refuses, with PortInUseAsSubPort or PortInUseAsTrunkParent, to
// delete a port of a trunk.
func (s *Service) PortDeleting(tx *store.Tx, p *weft.Port) error {
	parent, sub, err := store.TrunkOf(tx, p.ID)
	switch {
	case err != nil:
		return err
	case sub != "":
		return orSubPort(nil, p.ID, sub)
	case parent != "":
		return weft.Errorf(weft.Conflict, "PortInUseAsTrunkParent", "Port %s is currently a parent port for trunk %s.", p.ID, parent)
	}
	return nil
}

func orSubPort(err error, port, trunk string) error {
	if err != nil {
		return err
	}
	return weft.Errorf(weft.Conflict, "PortInUseAsSubPort", "Port %s is currently a subport for trunk %s.", port, trunk)
}

// PortUpdating makes subports follow a parent that moves. What is declared to be
// something else while it is a subport is refused with PortInUseAsSubPort.
func (s *Service) PortUpdating(tx *store.Tx, old, p *weft.Port) error {
	if old.DeviceOwner == weft.OwnerSubPort && p.DeviceOwner != weft.OwnerSubPort {
		if _, sub, err := store.TrunkOf(tx, p.ID); err != nil || sub != "" {
			return orSubPort(err, p.ID, sub)
		}
	}
	if old.HostID == p.HostID && old.VIFType == p.VIFType {
		return nil
	}
	t, err := store.Trunks.First(tx, store.Eq("port_id", p.ID))
	if err != nil || t == nil {
		return err
	}
	if !p.Bound() {
		if err := s.place(tx, t.SubPorts, "", weft.OwnerSubPort); err != nil {
			return err
		}
		return settle(tx, t, p, false)
	}
	return s.attach(tx, t, p, t.SubPorts)
}

// attach puts subports where their parent is bound.
func (s *Service) attach(tx *store.Tx, t *weft.Trunk, parent *weft.Port, subs []weft.SubPort) error {
	if parent.Bound() {
		if err := s.place(tx, subs, parent.HostID, weft.OwnerSubPort); err != nil {
			return err
		}
	}
	return settle(tx, t, parent, false)
}

// detach makes ports of former subports.
func (s *Service) detach(tx *store.Tx, subs []weft.SubPort) error { return s.place(tx, subs, "", "") }

// place binds subports to a host. One that another owner has taken meanwhile is
// left alone when it is let go.
func (s *Service) place(tx *store.Tx, subs []weft.SubPort, host, owner string) error {
	for _, sub := range subs {
		old, err := store.Ports.Get(tx, sub.PortID)
		if err != nil {
			return err
		}
		if host == "" && old.DeviceOwner != weft.OwnerSubPort {
			continue
		}
		p := weft.Clone(old)
		p.HostID, p.DeviceOwner = host, owner
		if err := s.ports.UpdatePort(tx, old, p, weft.Given{"binding:host_id": true, "device_owner": true}); err != nil {
			return err
		}
	}
	return nil
}

// PortsReported settles the trunks of ports that an agent has reported on.
func (s *Service) PortsReported(tx *store.Tx, ids []any) error {
	list, err := store.TrunksWith(tx, ids...)
	if err != nil {
		return err
	}
	for _, t := range list {
		parent, err := store.Ports.Get(tx, t.PortID)
		if err != nil {
			return err
		}
		if err := settle(tx, t, parent, true); err != nil {
			return err
		}
	}
	return nil
}

// settle gives a trunk the status that follows from its ports: DOWN without an
// ACTIVE parent, ERROR when a subport cannot be bound, ACTIVE when all are. What
// is not ACTIVE once the agent has reported makes it DEGRADED; before, it is DOWN.
func settle(tx *store.Tx, t *weft.Trunk, parent *weft.Port, reported bool) error {
	status := weft.StatusDown
	if parent.Status == weft.StatusActive && parent.Bound() {
		ids := make([]any, len(t.SubPorts))
		for i, sub := range t.SubPorts {
			ids[i] = sub.PortID
		}
		subs, err := store.Ports.Find(tx, store.In("id", ids...))
		if err != nil {
			return err
		}
		status = together(subs, reported)
	}
	if t.Status == status {
		return nil
	}
	t.Status = status
	return store.Trunks.Update(tx, t)
}

func together(subs []*weft.Port, reported bool) string {
	status := weft.StatusActive
	for _, p := range subs {
		switch {
		case p.VIFType == weft.VIFFailed:
			return weft.StatusError
		case p.Status == weft.StatusActive:
		case reported:
			status = weft.StatusDegraded
		default:
			status = weft.StatusDown
		}
	}
	return status
}
