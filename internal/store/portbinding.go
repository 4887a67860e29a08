package store

import "github.com/weftnet/weft"

// PortBindings keeps the INACTIVE bindings of ports; they go with their port.
var PortBindings = Table[weft.PortBinding]{
	Name: "port_bindings", Noun: "port_binding", NotFound: "PortBindingNotFound",
	Columns: []Column[weft.PortBinding]{
		{Name: "port_id", Value: func(b *weft.PortBinding) any { return b.PortID }},
		{Name: "host", Value: func(b *weft.PortBinding) any { return b.Host }},
	},
}.Ready()
