package weft

// Network is an isolated layer-2 domain.
type Network struct {
	Meta
	Name                  string         `json:"name"`
	Description           string         `json:"description"`
	AdminStateUp          bool           `json:"admin_state_up"`
	Status                string         `json:"status"`
	External              bool           `json:"router:external"`
	MTU                   int            `json:"mtu"`
	PortSecurity          bool           `json:"port_security_enabled"`
	IsDefault             *bool          `json:"is_default,omitempty"` // of external networks; see SettleDefault
	DNSDomain             string         `json:"dns_domain"`
	QoSPolicyID           ID             `json:"qos_policy_id"`
	AvailabilityZoneHints List[string]   `json:"availability_zone_hints"`
	*Provider                            // how a network of one segment travels; nil when there are several
	Segments              List[Provider] `json:"segments,omitempty"`
}

// Provider says how a segment of a network travels between hosts. An empty
// PhysicalNetwork and a nil SegmentationID are null on the wire.
type Provider struct {
	NetworkType     string `json:"provider:network_type"`
	PhysicalNetwork ID     `json:"provider:physical_network"`
	SegmentationID  *int64 `json:"provider:segmentation_id"`
}

// AllSegments is the network's segments, whichever way they are kept.
func (n *Network) AllSegments() []Provider {
	if n.Provider != nil {
		return []Provider{*n.Provider}
	}
	return n.Segments
}

// SettleDefault makes the network have IsDefault if, and only if, it is external.
func (n *Network) SettleDefault() {
	switch {
	case !n.External:
		n.IsDefault = nil
	case n.IsDefault == nil:
		n.IsDefault = new(bool)
	}
}

// Default reports whether it is the external network that projects get unless they
// choose another.
func (n *Network) Default() bool { return n.IsDefault != nil && *n.IsDefault }

// Network types.
const (
	TypeLocal  = "local"
	TypeFlat   = "flat"
	TypeVLAN   = "vlan"
	TypeVXLAN  = "vxlan"
	TypeGRE    = "gre"
	TypeGeneve = "geneve"
)
