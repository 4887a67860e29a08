package weft

// SecurityGroup is a set of rules that admit traffic to and from its ports.
// Its rules are nouns of their own.
type SecurityGroup struct {
	Meta
	Name        string `json:"name"`
	Description string `json:"description"`
	Stateful    bool   `json:"stateful"`
}

// SecurityGroupRule admits one kind of traffic. Rules only ever admit: what no
// rule admits is dropped. Rules are immutable.
type SecurityGroupRule struct {
	Meta
	SecurityGroupID      string `json:"security_group_id"`
	Direction            string `json:"direction"` // "ingress": towards the port
	EtherType            string `json:"ethertype"` // "IPv4" or "IPv6"
	Protocol             ID     `json:"protocol"`  // a name or a number; null is any
	PortRangeMin         *int   `json:"port_range_min"`
	PortRangeMax         *int   `json:"port_range_max"`
	RemoteIPPrefix       ID     `json:"remote_ip_prefix"`
	NormalizedCIDR       ID     `json:"normalized_cidr"`
	RemoteGroupID        ID     `json:"remote_group_id"`
	RemoteAddressGroupID ID     `json:"remote_address_group_id"`
	Description          string `json:"description"`
}

// Directions and ether types of rules.
const (
	Ingress = "ingress"
	Egress  = "egress"
	IPv4    = "IPv4"
	IPv6    = "IPv6"
)
