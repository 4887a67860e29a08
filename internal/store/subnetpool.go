package store

import "github.com/weftnet/weft"

// SubnetPools keeps subnet pools.
var SubnetPools = Table[weft.SubnetPool]{
	Name: "subnetpools", FromZero: true, Noun: "subnetpool", NotFound: "SubnetPoolNotFound", Label: "Subnet pool", Quota: true,
	Columns: []Column[weft.SubnetPool]{
		{Name: "name", Value: func(p *weft.SubnetPool) any { return p.Name }},
		{Name: "description", Value: func(p *weft.SubnetPool) any { return p.Description }},
		{Name: "ip_version", Value: func(p *weft.SubnetPool) any { return p.IPVersion }},
		{Name: "address_scope_id", Value: func(p *weft.SubnetPool) any { return string(p.AddressScopeID) }},
		{Name: "default_prefixlen", Value: func(p *weft.SubnetPool) any { return int(p.DefaultPrefixlen) }},
		{Name: "min_prefixlen", Value: func(p *weft.SubnetPool) any { return int(p.MinPrefixlen) }},
		{Name: "max_prefixlen", Value: func(p *weft.SubnetPool) any { return int(p.MaxPrefixlen) }},
		{Name: "default_quota", Value: func(p *weft.SubnetPool) any { return intOr(p.DefaultQuota, -1) }},
		{Name: "is_default", Value: func(p *weft.SubnetPool) any { return btoi(p.IsDefault) }},
	},
	Computed: []Computed{SharedAs("subnetpool").Shared()},
	Filters:  map[string]Filter{"shared": SharedAs("subnetpool").Filter},
	Visible:  SharedAs("subnetpool").Visible,
}.Ready()

// AddressScopes keeps address scopes.
var AddressScopes = Table[weft.AddressScope]{
	Name: "address_scopes", Noun: "address_scope", NotFound: "AddressScopeNotFound", Label: "Address scope",
	Columns: []Column[weft.AddressScope]{
		{Name: "name", Value: func(s *weft.AddressScope) any { return s.Name }},
		{Name: "ip_version", Value: func(s *weft.AddressScope) any { return s.IPVersion }},
	},
	Computed: []Computed{SharedAs("address_scope").Shared()},
	Filters:  map[string]Filter{"shared": SharedAs("address_scope").Filter},
	Visible:  SharedAs("address_scope").Visible,
}.Ready()
