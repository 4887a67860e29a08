// Package segment keeps the segments of networks as nouns of their own, and the
// ranges that their ids come from.
package segment

import (
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/store"
)

// Service carries out changes of segments and ranges.
type Service struct{ ml2 *ml2.Manager }

// New makes a service.
func New(m *ml2.Manager) *Service { return &Service{m} }

// CreateSegment adds a segment to its network. Errors: NetworkNotFound; those of
// provider attributes (InvalidInput, VlanIdInUse and the like);
// NeutronDbObjectDuplicateEntry for a second segment on one physical network.
func (s *Service) CreateSegment(tx *store.Tx, seg *weft.Segment) error {
	n, err := store.Networks.Get(tx, seg.NetworkID)
	if err != nil {
		return err
	}
	before := n.AllSegments()
	p, err := s.ml2.AddSegment(tx, n, seg.Provider())
	if err != nil {
		return err
	}
	for _, other := range before {
		if p.Beside(other) || p.Same(other) {
			return weft.Errorf(weft.Conflict, "NeutronDbObjectDuplicateEntry",
				"Failed to create a duplicate NetworkSegment: for attribute(s) ['network_id', 'network_type', 'physical_network'] with value(s) %s-%s-%s",
				n.ID, p.NetworkType, p.PhysicalNetwork)
		}
	}
	if err := store.Networks.Update(tx, n); err != nil {
		return err
	}
	made, err := find(tx, n.ID, p)
	if err != nil {
		return err
	}
	made.Name, made.Description = seg.Name, seg.Description
	*seg = *made
	return store.Segments.Update(tx, seg)
}

// find is the segment of a network that travels like p.
func find(tx *store.Tx, networkID string, p weft.Provider) (*weft.Segment, error) {
	all, err := store.Segments.Find(tx, store.Eq("network_id", networkID))
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.Provider().Same(p) {
			return s, nil
		}
	}
	return nil, store.Segments.Missing("of network " + networkID)
}

// UpdateSegment stores its name and description.
func (s *Service) UpdateSegment(tx *store.Tx, seg *weft.Segment) error {
	return store.Segments.Update(tx, seg)
}

// DeleteSegment takes a segment from its network; SegmentInUse while subnets or
// bound ports are on it.
func (s *Service) DeleteSegment(tx *store.Tx, seg *weft.Segment) error {
	subnets, err := store.Subnets.Find(tx, store.Eq("segment_id", seg.ID))
	if err != nil {
		return err
	}
	if len(subnets) > 0 {
		return inUse(seg, "The segment is still associated with subnet(s) ", "subnet", ids(subnets))
	}
	n, err := store.Networks.Get(tx, seg.NetworkID)
	if err != nil {
		return err
	}
	if len(n.AllSegments()) == 1 {
		ports, err := store.Ports.Find(tx, store.Eq("network_id", n.ID), store.Where("t.host_id <> ''"))
		if err != nil {
			return err
		}
		if len(ports) > 0 {
			return inUse(seg, "The segment is still bound with port(s) ", "port", ids(ports))
		}
	}
	ml2.RemoveSegment(n, seg.Provider())
	return store.Networks.Update(tx, n) // its segments follow it
}

func inUse(seg *weft.Segment, reason, noun string, ids []string) error {
	return weft.Errorf(weft.Conflict, "SegmentInUse", "Segment '%s' cannot be deleted: %s%s.", seg.ID, reason, strings.Join(ids, ", ")).BlockedBy(noun, ids...)
}

func ids[T interface{ Base() *weft.Meta }](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.Base().ID
	}
	return out
}
