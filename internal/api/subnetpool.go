package api

import (
	"net/netip"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/sharing"
	"github.com/weftnet/weft/internal/store"
)

// PoolService is what the API asks of subnet pools and address scopes.
type PoolService interface {
	CreateSubnetPool(tx *store.Tx, p *weft.SubnetPool, given weft.Given) error
	UpdateSubnetPool(tx *store.Tx, old, p *weft.SubnetPool, given weft.Given) error
	DeleteSubnetPool(tx *store.Tx, p *weft.SubnetPool) error
	AddPrefixes(tx *store.Tx, p *weft.SubnetPool, more []netip.Prefix) error
	RemovePrefixes(tx *store.Tx, p *weft.SubnetPool, less []netip.Prefix) error
	Onboard(tx *store.Tx, p *weft.SubnetPool, networkID string) ([]*weft.Subnet, error)
	CreateAddressScope(tx *store.Tx, s *weft.AddressScope) error
	UpdateAddressScope(tx *store.Tx, s *weft.AddressScope) error
	ShareAddressScope(tx *store.Tx, s *weft.AddressScope, share bool) error
	DeleteAddressScope(tx *store.Tx, s *weft.AddressScope) error
}

// SubnetPools is the table of subnet pools.
func SubnetPools(svc PoolService) *Resource[weft.SubnetPool] {
	return &Resource[weft.SubnetPool]{
		Singular: "subnetpool", Plural: "subnetpools", Table: store.SubnetPools,
		Implements: []string{"default-subnetpools", "rbac-subnetpool", "subnet_allocation", "subnet_onboard", "subnetpool-prefix-ops"},
		Attrs: table(ident(), standard(), tagged(),
			[]Attr{
				row("name", "CUVFSR", Unset, nonEmptyText(255)),
				row("prefixes", "CUVR", Unset, notNull(subnetList)),
				row("ip_version", "VFS", Unset, integer()),
				row("default_quota", "CUVFS", Unset, nonNegative.orNull()),
				row("default_prefixlen", "CUVFS", Unset, nonNegative),
				row("min_prefixlen", "CUVFS", Unset, nonNegative),
				row("max_prefixlen", "CUVFS", Unset, nonNegative),
				row("shared", "CVF", false, boolean),
			},
			ext("address-scope", row("address_scope_id", "CUVFS", Unset, uuidType.orNull())),
			ext("default-subnetpools", row("is_default", "CUVFS", false, boolean)),
		),
		Create: func(tx *store.Tx, p *weft.SubnetPool, rq Request) error {
			if err := svc.CreateSubnetPool(tx, p, rq.Given); err != nil {
				return err
			}
			return sharing.Share(tx, "subnetpool", p.ID, rq.Values["shared"] == true)
		},
		Update: func(tx *store.Tx, old, p *weft.SubnetPool, rq Request) error {
			return svc.UpdateSubnetPool(tx, old, p, rq.Given)
		},
		Delete: svc.DeleteSubnetPool,
		Actions: map[string]Action[weft.SubnetPool]{
			"add_prefixes":            prefixAction("add_prefixes", svc.AddPrefixes),
			"remove_prefixes":         prefixAction("remove_prefixes", svc.RemovePrefixes),
			"onboard_network_subnets": {Rule: "onboard_network_subnets", Do: onboard(svc)},
		},
	}
}

// prefixAction changes the prefixes of a pool and answers with those it then has.
func prefixAction(rule string, do func(*store.Tx, *weft.SubnetPool, []netip.Prefix) error) Action[weft.SubnetPool] {
	return Action[weft.SubnetPool]{Rule: rule, Do: func(tx *store.Tx, p *weft.SubnetPool, body map[string]any) (any, error) {
		if list, _ := body["prefixes"].([]any); len(list) == 0 {
			return nil, badRequest("Request body contains invalid data")
		}
		list, err := networksOf("prefixes", body["prefixes"])
		if err != nil {
			return nil, err
		}
		err = do(tx, p, list)
		return map[string]any{"prefixes": p.Prefixes}, err
	}}
}

// onboarded is a subnet as the answer names it.
type onboarded struct {
	ID   string       `json:"id"`
	CIDR netip.Prefix `json:"cidr"`
}

func onboard(svc PoolService) func(*store.Tx, *weft.SubnetPool, map[string]any) (any, error) {
	return func(tx *store.Tx, p *weft.SubnetPool, body map[string]any) (any, error) {
		network, ok := body["network_id"].(string)
		if !ok {
			return nil, weft.Invalid("network_id must be specified.")
		}
		subnets, err := svc.Onboard(tx, p, network)
		out := make([]onboarded, len(subnets))
		for i, sn := range subnets {
			out[i] = onboarded{sn.ID, sn.CIDR}
		}
		return out, err
	}
}

// AddressScopes is the table of address scopes.
func AddressScopes(svc PoolService) *Resource[weft.AddressScope] {
	return &Resource[weft.AddressScope]{
		Singular: "address_scope", Plural: "address_scopes", Path: "address-scopes", Table: store.AddressScopes,
		Implements: []string{"address-scope", "rbac-address-scope"},
		Attrs: table(ident(), ext("address-scope",
			row("name", "CUVFS", "", text(255)),
			row("shared", "CUVF", false, boolean),
			row("ip_version", "CVFSR", Unset, oneOfInt(4, 6)))),
		Create: func(tx *store.Tx, s *weft.AddressScope, rq Request) error {
			if err := svc.CreateAddressScope(tx, s); err != nil {
				return err
			}
			return sharing.Share(tx, "address_scope", s.ID, rq.Values["shared"] == true)
		},
		Update: func(tx *store.Tx, _, s *weft.AddressScope, rq Request) error {
			if err := svc.UpdateAddressScope(tx, s); err != nil || !rq.Given["shared"] {
				return err
			}
			return svc.ShareAddressScope(tx, s, rq.Values["shared"] == true)
		},
		Delete: svc.DeleteAddressScope,
	}
}
