package weft

import (
	"encoding/json"
	"net/netip"
	"strings"
)

// Port is an attachment point on a network.
type Port struct {
	Meta
	Name            string              `json:"name"`
	Description     string              `json:"description"`
	NetworkID       string              `json:"network_id"`
	AdminStateUp    bool                `json:"admin_state_up"`
	Status          string              `json:"status"`
	MAC             MAC                 `json:"mac_address"`
	FixedIPs        List[FixedIP]       `json:"fixed_ips"`
	DeviceID        string              `json:"device_id"`
	DeviceOwner     string              `json:"device_owner"`
	SecurityGroups  List[string]        `json:"security_groups"`
	AllowedPairs    List[AddressPair]   `json:"allowed_address_pairs"`
	PortSecurity    bool                `json:"port_security_enabled"`
	ExtraDHCPOpts   List[ExtraDHCPOpt]  `json:"extra_dhcp_opts"`
	DNSName         string              `json:"dns_name"`
	DNSDomain       string              `json:"dns_domain"`
	DNSAssignment   List[DNSAssignment] `json:"dns_assignment"`
	IPAllocation    string              `json:"ip_allocation"`
	QoSPolicyID     ID                  `json:"qos_policy_id"`
	PropagateUplink bool                `json:"propagate_uplink_status"`
	DataPlaneStatus ID                  `json:"data_plane_status"`
	DeviceProfile   ID                  `json:"device_profile"`
	NUMAPolicy      ID                  `json:"numa_affinity_policy"`
	Hints           map[string]any      `json:"hints"`
	HardwareOffload ID                  `json:"hardware_offload_type"`
	TrustedVIF      *bool               `json:"trusted"` // shown in the profile, too
	HostID          string              `json:"binding:host_id"`
	VNICType        string              `json:"binding:vnic_type"`
	VIFType         string              `json:"binding:vif_type"`
	VIFDetails      map[string]any      `json:"binding:vif_details"`
	Profile         map[string]any      `json:"binding:profile"`
	Unattached      bool                `json:"unattached,omitempty"`     // not on the wire: its active binding was taken away
	BoundRevision   int64               `json:"bound_revision,omitempty"` // not on the wire: revision at which the host or binding last changed
}

// FixedIP is one address of a port and the subnet it comes from.
type FixedIP struct {
	SubnetID  string     `json:"subnet_id"`
	IPAddress netip.Addr `json:"ip_address"`
}

// AddressPair is a further MAC and prefix that a port may send from.
type AddressPair struct {
	IPAddress string `json:"ip_address"` // an address or a prefix, as given
	MAC       MAC    `json:"mac_address"`
}

// Prefix is the pair's address as a prefix.
func (p AddressPair) Prefix() netip.Prefix {
	if a, err := netip.ParseAddr(p.IPAddress); err == nil {
		return netip.PrefixFrom(a, a.BitLen())
	}
	pfx, _ := netip.ParsePrefix(p.IPAddress)
	return pfx.Masked()
}

// MaxExtraDHCPOpts is how many options a port may have: as many as there are codes, of
// both versions.
const MaxExtraDHCPOpts = 512

// ExtraDHCPOpt is a DHCP option for one port, named as dnsmasq names it.
type ExtraDHCPOpt struct {
	Name      string      `json:"opt_name"`
	Value     OptionValue `json:"opt_value"`
	IPVersion int         `json:"ip_version"`
}

// OptionValue is the value of a DHCP option. "" is an empty one: the option is not sent,
// not even where the subnet has one. NoValue takes the option from the port.
type OptionValue string

// NoValue is null on the wire. No text of a request has a NUL in it.
const NoValue OptionValue = "\x00"

// MarshalJSON implements json.Marshaler.
func (v OptionValue) MarshalJSON() ([]byte, error) {
	if v == NoValue {
		return []byte("null"), nil
	}
	return json.Marshal(string(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *OptionValue) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*v = NoValue
		return nil
	}
	return json.Unmarshal(b, (*string)(v))
}

// DNSAssignment is the name under which one address of a port is known.
type DNSAssignment struct {
	IPAddress netip.Addr `json:"ip_address"`
	Hostname  string     `json:"hostname"`
	FQDN      string     `json:"fqdn"`
}

// Device owners that weft itself gives to ports.
const (
	OwnerDHCP            = "network:dhcp"
	OwnerRouterInterface = "network:router_interface"
	OwnerDVRInterface    = "network:router_interface_distributed"
	OwnerHAInterface     = "network:ha_router_replicated_interface"
	OwnerHAPort          = "network:router_ha_interface"
	OwnerSNAT            = "network:router_centralized_snat"
	OwnerRouterGateway   = "network:router_gateway"
	OwnerFloatingIP      = "network:floatingip"
)

// Port states.
const (
	StatusActive        = "ACTIVE"
	StatusDown          = "DOWN"
	StatusBuild         = "BUILD"
	StatusError         = "ERROR"
	StatusNotApplicable = "N/A"
)

// VIF types of the bindings weft makes.
const (
	VIFUnbound = "unbound"
	VIFFailed  = "binding_failed"
	VIFBridge  = "bridge"
)

// Trusted reports whether the port belongs to the network itself (a router, a
// DHCP server): such ports are neither filtered nor checked for spoofing.
func (p *Port) Trusted() bool { return strings.HasPrefix(p.DeviceOwner, "network:") }

// RouterInterface reports whether the port is an interface of a router, of whatever
// kind of router.
func (p *Port) RouterInterface() bool {
	return p.DeviceOwner == OwnerRouterInterface || p.DeviceOwner == OwnerDVRInterface || p.DeviceOwner == OwnerHAInterface
}

// Bound reports whether a mechanism driver has accepted the port on its host.
func (p *Port) Bound() bool {
	return p.HostID != "" && p.VIFType != VIFUnbound && p.VIFType != VIFFailed
}

// Clone is a deep copy of a noun, through its document.
func Clone[T any](v *T) *T {
	b, err := json.Marshal(v)
	if err != nil {
		panic("weft: clone: " + err.Error()) // a noun always marshals
	}
	out := new(T)
	if err := json.Unmarshal(b, out); err != nil {
		panic("weft: clone: " + err.Error())
	}
	return out
}
