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
	SecurityGroupID      string  `json:"security_group_id"`
	Direction            string  `json:"direction"` // "ingress": towards the port
	EtherType            string  `json:"ethertype"` // "IPv4" or "IPv6"
	Protocol             ID      `json:"protocol"`  // a name or a number; null is any
	PortRangeMin         *int    `json:"port_range_min"`
	PortRangeMax         *int    `json:"port_range_max"`
	RemoteIPPrefix       ID      `json:"remote_ip_prefix"`
	NormalizedCIDR       ID      `json:"normalized_cidr"`
	RemoteGroupID        ID      `json:"remote_group_id"`
	RemoteAddressGroupID ID      `json:"remote_address_group_id"`
	Description          *string `json:"description"`           // nil: a rule that its group began with
	BelongsToDefault     bool    `json:"belongs_to_default_sg"` // of the default group of a project
}

// DefaultSecurityGroupRule is a rule that new groups begin with. It belongs to nobody.
type DefaultSecurityGroupRule struct {
	Meta
	Direction            string `json:"direction"`
	EtherType            string `json:"ethertype"`
	Protocol             ID     `json:"protocol"`
	PortRangeMin         *int   `json:"port_range_min"`
	PortRangeMax         *int   `json:"port_range_max"`
	RemoteIPPrefix       ID     `json:"remote_ip_prefix"`
	RemoteGroupID        ID     `json:"remote_group_id"` // ParentGroup is the group that the rule comes into
	RemoteAddressGroupID ID     `json:"remote_address_group_id"`
	Description          string `json:"description"`
	UsedInDefault        bool   `json:"used_in_default_sg"` // of projects
	UsedInOthers         bool   `json:"used_in_non_default_sg"`
}

// ParentGroup stands, in a default rule, for the group that the rule comes into.
const ParentGroup = "PARENT"

// Directions and ether types of rules.
const (
	Ingress = "ingress"
	Egress  = "egress"
	IPv4    = "IPv4"
	IPv6    = "IPv6"
)
