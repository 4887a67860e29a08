package weft

import "net/netip"

// SubnetPool is a set of prefixes from which subnets can be carved.
type SubnetPool struct {
	Meta
	Name             string             `json:"name"`
	Description      string             `json:"description"`
	Prefixes         List[netip.Prefix] `json:"prefixes"`
	IPVersion        int                `json:"ip_version"`
	MinPrefixlen     Digits             `json:"min_prefixlen"`
	MaxPrefixlen     Digits             `json:"max_prefixlen"`
	DefaultPrefixlen Digits             `json:"default_prefixlen"`
	DefaultQuota     *int               `json:"default_quota"`
	AddressScopeID   ID                 `json:"address_scope_id"`
	IsDefault        bool               `json:"is_default"`
}

// AddressScope is a routing domain: pools within one scope never overlap.
type AddressScope struct {
	Meta
	Name      string `json:"name"`
	IPVersion int    `json:"ip_version"`
}
