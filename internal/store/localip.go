package store

import "github.com/weftnet/weft"

// LocalIPs keeps local IPs.
var LocalIPs = Table[weft.LocalIP]{
	Name: "local_ips", FromZero: true, Noun: "local_ip", NotFound: "LocalIPNotFound", Label: "Local IP",
	Columns: []Column[weft.LocalIP]{
		{Name: "name", Value: func(l *weft.LocalIP) any { return l.Name }},
		{Name: "description", Value: func(l *weft.LocalIP) any { return l.Description }},
		{Name: "local_port_id", Value: func(l *weft.LocalIP) any { return l.LocalPortID }},
		{Name: "network_id", Value: func(l *weft.LocalIP) any { return l.NetworkID }},
		{Name: "local_ip_address", Value: func(l *weft.LocalIP) any { return addrText(l.LocalIPAddress) }},
		{Name: "ip_mode", Value: func(l *weft.LocalIP) any { return l.IPMode }},
	},
}.Ready()

// LocalIPAssociations keeps which ports answer for local IPs.
var LocalIPAssociations = Table[weft.LocalIPAssociation]{
	Name: "local_ip_associations", Noun: "local_ip_port_association", NotFound: "LocalIPAssociationNotFound", Label: "Local IP association",
	Columns: []Column[weft.LocalIPAssociation]{
		{Name: "local_ip_id", Value: func(a *weft.LocalIPAssociation) any { return a.LocalIPID }},
		{Name: "fixed_port_id", Value: func(a *weft.LocalIPAssociation) any { return a.FixedPortID }},
		{Name: "fixed_ip", Value: func(a *weft.LocalIPAssociation) any { return addrText(a.FixedIP) }},
	},
	Computed: []Computed{
		{Attr: "local_ip_address", SQL: `(SELECT '"' || l.local_ip_address || '"' FROM local_ips l WHERE l.id = t.local_ip_id)`},
		{Attr: "host", SQL: `COALESCE((SELECT '"' || p.host_id || '"' FROM ports p WHERE p.id = t.fixed_port_id), '""')`},
	},
}.Ready()
