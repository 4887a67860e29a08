package l3

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// PortDeleting takes floating IPs off a port that goes. The error is FipAssociated
// when one belongs to another project and the caller is no admin.
func (s *Service) PortDeleting(tx *store.Tx, p *weft.Port) error {
	fips, err := store.FloatingIPs.Find(tx, store.Eq("port_id", p.ID))
	if err != nil {
		return err
	}
	for _, f := range fips {
		if err := mayDissociate(tx, p, f); err != nil {
			return err
		}
		dissociate(f)
		if err := store.FloatingIPs.Update(tx, f); err != nil {
			return err
		}
	}
	return nil
}

func mayDissociate(tx *store.Tx, p *weft.Port, f *weft.FloatingIP) error {
	if f.ProjectID == tx.Caller.ProjectID || tx.Caller.Admin {
		return nil
	}
	return weft.Errorf(weft.Conflict, "FipAssociated",
		"Unable to complete the operation on port %s because the port still has an associated floating IP.", p.ID)
}

// PortUpdating keeps routers and floating IPs true to the ports that they live on: a
// router shows the addresses of its gateways, what floating IPs lead to stays, and an
// interface leaves its router only when nothing needs it there. Call it when the new
// addresses are settled. Errors: BadRequest and FipAssociated for the address of a
// floating IP, those of RemoveInterface for an interface.
func (s *Service) PortUpdating(tx *store.Tx, old, p *weft.Port) error {
	if old.RouterInterface() && (!p.RouterInterface() || p.DeviceID != old.DeviceID) {
		if err := s.leaving(tx, old); err != nil {
			return err
		}
	}
	if slices.Equal(old.FixedIPs, p.FixedIPs) {
		return nil
	}
	if p.DeviceOwner == weft.OwnerRouterGateway {
		if err := followGateway(tx, p); err != nil {
			return err
		}
	}
	return keepsTargets(tx, p)
}

// leaving refuses that a port ceases to be the interface of a router that needs it.
func (s *Service) leaving(tx *store.Tx, p *weft.Port) error {
	r, err := store.Routers.First(tx, store.Eq("id", p.DeviceID))
	if err != nil || r == nil {
		return err
	}
	a, err := attachmentsOf(tx, r)
	if err != nil {
		return err
	}
	var subnets []string
	for _, ip := range p.FixedIPs {
		subnets = append(subnets, ip.SubnetID)
	}
	if err := s.dispensable(tx, r, a, subnets...); err != nil {
		return err
	}
	return store.Routers.Touch(tx, r.ID)
}

// keepsTargets refuses that a port loses an address that a floating IP leads to.
func keepsTargets(tx *store.Tx, p *weft.Port) error {
	fips, err := store.FloatingIPs.Find(tx, store.Eq("port_id", p.ID))
	if err != nil {
		return err
	}
	for _, f := range fips {
		if slices.ContainsFunc(p.FixedIPs, func(ip weft.FixedIP) bool { return ip.IPAddress == f.FixedIPAddress.Addr }) {
			continue
		}
		if err := mayDissociate(tx, p, f); err != nil {
			return err
		}
		return bad("port", "Cannot update the fixed_ips of the port %s, "+
			"because its original fixed_ip has been associated to a floating ip", p.ID)
	}
	return nil
}

// followGateway makes a router show the addresses of a gateway.
func followGateway(tx *store.Tx, p *weft.Port) error {
	r, err := store.Routers.First(tx, store.Eq("id", p.DeviceID))
	if err != nil || r == nil {
		return err
	}
	ways := further(r)
	i := slices.IndexFunc(ways, func(w way) bool { return w.port == p.ID })
	switch {
	case r.GatewayPortID == p.ID:
		r.Gateway.ExternalFixedIPs = slices.Clone(p.FixedIPs)
	case i >= 0:
		ways[i].ExternalFixedIPs = slices.Clone(p.FixedIPs)
	default:
		return nil
	}
	showGateways(r, ways)
	return store.Routers.Update(tx, r)
}

// SubnetCreated gives the gateways on a network an address of a new subnet if they
// have none of its IP version.
func (s *Service) SubnetCreated(tx *store.Tx, sub *weft.Subnet) error {
	gateways, err := store.Ports.Find(tx, store.Where(`t.device_owner = 'network:router_gateway' AND t.network_id = ?
		AND EXISTS (SELECT 1 FROM networks n WHERE n.id = t.network_id AND n.external = 1)`, sub.NetworkID))
	if err != nil {
		return err
	}
	for _, old := range gateways {
		if slices.ContainsFunc(old.FixedIPs, func(ip weft.FixedIP) bool { return ip.IPAddress.Is4() == (sub.IPVersion == 4) }) {
			continue
		}
		p := weft.Clone(old)
		p.FixedIPs = append(p.FixedIPs, weft.FixedIP{SubnetID: sub.ID})
		if err := s.ports.UpdatePort(tx, old, p, weft.Given{"fixed_ips": true}); err != nil {
			return err
		}
	}
	return nil
}

// SubnetDeleting refuses, with SubnetInUse, a subnet that a router has an interface
// on.
func (s *Service) SubnetDeleting(tx *store.Tx, sub *weft.Subnet) error {
	used, err := tx.IDs(`SELECT p.id FROM ip_allocations i JOIN ports p ON p.id = i.port_id
		WHERE i.subnet_id = ? AND p.device_owner IN (`+interfaceOwners+`)`, sub.ID)
	if len(used) > 0 {
		return weft.Errorf(weft.Conflict, "SubnetInUse",
			"Unable to complete operation on subnet %s: One or more ports have an IP allocation from this subnet.", sub.ID).BlockedBy("port", used...)
	}
	return err
}

// NetworkUpdating refuses, with ExternalNetworkInUse, that a network with gateways
// or floating IPs on it ceases to be external.
func (s *Service) NetworkUpdating(tx *store.Tx, old, n *weft.Network) error {
	if !old.External || n.External {
		return nil
	}
	used, err := tx.IDs("SELECT id FROM ports WHERE network_id = ? AND device_owner IN ('network:router_gateway', 'network:floatingip')", n.ID)
	if len(used) > 0 {
		return weft.Errorf(weft.Conflict, "ExternalNetworkInUse",
			"External network %s cannot be updated to be made non-external, since it has existing gateway ports.", n.ID).BlockedBy("port", used...)
	}
	return err
}

// NetworkDeleting deletes the floating IPs on a network that lead nowhere, as
// Neutron does before it looks whether the network is in use.
func (s *Service) NetworkDeleting(tx *store.Tx, n *weft.Network) error {
	if !n.External {
		return nil
	}
	fips, err := store.FloatingIPs.Find(tx, store.Eq("floating_network_id", n.ID), store.Eq("port_id", ""), store.Eq("router_id", ""))
	if err != nil {
		return err
	}
	for _, f := range fips {
		if err := s.DeleteFloatingIP(tx, f); err != nil {
			return err
		}
	}
	return nil
}
