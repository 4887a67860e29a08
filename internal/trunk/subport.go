package trunk

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Segmentation types that a request may name.
const (
	segmentVLAN    = "vlan"
	segmentInherit = "inherit" // that of the subport's network
)

// SubPortRequest is a subport as a request describes it.
type SubPortRequest struct {
	PortID string
	Type   string
	ID     *int64 // nil: not given
	Text   string // the whole element as Neutron prints it in errors
}

// checkSubPorts is the subports that a request describes. Errors: ParentPortInUse
// for the parent itself and for parents of other trunks, TrunkPortInUse, PortInUse
// for a port of a device, SubPortMtuGreaterThanTrunkPortMtu, PortNotFound, and
// InvalidInput for tags that make no sense.
func checkSubPorts(tx *store.Tx, parent *weft.Port, asked []SubPortRequest) ([]weft.SubPort, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	trunk, err := store.Networks.Get(tx, parent.NetworkID)
	if err != nil {
		return nil, err
	}
	networks, err := networksOf(tx, asked)
	if err != nil {
		return nil, err
	}
	var out []weft.SubPort
	used := make(map[weft.Tag]bool, len(asked))
	for _, a := range asked {
		sp, err := checkSubPort(tx, parent, trunk.MTU, networks[a.PortID], a)
		if err != nil {
			return nil, err
		}
		if used[sp.Tag()] {
			return nil, weft.Errorf(weft.Conflict, "DuplicateSubPort", "segmentation_type %s and segmentation_id %d already in use on trunk %s.",
				sp.SegmentationType, sp.SegmentationID, parent.ID)
		}
		used[sp.Tag()] = true
		out = append(out, sp)
	}
	return out, nil
}

// networksOf are the networks of the ports that the caller can see, by port.
func networksOf(tx *store.Tx, asked []SubPortRequest) (map[string]*weft.Network, error) {
	ids := make([]any, len(asked))
	for i, a := range asked {
		ids[i] = a.PortID
	}
	ports, err := store.Ports.Find(tx, store.In("id", ids...), store.Ports.VisibleTo(tx.Caller))
	if err != nil {
		return nil, err
	}
	byID, nets := map[string]*weft.Network{}, []any{}
	for _, p := range ports {
		nets = append(nets, p.NetworkID)
	}
	found, err := store.Networks.Find(tx, store.In("id", nets...))
	for _, n := range found {
		byID[n.ID] = n
	}
	out := map[string]*weft.Network{}
	for _, p := range ports {
		out[p.ID] = byID[p.NetworkID]
	}
	return out, err
}

// checkSubPort checks one subport; network is nil when the caller cannot see the
// port.
func checkSubPort(tx *store.Tx, parent *weft.Port, mtu int, network *weft.Network, a SubPortRequest) (weft.SubPort, error) {
	if a.PortID == parent.ID {
		return weft.SubPort{}, parentInUse(a.PortID)
	}
	if network != nil && network.MTU > mtu {
		return weft.SubPort{}, weft.Errorf(weft.Conflict, "SubPortMtuGreaterThanTrunkPortMtu",
			"MTU %d of subport %s cannot be greater than MTU %d of trunk %s.", network.MTU, a.PortID, mtu, parent.ID)
	}
	sp, err := tag(network, a)
	if err != nil {
		return sp, err
	}
	p, err := store.OwnPort(tx, a.PortID)
	if err == nil {
		err = notInTrunk(tx, a.PortID)
	}
	if err == nil && p.DeviceID != "" {
		err = weft.Errorf(weft.Conflict, "PortInUse", "Unable to complete operation on port %s for network %s. Port already has an attached device %s.",
			p.ID, p.NetworkID, p.DeviceID)
	}
	return sp, err
}

// tag settles the segmentation of a subport.
func tag(network *weft.Network, a SubPortRequest) (weft.SubPort, error) {
	sp := weft.SubPort{PortID: a.PortID, SegmentationType: a.Type}
	id := a.ID
	if a.Type == segmentInherit && network != nil && network.Provider != nil {
		sp.SegmentationType, id = network.NetworkType, network.SegmentationID
	}
	switch {
	case sp.SegmentationType == "" || id == nil:
		return sp, weft.Invalid("Invalid subport details '%s': missing segmentation information. Must specify both segmentation_id and segmentation_type", a.Text)
	case sp.SegmentationType != segmentVLAN:
		return sp, weft.Invalid("Unknown segmentation_type '%s'", sp.SegmentationType)
	case *id < 1 || *id > 4094:
		return sp, weft.Invalid("Segmentation ID '%d' is not in range", *id)
	}
	sp.SegmentationID = *id
	return sp, nil
}
