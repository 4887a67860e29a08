package nat

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// FloatingIPLeading refuses, with FipInUseByPortForwarding, that a floating IP with
// port forwardings goes or is to lead to a port itself.
func (s *Service) FloatingIPLeading(tx *store.Tx, f *weft.FloatingIP) error {
	used, err := tx.IDs("SELECT id FROM port_forwardings WHERE floatingip_id = ?", f.ID)
	if len(used) > 0 {
		return weft.Errorf(weft.Conflict, "FipInUseByPortForwarding",
			"Floating IP %s in use by Port Forwarding resources.", f.ID).BlockedBy("port_forwarding", used...)
	}
	return err
}

// PortAssociating refuses, with PortHasPortForwarding, a floating IP for a port that
// has port forwardings by a distributed router: the two would be translated in
// different places.
func (s *Service) PortAssociating(tx *store.Tx, p *weft.Port) error {
	f, err := store.PortForwardings.First(tx, store.Eq("internal_port_id", p.ID))
	if err != nil || f == nil {
		return err
	}
	r, err := store.Routers.First(tx, store.Where("t.id = (SELECT f.router_id FROM floatingips f WHERE f.id = ?)", f.FloatingIPID))
	if err == nil && r != nil && r.Distributed {
		err = weft.Errorf(weft.BadRequest, "PortHasPortForwarding",
			"Cannot associate floating IP to port %s because it already has a Port Forwarding binding.", p.ID).BlockedBy("port_forwarding", f.ID)
	}
	return err
}

// InterfaceRemoving refuses that a router leaves a subnet that NDP proxies, with
// RouterInterfaceInUseByNDPProxy, or port forwardings, with
// RouterInterfaceInUseByFloatingIP, lead to.
func (s *Service) InterfaceRemoving(tx *store.Tx, r *weft.Router, sub *weft.Subnet) error {
	proxies, err := store.NDPProxies.Find(tx, store.Eq("router_id", r.ID))
	if err != nil {
		return err
	}
	for _, p := range proxies {
		if sub.CIDR.Contains(p.IPAddress.Addr) {
			return weft.Errorf(weft.Conflict, "RouterInterfaceInUseByNDPProxy",
				"Unable to remove subnet %s from router %s, There are one or more ndp proxies still in use on the subnet.", sub.ID, r.ID).BlockedBy("ndp_proxy", p.ID)
		}
	}
	forwardings, err := store.PortForwardings.Find(tx, store.Where("t.floatingip_id IN (SELECT f.id FROM floatingips f WHERE f.router_id = ?)", r.ID))
	if err != nil {
		return err
	}
	for _, f := range forwardings {
		if sub.CIDR.Contains(f.InternalIPAddress.Addr) {
			return weft.Errorf(weft.Conflict, "RouterInterfaceInUseByFloatingIP",
				"Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more floating IPs.", sub.ID, r.ID).
				BlockedBy("port_forwarding", f.ID)
		}
	}
	return nil
}

// RouterDeleting removes the helpers of a router.
func (s *Service) RouterDeleting(tx *store.Tx, r *weft.Router) error {
	return each(tx, store.ConntrackHelpers, s.DeleteHelper, store.Eq("router_id", r.ID))
}

// PortDeleting removes what leads to a port.
func (s *Service) PortDeleting(tx *store.Tx, p *weft.Port) error {
	return s.lose(tx, p, nil)
}

// PortUpdating removes what leads to addresses that a port loses.
func (s *Service) PortUpdating(tx *store.Tx, old, p *weft.Port) error {
	if slices.Equal(old.FixedIPs, p.FixedIPs) {
		return nil
	}
	return s.lose(tx, p, p.FixedIPs)
}

func (s *Service) lose(tx *store.Tx, p *weft.Port, keeps []weft.FixedIP) error {
	kept := func(a weft.Addr) bool {
		return slices.ContainsFunc(keeps, func(ip weft.FixedIP) bool { return ip.IPAddress == a.Addr })
	}
	err := each(tx, store.PortForwardings, func(tx *store.Tx, f *weft.PortForwarding) error {
		if kept(f.InternalIPAddress) {
			return nil
		}
		return s.DeleteForwarding(tx, f)
	}, store.Eq("internal_port_id", p.ID))
	if err != nil {
		return err
	}
	return each(tx, store.NDPProxies, func(tx *store.Tx, n *weft.NDPProxy) error {
		if kept(n.IPAddress) {
			return nil
		}
		return s.DeleteProxy(tx, n)
	}, store.Eq("port_id", p.ID))
}

// LeaveFloatingIP removes the port forwardings of a floating IP.
func (s *Service) LeaveFloatingIP(tx *store.Tx, f *weft.FloatingIP) error {
	return each(tx, store.PortForwardings, s.DeleteForwarding, store.Eq("floatingip_id", f.ID))
}

// LeaveRouter removes the NDP proxies of a router.
func (s *Service) LeaveRouter(tx *store.Tx, r *weft.Router) error {
	return each(tx, store.NDPProxies, s.DeleteProxy, store.Eq("router_id", r.ID))
}

// each does something with the nouns that meet a condition.
func each[T any](tx *store.Tx, table *store.Table[T], do func(*store.Tx, *T) error, which store.Cond) error {
	list, err := table.Find(tx, which)
	if err != nil {
		return err
	}
	for _, v := range list {
		if err := do(tx, v); err != nil {
			return err
		}
	}
	return nil
}
