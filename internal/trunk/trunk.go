// Package trunk keeps trunks: ports that carry the traffic of other ports under
// tags. Subports live where their parent does, and a trunk works when its parent
// and all of them do.
package trunk

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Ports is what trunks need of ports.
type Ports interface {
	UpdatePort(tx *store.Tx, old, p *weft.Port, given weft.Given) error
}

// Service carries out changes of trunks.
type Service struct{ ports Ports }

// New makes a service.
func New(ports Ports) *Service { return &Service{ports} }

// CreateTrunk stores a trunk. Errors: PortNotFound, and TrunkPortInUse and
// ParentPortInUse for a parent that cannot be one; for subports see checkSubPorts.
func (s *Service) CreateTrunk(tx *store.Tx, t *weft.Trunk, asked []SubPortRequest) error {
	parent, err := s.checkParent(tx, t.PortID)
	if err != nil {
		return err
	}
	if t.SubPorts, err = checkSubPorts(tx, parent, asked); err != nil {
		return err
	}
	t.Status = weft.StatusDown
	if err := store.Trunks.Insert(tx, t); err != nil {
		return err
	}
	return s.attach(tx, t, parent, t.SubPorts)
}

func (s *Service) checkParent(tx *store.Tx, portID string) (*weft.Port, error) {
	p, err := store.OwnPort(tx, portID)
	if err == nil {
		err = notInTrunk(tx, portID)
	}
	if err == nil && !trunkable(p) {
		err = parentInUse(portID)
	}
	return p, err
}

// trunkable reports whether a port may become, or cease to be, a parent: where it
// is bound, by the Linux bridge.
func trunkable(p *weft.Port) bool { return p.HostID == "" || p.VIFType == weft.VIFBridge }

func parentInUse(portID string) error {
	return weft.Errorf(weft.Conflict, "ParentPortInUse", "Port %s is currently in use and is not eligible for use as a parent port.", portID)
}

func notInTrunk(tx *store.Tx, portID string) error {
	parent, sub, err := store.TrunkOf(tx, portID)
	switch {
	case err != nil:
		return err
	case sub != "":
		return weft.Errorf(weft.Conflict, "TrunkPortInUse", "Port %s is in use by another trunk.", portID)
	case parent != "":
		return parentInUse(portID)
	}
	return nil
}

// UpdateTrunk stores what changed.
func (s *Service) UpdateTrunk(tx *store.Tx, t *weft.Trunk) error { return store.Trunks.Update(tx, t) }

// DeleteTrunk removes a trunk and lets its subports go. Errors: TrunkDisabled,
// and TrunkInUse while its parent is somewhere that does not allow it.
func (s *Service) DeleteTrunk(tx *store.Tx, t *weft.Trunk) error {
	if err := manageable(t); err != nil {
		return err
	}
	parent, err := store.Ports.Get(tx, t.PortID)
	if err != nil {
		return err
	}
	if !trunkable(parent) {
		return weft.Errorf(weft.Conflict, "TrunkInUse", "Trunk %s is currently in use.", t.ID)
	}
	if err := store.Trunks.Delete(tx, t); err != nil {
		return err
	}
	return s.detach(tx, t.SubPorts)
}

func manageable(t *weft.Trunk) error {
	if !t.AdminStateUp {
		return weft.Errorf(weft.Conflict, "TrunkDisabled", "Trunk %s is currently disabled.", t.ID)
	}
	return nil
}

// AddSubPorts adds ports to a trunk. Errors beside those of checkSubPorts:
// TrunkDisabled, TrunkInErrorState, DuplicateSubPort.
func (s *Service) AddSubPorts(tx *store.Tx, t *weft.Trunk, asked []SubPortRequest) error {
	parent, err := store.Ports.Get(tx, t.PortID)
	if err != nil {
		return err
	}
	more, err := checkSubPorts(tx, parent, asked)
	if err != nil {
		return err
	}
	if err := manageable(t); err != nil {
		return err
	}
	if t.Status == weft.StatusError {
		return weft.Errorf(weft.Conflict, "TrunkInErrorState",
			"Trunk %s is in error state. Attempt to resolve the error condition before proceeding.", t.ID)
	}
	used := make(map[weft.Tag]bool, len(t.SubPorts))
	for _, sp := range t.SubPorts {
		used[sp.Tag()] = true
	}
	for _, m := range more {
		if used[m.Tag()] {
			return weft.Errorf(weft.Conflict, "DuplicateSubPort", "segmentation_type %s and segmentation_id %d already in use on trunk %s.",
				m.SegmentationType, m.SegmentationID, t.ID)
		}
		t.SubPorts = append(t.SubPorts, m)
	}
	t.Status = weft.StatusDown
	if err := store.Trunks.Update(tx, t); err != nil {
		return err
	}
	return s.attach(tx, t, parent, more)
}

// RemoveSubPorts takes ports out of a trunk; SubPortNotFound for one that is not
// in it.
func (s *Service) RemoveSubPorts(tx *store.Tx, t *weft.Trunk, ids []string) error {
	has := make(map[string]weft.SubPort, len(t.SubPorts))
	for _, sp := range t.SubPorts {
		has[sp.PortID] = sp
	}
	var gone []weft.SubPort
	for _, id := range ids {
		sp, ok := has[id]
		if !ok {
			return weft.Errorf(weft.NotFound, "SubPortNotFound", "SubPort %s on trunk %s could not be found.", id, t.ID)
		}
		gone = append(gone, sp)
		delete(has, id)
	}
	t.SubPorts = slices.DeleteFunc(t.SubPorts, func(sp weft.SubPort) bool { _, stays := has[sp.PortID]; return !stays })
	parent, err := store.Ports.Get(tx, t.PortID)
	if err != nil {
		return err
	}
	t.Status = weft.StatusDown
	if err := store.Trunks.Update(tx, t); err != nil {
		return err
	}
	if err := s.detach(tx, gone); err != nil {
		return err
	}
	return settle(tx, t, parent, false)
}

// Manageable refuses, with TrunkDisabled, to change the subports of a trunk that
// is administratively down.
func (s *Service) Manageable(t *weft.Trunk) error { return manageable(t) }
