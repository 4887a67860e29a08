// Package ml2 decides how a network travels between hosts and which driver
// carries a port on its host. Both answers come from drivers: a Type knows one
// kind of segment (vlan, vxlan, ...), a Mechanism knows one kind of host data
// plane (Linux bridge, ...). The package names no driver; cmd/weft lists them.
package ml2
