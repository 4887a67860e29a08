package l3

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// GuardPortDelete refuses, with ServicePortInUse, that a user deletes a port which
// a router or a floating IP lives on. A port whose router or floating IP is gone,
// or that has no address, is in nobody's way.
func (s *Service) GuardPortDelete(tx *store.Tx, p *weft.Port) error {
	text := ""
	switch {
	case p.RouterInterface(), slices.Contains([]string{weft.OwnerRouterGateway, weft.OwnerHAPort, weft.OwnerSNAT}, p.DeviceOwner):
		text = "SELECT 1 FROM routers WHERE id = ?"
	case p.DeviceOwner == weft.OwnerFloatingIP:
		text = "SELECT 1 FROM floatingips WHERE id = ?"
	}
	if text == "" || len(p.FixedIPs) == 0 {
		return nil
	}
	lives, err := tx.Exists(text, p.DeviceID)
	if lives {
		return weft.Errorf(weft.Conflict, "ServicePortInUse",
			"Port %s cannot be deleted directly via the port API: has device owner %s.", p.ID, p.DeviceOwner).BlockedBy(holderOf(p.DeviceOwner), p.DeviceID)
	}
	return err
}

// holderOf is the noun that has a port by its device owner.
func holderOf(owner string) string {
	if owner == weft.OwnerFloatingIP {
		return "floatingip"
	}
	return "router"
}

// GuardPortUpdate refuses that a user changes the addresses of a router's
// interface (extension l3-port-ip-change-not-allowed). Call it with the addresses
// that are asked for.
func (s *Service) GuardPortUpdate(_ *store.Tx, old, p *weft.Port, given weft.Given) error {
	if old.RouterInterface() && given["fixed_ips"] && !kept(old.FixedIPs, p.FixedIPs) {
		return bad("ports", "IP updates for port %s are not allowed", p.ID)
	}
	return nil
}

// kept reports whether the addresses asked for are those held; of each only what it
// names counts.
func kept(held, want []weft.FixedIP) bool {
	if len(want) == 0 {
		return true
	}
	return len(held) == len(want) && !slices.ContainsFunc(want, func(w weft.FixedIP) bool {
		return !slices.ContainsFunc(held, func(h weft.FixedIP) bool {
			return (w.SubnetID == "" || w.SubnetID == h.SubnetID) && (!w.IPAddress.IsValid() || w.IPAddress == h.IPAddress)
		})
	})
}

// PortDeleting takes floating IPs off a port that goes. The error is FipAssociated
// when one belongs to another project and the caller is no admin.
func (s *Service) PortDeleting(tx *store.Tx, p *weft.Port) error {
	return s.lose(tx, p, nil)
}

// PortUpdating lets routers and floating IPs follow the addresses of a port. Call
// it when the new addresses are settled.
func (s *Service) PortUpdating(tx *store.Tx, old, p *weft.Port) error {
	if slices.Equal(old.FixedIPs, p.FixedIPs) {
		return nil
	}
	if p.DeviceOwner == weft.OwnerRouterGateway {
		if err := followGateway(tx, p); err != nil {
			return err
		}
	}
	return s.lose(tx, p, p.FixedIPs)
}

// lose dissociates the floating IPs of a port that lead to none of the addresses
// it keeps.
func (s *Service) lose(tx *store.Tx, p *weft.Port, keeps []weft.FixedIP) error {
	fips, err := store.FloatingIPs.Find(tx, store.Eq("port_id", p.ID))
	if err != nil {
		return err
	}
	for _, f := range fips {
		if slices.ContainsFunc(keeps, func(ip weft.FixedIP) bool { return ip.IPAddress == f.FixedIPAddress.Addr }) {
			continue
		}
		if f.ProjectID != tx.Caller.ProjectID && !tx.Caller.IsAdmin() {
			return weft.Errorf(weft.Conflict, "FipAssociated",
				"Unable to complete the operation on port %s because the port still has an associated floating IP.", p.ID)
		}
		dissociate(f)
		if err := store.FloatingIPs.Update(tx, f); err != nil {
			return err
		}
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

// SubnetUpdating refuses, with GatewayIpInUse, to change a gateway address that a
// router has.
func (s *Service) SubnetUpdating(tx *store.Tx, old, sub *weft.Subnet) error {
	if !old.GatewayIP.IsValid() || !sub.GatewayIP.IsValid() || old.GatewayIP == sub.GatewayIP {
		return nil
	}
	var port string
	found, err := tx.QueryRow(`SELECT p.id FROM ip_allocations i JOIN ports p ON p.id = i.port_id
		WHERE i.subnet_id = ? AND i.sort = ? AND p.device_owner IN (`+interfaceOwners+`)`,
		[]any{sub.ID, store.SortKey(old.GatewayIP.Addr)}, &port)
	if found && err == nil {
		err = weft.Errorf(weft.Conflict, "GatewayIpInUse", "Current gateway ip %s already in use by port %s. Unable to update.", old.GatewayIP, port)
	}
	return err
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
