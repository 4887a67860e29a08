package ml2

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Tunnel is what the tunnelled types have in common: a segment is a number, the
// physical network does not matter. It implements Type.
type Tunnel struct {
	NetworkType string
	MaxID       int64
	Header      int // bytes that encapsulation adds to a packet, without the outer IP header
	Ranges      []Range
	Below       MTU
}

// Name implements Type.
func (t Tunnel) Name() string { return t.NetworkType }

// Validate implements Type.
func (t Tunnel) Validate(p weft.Provider) error {
	if p.PhysicalNetwork != "" {
		return weft.Invalid("provider:physical_network specified for %s network", t.NetworkType)
	}
	if p.SegmentationID != nil && (*p.SegmentationID < 1 || *p.SegmentationID > t.MaxID) {
		return weft.Invalid("segmentation_id out of range (1 through %d)", t.MaxID)
	}
	return nil
}

// Reserve implements Type. An operator may choose an id outside the ranges.
func (t Tunnel) Reserve(tx *store.Tx, project string, p weft.Provider) (weft.Provider, error) {
	if p.SegmentationID == nil {
		p, ok, err := t.Allocate(tx, project)
		if err == nil && !ok {
			err = NoneFree()
		}
		return p, err
	}
	taken, err := Taken(tx, t.NetworkType, "", *p.SegmentationID)
	if err == nil && taken {
		err = weft.Errorf(weft.Conflict, "TunnelIdInUse", "Unable to create the network. The tunnel ID %d is in use.", *p.SegmentationID)
	}
	return p, err
}

// Allocate implements Type.
func (t Tunnel) Allocate(tx *store.Tx, project string) (weft.Provider, bool, error) {
	id, ok, err := Pick(tx, t.NetworkType, "", project, t.Ranges)
	return weft.Provider{NetworkType: t.NetworkType, SegmentationID: &id}, ok, err
}

// Configured is the ranges that tenant networks have their ids from.
func (t Tunnel) Configured() []TypeRange {
	out := make([]TypeRange, len(t.Ranges))
	for i, r := range t.Ranges {
		out[i] = TypeRange{NetworkType: t.NetworkType, Range: r}
	}
	return out
}

// MTU implements Type.
func (t Tunnel) MTU(string) int { return t.Below.Tunnel(t.Header) }
