package store

import "github.com/weftnet/weft"

// Subnets keeps subnets.
var Subnets = Table[weft.Subnet]{
	Name: "subnets", FromZero: true, Noun: "subnet", NotFound: "SubnetNotFound", Quota: true,
	Columns: []Column[weft.Subnet]{
		{Name: "name", Value: func(s *weft.Subnet) any { return s.Name }},
		{Name: "description", Value: func(s *weft.Subnet) any { return s.Description }},
		{Name: "network_id", Value: func(s *weft.Subnet) any { return s.NetworkID }},
		{Name: "segment_id", Value: func(s *weft.Subnet) any { return string(s.SegmentID) }},
		{Name: "subnetpool_id", Value: func(s *weft.Subnet) any { return string(s.SubnetPoolID) }},
		{Name: "ip_version", Value: func(s *weft.Subnet) any { return s.IPVersion }},
		{Name: "cidr", Value: func(s *weft.Subnet) any { return s.CIDR.String() }},
		{Name: "gateway_ip", Value: func(s *weft.Subnet) any { return addrText(s.GatewayIP) }},
		{Name: "enable_dhcp", Value: func(s *weft.Subnet) any { return btoi(s.EnableDHCP) }},
		{Name: "ipv6_ra_mode", Value: func(s *weft.Subnet) any { return string(s.IPv6RAMode) }},
		{Name: "ipv6_address_mode", Value: func(s *weft.Subnet) any { return string(s.IPv6AddressMode) }},
	},
	Filters: map[string]Filter{"shared": SharedAs("network").By("network_id").Filter},
	Visible: func(c *weft.Caller) Cond {
		return Where(`t.project_id = ? OR t.network_id IN (SELECT r.object_id FROM rbac_policies r
			WHERE r.object_type = 'network' AND r.action = 'access_as_shared' AND r.target_tenant IN ('*', ?))`,
			c.ProjectID, c.ProjectID)
	},
}.Ready()

// addrText is the text of an address, empty if there is none.
func addrText(a weft.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
