// Package nat decides about what routers do to packets beyond floating IPs: port
// forwardings, connection tracking helpers and NDP proxies.
//
// Which router leads where, and what a router is attached to, is decided by
// internal/l3. What it does may take away what these nouns rest on; it says so
// first, by the hooks that internal/cloud wires to the methods in hooks.go.
package nat

import (
	"fmt"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Routers is what nat needs of l3.
type Routers interface {
	// RouterFor is the router that leads from a port's subnet to an external
	// network, or ExternalGatewayForFloatingIPNotFound.
	RouterFor(tx *store.Tx, p *weft.Port, subnetID, networkID string) (id string, err error)
}

// Service carries out changes. All its methods run inside the transaction they are
// given.
type Service struct{ routers Routers }

// New makes a service.
func New(r Routers) *Service { return &Service{r} }

func bad(resource, format string, args ...any) error {
	return weft.Errorf(weft.BadRequest, "BadRequest", "Bad %s request: %s.", resource, fmt.Sprintf(format, args...))
}

// pairs is fixed IPs as Neutron's messages print them.
func pairs(ips []weft.FixedIP) string {
	text := ""
	for i, ip := range ips {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("{'subnet_id': '%s', 'ip_address': '%s'}", ip.SubnetID, ip.IPAddress)
	}
	return "[" + text + "]"
}
