// Package vlan is the type of networks that are a VLAN of a physical network.
package vlan

import (
	"maps"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/store"
)

const (
	minTag = 1
	maxTag = 4094
)

type driver struct {
	ranges map[string][]ml2.Range
	below  ml2.MTU
}

// New makes the type for the physical networks in ranges, each with the tags that
// tenant networks may have; none leaves the physical network to operators.
func New(ranges map[string][]ml2.Range, below ml2.MTU) ml2.Type {
	d := driver{make(map[string][]ml2.Range, len(ranges)), below}
	for name, r := range ranges {
		d.ranges[name] = ml2.Merge(r)
	}
	return d
}

func (driver) Name() string { return weft.TypeVLAN }

func (d driver) Validate(p weft.Provider) error {
	name := string(p.PhysicalNetwork)
	ranges, known := d.ranges[name]
	switch {
	case name == "" && p.SegmentationID != nil:
		return weft.Invalid("segmentation_id requires physical_network for VLAN provider network")
	case name == "":
		return nil
	case !known:
		return weft.Invalid("physical_network '%s' unknown for VLAN provider network", name)
	case p.SegmentationID == nil && len(ranges) == 0:
		return weft.Invalid("Physical network %s requires segmentation_id to be specified when creating a provider network", name)
	case p.SegmentationID != nil && (*p.SegmentationID < minTag || *p.SegmentationID > maxTag):
		return weft.Invalid("segmentation_id out of range (%d through %d)", minTag, maxTag)
	}
	return nil
}

// Reserve implements ml2.Type. An operator may choose a tag outside the ranges.
func (d driver) Reserve(tx *store.Tx, project string, p weft.Provider) (weft.Provider, error) {
	if p.SegmentationID == nil {
		names := []string{string(p.PhysicalNetwork)}
		if names[0] == "" {
			names = slices.Sorted(maps.Keys(d.ranges))
		}
		p, ok, err := d.pick(tx, project, names)
		if err == nil && !ok {
			err = ml2.NoneFree()
		}
		return p, err
	}
	taken, err := ml2.Taken(tx, weft.TypeVLAN, string(p.PhysicalNetwork), *p.SegmentationID)
	if err == nil && taken {
		err = weft.Errorf(weft.Conflict, "VlanIdInUse", "Unable to create the network. The VLAN %d on physical network %s is in use.",
			*p.SegmentationID, p.PhysicalNetwork)
	}
	return p, err
}

func (d driver) Allocate(tx *store.Tx, project string) (weft.Provider, bool, error) {
	return d.pick(tx, project, slices.Sorted(maps.Keys(d.ranges)))
}

func (d driver) pick(tx *store.Tx, project string, physnets []string) (weft.Provider, bool, error) {
	for _, name := range physnets {
		tag, ok, err := ml2.Pick(tx, weft.TypeVLAN, name, project, d.ranges[name])
		if err != nil || ok {
			return weft.Provider{NetworkType: weft.TypeVLAN, PhysicalNetwork: weft.ID(name), SegmentationID: &tag}, ok, err
		}
	}
	return weft.Provider{}, false, nil
}

// Configured is the ranges that tenant networks have their tags from.
func (d driver) Configured() []ml2.TypeRange {
	var out []ml2.TypeRange
	for name, ranges := range d.ranges {
		for _, r := range ranges {
			out = append(out, ml2.TypeRange{NetworkType: weft.TypeVLAN, PhysicalNetwork: name, Range: r})
		}
	}
	return out
}

func (d driver) MTU(physnet string) int { return d.below.Physnet(physnet) }
