package store

import "github.com/weftnet/weft"

// AddressGroups keeps address groups.
var AddressGroups = Table[weft.AddressGroup]{
	Name: "address_groups", Noun: "address_group", NotFound: "AddressGroupNotFound", Label: "Address group",
	Columns: []Column[weft.AddressGroup]{
		{Name: "name", Value: func(g *weft.AddressGroup) any { return g.Name }},
		{Name: "description", Value: func(g *weft.AddressGroup) any { return g.Description }},
	},
	Visible: SharedAs("address_group").Visible,
}.Ready()
