package weft

import "net/netip"

// Subnet is a range of addresses on a network.
type Subnet struct {
	Meta
	Name            string               `json:"name"`
	Description     string               `json:"description"`
	NetworkID       string               `json:"network_id"`
	SegmentID       ID                   `json:"segment_id"`
	SubnetPoolID    ID                   `json:"subnetpool_id"`
	IPVersion       int                  `json:"ip_version"`
	CIDR            netip.Prefix         `json:"cidr"`
	GatewayIP       Addr                 `json:"gateway_ip"`
	AllocationPools List[AllocationPool] `json:"allocation_pools"`
	DNSNameservers  List[netip.Addr]     `json:"dns_nameservers"`
	HostRoutes      List[Route]          `json:"host_routes"`
	EnableDHCP      bool                 `json:"enable_dhcp"`
	IPv6RAMode      ID                   `json:"ipv6_ra_mode"`
	IPv6AddressMode ID                   `json:"ipv6_address_mode"`
	DNSPublishFixed bool                 `json:"dns_publish_fixed_ip"`
	ServiceTypes    List[string]         `json:"service_types"`
}

// AllocationPool is an inclusive range of addresses given out automatically.
type AllocationPool struct {
	Start netip.Addr `json:"start"`
	End   netip.Addr `json:"end"`
}

// IPv6 address and RA modes.
const (
	SLAAC           = "slaac"
	DHCPv6Stateful  = "dhcpv6-stateful"
	DHCPv6Stateless = "dhcpv6-stateless"
)

// AutoAddress reports whether hosts on the subnet derive their addresses from
// their MAC (EUI-64) rather than being given one.
func (s *Subnet) AutoAddress() bool {
	auto := func(m ID) bool { return m == SLAAC || m == DHCPv6Stateless }
	return auto(s.IPv6AddressMode) || auto(s.IPv6RAMode)
}
