package api

import (
	"net/netip"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// AddressGroupService is what the API asks of address groups.
type AddressGroupService interface {
	CreateAddressGroup(tx *store.Tx, g *weft.AddressGroup) error
	UpdateAddressGroup(tx *store.Tx, g *weft.AddressGroup) error
	DeleteAddressGroup(tx *store.Tx, g *weft.AddressGroup) error
	AddAddresses(tx *store.Tx, g *weft.AddressGroup, more []netip.Prefix) error
	RemoveAddresses(tx *store.Tx, g *weft.AddressGroup, less []netip.Prefix) error
}

// AddressGroups is the table of address groups. As in Neutron they have standard
// attributes, of which only the actions show more than the description.
func AddressGroups(svc AddressGroupService) *Resource[weft.AddressGroup] {
	return &Resource[weft.AddressGroup]{
		Singular: "address_group", Plural: "address_groups", Path: "address-groups", Table: store.AddressGroups,
		Discreet:   true,
		Implements: []string{"address-group", "rbac-address-group", "security-groups-remote-address-group"},
		Attrs: table(ident(), ext("address-group",
			row("name", "CUVFS", "", text(255)),
			row("description", "CUVFS", "", text(1024)),
			row("addresses", "CV", []any{}, subnetList))),
		Create: func(tx *store.Tx, g *weft.AddressGroup, _ Request) error { return svc.CreateAddressGroup(tx, g) },
		Update: func(tx *store.Tx, _, g *weft.AddressGroup, _ Request) error { return svc.UpdateAddressGroup(tx, g) },
		Delete: svc.DeleteAddressGroup,
		Actions: map[string]Action[weft.AddressGroup]{
			"add_addresses":    addressAction("add_addresses", svc.AddAddresses),
			"remove_addresses": addressAction("remove_addresses", svc.RemoveAddresses),
		},
	}
}

// wholeGroup is a group as the actions show it.
type wholeGroup struct {
	*weft.AddressGroup
	Shared bool      `json:"shared"`
	Tags   *struct{} `json:"tags,omitempty"` // hides those of the group, which has none
}

func addressAction(rule string, do func(*store.Tx, *weft.AddressGroup, []netip.Prefix) error) Action[weft.AddressGroup] {
	return Action[weft.AddressGroup]{Rule: rule, Do: func(tx *store.Tx, g *weft.AddressGroup, body map[string]any) (any, error) {
		if inner, ok := body["address_group"].(map[string]any); ok {
			body = inner
		}
		list, err := networksOf("addresses", body["addresses"])
		if err != nil {
			return nil, err
		}
		if err := do(tx, g, list); err != nil {
			return nil, err
		}
		shared, err := store.SharedAs("address_group").With(tx, g.ID, tx.Caller.ProjectID)
		return map[string]any{"address_group": wholeGroup{AddressGroup: g, Shared: shared}}, err
	}}
}

// networksOf is the list of prefixes in the body of an action; an address is the
// prefix of its own.
func networksOf(name string, v any) ([]netip.Prefix, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, badRequest("Invalid input for %s. Reason: '%s' is not a list.", name, py(v))
	}
	if reason := subnetList.oversize(v); reason != "" {
		return nil, badRequest("Invalid input for %s. Reason: %s.", name, reason)
	}
	out := make([]netip.Prefix, len(list))
	for i, x := range list {
		if p, ok := parsePrefix(x); ok {
			out[i] = p
		} else if a, ok := parseIP(x); ok {
			out[i] = netip.PrefixFrom(a, a.BitLen())
		} else {
			return nil, weft.Errorf(weft.BadRequest, "AddrFormatError", "invalid IPNetwork %s", py(x))
		}
	}
	return out, nil
}
