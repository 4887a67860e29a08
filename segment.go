package weft

// Segment is one of the layer-2 segments that make up a network.
type Segment struct {
	Meta
	NetworkID       string  `json:"network_id"`
	Name            ID      `json:"name"`        // null until it is given one
	Description     *string `json:"description"` // null of one made with its network
	NetworkType     string  `json:"network_type"`
	PhysicalNetwork ID      `json:"physical_network"`
	SegmentationID  *int64  `json:"segmentation_id"`
}

// Provider is how the segment travels.
func (s *Segment) Provider() Provider {
	return Provider{NetworkType: s.NetworkType, PhysicalNetwork: s.PhysicalNetwork, SegmentationID: s.SegmentationID}
}

// Same reports whether two segments are the same, however they are kept.
func (p Provider) Same(q Provider) bool {
	return p.NetworkType == q.NetworkType && p.PhysicalNetwork == q.PhysicalNetwork && p.Number() == q.Number()
}

// Number is the segmentation id; 0 is none, whether it was given or not.
func (p Provider) Number() int64 {
	if p.SegmentationID == nil {
		return 0
	}
	return *p.SegmentationID
}

// Beside reports whether two segments are of one type and on one physical network, of
// which a network has one at most.
func (p Provider) Beside(q Provider) bool {
	return p.PhysicalNetwork != "" && p.NetworkType == q.NetworkType && p.PhysicalNetwork == q.PhysicalNetwork
}

// NetworkSegmentRange is a range of segmentation ids for tenant networks, of all
// projects or of one.
type NetworkSegmentRange struct {
	Meta
	Name            string `json:"name"`
	Description     string `json:"description"`
	Default         bool   `json:"default"` // comes from the configuration
	Shared          bool   `json:"shared"`
	NetworkType     string `json:"network_type"`
	PhysicalNetwork ID     `json:"physical_network"`
	Minimum         int64  `json:"minimum"`
	Maximum         int64  `json:"maximum"`
}
