package weft

// Trunk is a port, the parent, that carries the traffic of other ports beside its
// own, each under a tag.
type Trunk struct {
	Meta
	Name         string        `json:"name"`
	Description  string        `json:"description"`
	PortID       string        `json:"port_id"` // the parent
	AdminStateUp bool          `json:"admin_state_up"`
	Status       string        `json:"status"`
	SubPorts     List[SubPort] `json:"sub_ports"`
}

// SubPort is a port that travels through the parent of a trunk.
type SubPort struct {
	PortID           string `json:"port_id"`
	SegmentationType string `json:"segmentation_type"` // "vlan"
	SegmentationID   int64  `json:"segmentation_id"`
}

// OwnerSubPort owns the subports of trunks whose parent is bound.
const OwnerSubPort = "trunk:subport"

// StatusDegraded is the status of a trunk some of whose subports do not work.
const StatusDegraded = "DEGRADED"

// Tag is what tells a subport's traffic from that of others on its trunk.
type Tag struct {
	Type string
	ID   int64
}

// Tag is the subport's.
func (s SubPort) Tag() Tag { return Tag{s.SegmentationType, s.SegmentationID} }
