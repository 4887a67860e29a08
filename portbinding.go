package weft

// PortBinding is how a port attaches on one host. A port has one that is ACTIVE,
// which is part of the port itself; further ones are INACTIVE and prepare a host for
// an instance that is about to move there.
type PortBinding struct {
	Meta
	PortID     string         `json:"port_id"`
	Host       string         `json:"host"`
	VIFType    string         `json:"vif_type"`
	VIFDetails map[string]any `json:"vif_details"`
	VNICType   string         `json:"vnic_type"`
	Profile    map[string]any `json:"profile"`
	Status     string         `json:"status"`
	Wired      bool           `json:"wired,omitempty"` // not on the wire: the host that it prepares has the port ready
}

// StatusInactive is the status of a binding that is prepared and not in use.
const StatusInactive = "INACTIVE"

// Binding is the port's ACTIVE binding.
func (p *Port) Binding() *PortBinding {
	return &PortBinding{PortID: p.ID, Host: p.HostID, VIFType: p.VIFType, VIFDetails: p.VIFDetails, VNICType: p.VNICType, Profile: p.Profile, Status: StatusActive}
}

// At is the port as the binding would have it.
func (b *PortBinding) At(p *Port) *Port {
	out := *p
	out.HostID, out.VIFType, out.VIFDetails, out.VNICType, out.Profile = b.Host, b.VIFType, b.VIFDetails, b.VNICType, b.Profile
	return &out
}
