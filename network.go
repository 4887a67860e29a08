package weft

// Network is an isolated layer-2 domain.
type Network struct {
	Meta
	Name                  string       `json:"name"`
	Description           string       `json:"description"`
	AdminStateUp          bool         `json:"admin_state_up"`
	Status                string       `json:"status"`
	External              bool         `json:"router:external"`
	MTU                   int          `json:"mtu"`
	PortSecurity          bool         `json:"port_security_enabled"`
	IsDefault             bool         `json:"is_default"`
	DNSDomain             string       `json:"dns_domain"`
	VLANTransparent       *bool        `json:"vlan_transparent"`
	QoSPolicyID           ID           `json:"qos_policy_id"`
	AvailabilityZoneHints List[string] `json:"availability_zone_hints"`
	Segments              []Segment    `json:"segments"` // at least one
}

// Segment is one physical realisation of a network. Zero PhysicalNetwork and
// SegmentationID are null on the wire.
type Segment struct {
	ID              string `json:"id,omitempty"`
	NetworkType     string `json:"provider:network_type"`
	PhysicalNetwork ID     `json:"provider:physical_network"`
	SegmentationID  *int64 `json:"provider:segmentation_id"`
}

// Network types.
const (
	TypeLocal  = "local"
	TypeFlat   = "flat"
	TypeVLAN   = "vlan"
	TypeVXLAN  = "vxlan"
	TypeGRE    = "gre"
	TypeGeneve = "geneve"
)
