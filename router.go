package weft

// Router joins subnets and may lead out through a gateway.
type Router struct {
	Meta
	Name          string   `json:"name"`
	Description   string   `json:"description"`
	AdminStateUp  bool     `json:"admin_state_up"`
	Status        string   `json:"status"`
	Gateway       *Gateway `json:"external_gateway_info"`
	GatewayPortID string   `json:"gw_port_id,omitempty"` // not on the wire

	// ExternalGateways is every way out; Gateway is the first, told in full.
	ExternalGateways       List[ExternalGateway] `json:"external_gateways"`
	FurtherGatewayPorts    []string              `json:"further_gw_ports,omitempty"` // not on the wire: of ExternalGateways beyond the first
	EnableDefaultRouteECMP bool                  `json:"enable_default_route_ecmp"`

	Routes                List[Route]  `json:"routes"`
	Distributed           bool         `json:"distributed"`
	HA                    bool         `json:"ha"`
	FlavorID              ID           `json:"flavor_id"`
	ServiceTypeID         ID           `json:"service_type_id"`
	EnableNDPProxy        bool         `json:"enable_ndp_proxy"`
	AvailabilityZoneHints List[string] `json:"availability_zone_hints"`
	HostID                string       `json:"l3_host,omitempty"` // not on the wire: the host that carries the router
}

// Gateway is a router's way out: a port on an external network.
type Gateway struct {
	NetworkID        string        `json:"network_id"`
	EnableSNAT       bool          `json:"enable_snat"`
	ExternalFixedIPs List[FixedIP] `json:"external_fixed_ips"`
	QoSPolicyID      ID            `json:"qos_policy_id,omitempty"`
}

// ExternalGateway is one of a router's ways out in the list of all.
type ExternalGateway struct {
	NetworkID        string        `json:"network_id"`
	ExternalFixedIPs List[FixedIP] `json:"external_fixed_ips"`
}

// FloatingIP is an external address mapped one to one to a port's address.
type FloatingIP struct {
	Meta
	Description       string `json:"description"`
	FloatingNetworkID string `json:"floating_network_id"`
	FloatingIPAddress Addr   `json:"floating_ip_address"`
	FloatingPortID    string `json:"floating_port_id,omitempty"` // not on the wire
	RouterID          ID     `json:"router_id"`
	PortID            ID     `json:"port_id"`
	FixedIPAddress    Addr   `json:"fixed_ip_address"`
	Status            string `json:"status"`
	DNSName           string `json:"dns_name"`
	DNSDomain         string `json:"dns_domain"`
	QoSPolicyID       ID     `json:"qos_policy_id"`
}
