package api

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// LocalIPService is what the API asks of local IPs.
type LocalIPService interface {
	CreateLocalIP(tx *store.Tx, l *weft.LocalIP) error
	UpdateLocalIP(tx *store.Tx, l *weft.LocalIP) error
	DeleteLocalIP(tx *store.Tx, l *weft.LocalIP) error
	Associate(tx *store.Tx, a *weft.LocalIPAssociation) error
	Dissociate(tx *store.Tx, a *weft.LocalIPAssociation) error
}

// LocalIPs is the table of local IPs.
func LocalIPs(svc LocalIPService) *Resource[weft.LocalIP] {
	return &Resource[weft.LocalIP]{
		Singular: "local_ip", Plural: "local_ips", Table: store.LocalIPs,
		Implements: []string{"local_ip"},
		Attrs: table(ident(), standard(), ext("local_ip",
			row("name", "CUVFS", "", text(255)),
			row("local_port_id", "CVFS", Unset, uuidType.orNull()),
			row("network_id", "CVFS", Unset, uuidType.orNull()),
			row("local_ip_address", "CVFS", Unset, ipAddress.orNull()),
			row("ip_mode", "CVFS", "translate", oneOf("translate", "passthrough")))),
		Create: func(tx *store.Tx, l *weft.LocalIP, _ Request) error { return svc.CreateLocalIP(tx, l) },
		Update: func(tx *store.Tx, _, l *weft.LocalIP, _ Request) error { return svc.UpdateLocalIP(tx, l) },
		Delete: svc.DeleteLocalIP,
	}
}

// LocalIPAssociations is the table of the ports that answer for a local IP. A port
// is its key.
func LocalIPAssociations(svc LocalIPService) *Resource[weft.LocalIPAssociation] {
	return &Resource[weft.LocalIPAssociation]{
		Singular: "port_association", Plural: "port_associations", Rule: "local_ip_port_association", Table: store.LocalIPAssociations,
		Within: &Within{Path: "local_ips", Column: "local_ip_id", Key: "fixed_port_id", Missing: func(localIP, port string) error {
			return weft.Errorf(weft.NotFound, "LocalIPAssociationNotFound", "Local IP %s association with port %s could not be found.", localIP, port)
		}},
		Attrs: ext("local_ip",
			row("local_ip_id", "VFS", Unset, uuidType),
			row("fixed_port_id", "CVFSR", Unset, uuidType),
			row("fixed_ip", "CVFS", Unset, ipAddress.orNull()),
			row("local_ip_address", "V", Unset, anyType),
			row("host", "V", Unset, anyType)),
		Create: func(tx *store.Tx, a *weft.LocalIPAssociation, _ Request) error { return svc.Associate(tx, a) },
		Delete: svc.Dissociate,
	}
}
