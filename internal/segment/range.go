package segment

import (
	"strconv"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/store"
)

// CreateRange stores a range. One that is not shared belongs to a project. Errors:
// NetworkSegmentRangeNetTypeNotSupported, BadRequest for a VLAN range without a
// physical network, NetworkVlanRangeError and NetworkTunnelRangeError,
// NetworkSegmentRangeOverlaps.
func (s *Service) CreateRange(tx *store.Tx, r *weft.NetworkSegmentRange) error {
	if !s.ml2.HasType(r.NetworkType) {
		return weft.Errorf(weft.BadRequest, "NetworkSegmentRangeNetTypeNotSupported", "Network type %s does not support network segment ranges.", r.NetworkType)
	}
	switch {
	case r.NetworkType != weft.TypeVLAN:
		r.PhysicalNetwork = ""
	case r.PhysicalNetwork == "":
		return weft.Errorf(weft.BadRequest, "BadRequest",
			"Bad network_segment_range request: Network type vlan requires 'physical_network' to be specified while creating new range.")
	}
	if r.Shared {
		r.ProjectID = ""
	}
	if err := checkRange(tx, r); err != nil {
		return err
	}
	return store.NetworkSegmentRanges.Insert(tx, r)
}

const maxVLAN = 4094

// checkRange refuses numbers that are no range, and ranges that overlap. Neutron
// answers the former with status 500, though the request is at fault.
func checkRange(tx *store.Tx, r *weft.NetworkSegmentRange) error {
	vlan := func(why string) error {
		return weft.Errorf(weft.BadRequest, "NetworkVlanRangeError", "Invalid network VLAN range: '%d:%d' - '%s'.", r.Minimum, r.Maximum, why)
	}
	switch {
	case r.NetworkType == weft.TypeVLAN && r.Maximum > maxVLAN:
		return vlan(strconv.FormatInt(r.Maximum, 10) + " is not a valid VLAN tag")
	case r.NetworkType == weft.TypeVLAN && r.Maximum < r.Minimum:
		return vlan("End of VLAN range is less than start of VLAN range")
	case r.Maximum < r.Minimum:
		return weft.Errorf(weft.BadRequest, "NetworkTunnelRangeError",
			"Invalid network tunnel range: '%d:%d' - End of tunnel range is less than start of tunnel range.", r.Minimum, r.Maximum)
	}
	others, err := store.NetworkSegmentRanges.Find(tx, store.Eq("network_type", r.NetworkType), store.Eq("physical_network", string(r.PhysicalNetwork)),
		store.Where("t.is_default = 0 AND t.id <> ? AND t.minimum <= ? AND t.maximum >= ?", r.ID, r.Maximum, r.Minimum))
	if err == nil && len(others) > 0 {
		err = weft.Errorf(weft.Conflict, "NetworkSegmentRangeOverlaps", "Network segment range overlaps with range(s) with id %s", strings.Join(ids(others), ", "))
	}
	return err
}

// UpdateRange stores what changed. Errors beside those of creation:
// NetworkSegmentRangeDefaultReadOnly, and NetworkSegmentRangeReferencedByProject
// when a segment that is in use would fall out of the range or, as Neutron has it,
// become its first or last.
func (s *Service) UpdateRange(tx *store.Tx, old, r *weft.NetworkSegmentRange) error {
	if err := writable(old); err != nil {
		return err
	}
	if err := checkRange(tx, r); err != nil {
		return err
	}
	if err := unreferenced(tx, old, store.Where("t.segmentation_id <= ? OR t.segmentation_id >= ?", r.Minimum, r.Maximum)); err != nil {
		return err
	}
	return store.NetworkSegmentRanges.Update(tx, r)
}

// DeleteRange removes a range. Errors: NetworkSegmentRangeDefaultReadOnly,
// NetworkSegmentRangeReferencedByProject.
func (s *Service) DeleteRange(tx *store.Tx, r *weft.NetworkSegmentRange) error {
	if err := writable(r); err != nil {
		return err
	}
	if err := unreferenced(tx, r); err != nil {
		return err
	}
	return store.NetworkSegmentRanges.Delete(tx, r)
}

func writable(r *weft.NetworkSegmentRange) error {
	if !r.Default {
		return nil
	}
	return weft.Errorf(weft.BadRequest, "NetworkSegmentRangeDefaultReadOnly",
		"Network Segment Range %s is a default segment range which could not be updated or deleted.", r.ID)
}

// unreferenced refuses if there are segments in a range that meet the conditions.
func unreferenced(tx *store.Tx, r *weft.NetworkSegmentRange, where ...store.Cond) error {
	n, err := store.Segments.Count(tx, append(where, store.Eq("network_type", r.NetworkType), store.Eq("physical_network", string(r.PhysicalNetwork)),
		store.Where("t.segmentation_id BETWEEN ? AND ?", r.Minimum, r.Maximum))...)
	if err == nil && n > 0 {
		err = weft.Errorf(weft.Conflict, "NetworkSegmentRangeReferencedByProject", "Network Segment Range %s is referenced by one or more tenant networks.", r.ID)
	}
	return err
}

// SyncDefaults makes the default ranges those of the configuration.
func (s *Service) SyncDefaults(tx *store.Tx) error {
	have, err := store.NetworkSegmentRanges.Find(tx, store.Eq("is_default", 1))
	if err != nil {
		return err
	}
	missing := map[ml2.TypeRange]bool{}
	for _, r := range s.ml2.Ranges() {
		missing[r] = true
	}
	for _, r := range have {
		key := ml2.TypeRange{NetworkType: r.NetworkType, PhysicalNetwork: string(r.PhysicalNetwork), Range: ml2.Range{Min: r.Minimum, Max: r.Maximum}}
		if missing[key] {
			delete(missing, key)
			continue
		}
		if err := store.NetworkSegmentRanges.Delete(tx, r); err != nil {
			return err
		}
	}
	for r := range missing {
		err := store.NetworkSegmentRanges.Insert(tx, &weft.NetworkSegmentRange{Default: true, Shared: true, NetworkType: r.NetworkType,
			PhysicalNetwork: weft.ID(r.PhysicalNetwork), Minimum: r.Range.Min, Maximum: r.Range.Max})
		if err != nil {
			return err
		}
	}
	return nil
}
