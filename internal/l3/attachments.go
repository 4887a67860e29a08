package l3

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// attachments is what a router is attached to.
type attachments struct {
	interfaces []*weft.Port
	gateways   []*weft.Port
	subnets    []*weft.Subnet // of the interfaces, and all of the gateways' networks
}

// attachmentsOf reads, in two statements, what a router is attached to.
func attachmentsOf(tx *store.Tx, r *weft.Router) (*attachments, error) {
	a := &attachments{}
	ports, err := store.Ports.Find(tx, store.Eq("device_id", r.ID), store.Where("t.device_owner IN ("+interfaceOwners+", 'network:router_gateway')"))
	if err != nil || len(ports) == 0 {
		return a, err
	}
	for _, p := range ports {
		if p.DeviceOwner == weft.OwnerRouterGateway {
			a.gateways = append(a.gateways, p)
		} else {
			a.interfaces = append(a.interfaces, p)
		}
	}
	a.subnets, err = store.Subnets.Find(tx, store.Where(`t.id IN (SELECT i.subnet_id FROM ports p JOIN ip_allocations i ON i.port_id = p.id
			WHERE p.device_id = ? AND p.device_owner IN (`+interfaceOwners+`))
		OR t.network_id IN (SELECT p.network_id FROM ports p WHERE p.device_id = ? AND p.device_owner = 'network:router_gateway')`, r.ID, r.ID))
	return a, err
}

// all is the ports of the router.
func (a *attachments) all() []*weft.Port {
	return append(slices.Clone(a.interfaces), a.gateways...)
}

// onSubnet is the interface that has an address of a subnet, or nil.
func (a *attachments) onSubnet(id string) *weft.Port {
	for _, p := range a.interfaces {
		if has(p, id) {
			return p
		}
	}
	return nil
}

func has(p *weft.Port, subnetID string) bool {
	return slices.ContainsFunc(p.FixedIPs, func(ip weft.FixedIP) bool { return ip.SubnetID == subnetID })
}

// ipv6On is the interface with an IPv6 address on a network, or nil. A router has
// at most one, so that a network has one source of router advertisements.
func (a *attachments) ipv6On(networkID string) *weft.Port {
	for _, p := range a.interfaces {
		if p.NetworkID == networkID && hasIPv6(p) {
			return p
		}
	}
	return nil
}

func hasIPv6(p *weft.Port) bool {
	return slices.ContainsFunc(p.FixedIPs, func(ip weft.FixedIP) bool { return ip.IPAddress.Is6() })
}

// absent refuses a subnet that the router has an address on.
func (a *attachments) absent(subnetID string) error { return without(a.all(), subnetID) }

func without(ports []*weft.Port, subnetID string) error {
	for _, p := range ports {
		if has(p, subnetID) {
			return badRouter("Router already has a port on subnet %s", subnetID)
		}
	}
	return nil
}

// disjoint refuses subnets that overlap with one the router is attached to, where
// it counts as attached to all subnets of its gateways' networks. Neutron also
// refuses a further interface on the very network of the gateway, by finding that
// the subnet overlaps with itself; that is a working arrangement, so that here
// only another subnet can overlap.
func (a *attachments) disjoint(added ...*weft.Subnet) error {
	for _, sub := range a.subnets {
		for _, s := range added {
			if s.ID != sub.ID && s.CIDR.Overlaps(sub.CIDR) {
				return badRouter("Cidr %s of subnet %s overlaps with cidr %s of subnet %s", s.CIDR, s.ID, sub.CIDR, sub.ID)
			}
		}
	}
	return nil
}
