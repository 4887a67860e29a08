package nat

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// CreateProxy stores a new NDP proxy. Without an address it takes the first that
// the router reaches. Errors: PortNotFound, RouterNotFound, PortUnreachableRouter,
// RouterNDPProxyNotEnable, BadRequest for a port without IPv6, InvalidAddress,
// AddressScopeConflict.
func (s *Service) CreateProxy(tx *store.Tx, p *weft.NDPProxy) error {
	port, err := store.Ports.GetVisible(tx, p.PortID)
	if err != nil {
		return err
	}
	legs, err := store.Ports.Find(tx, store.Eq("device_id", p.RouterID), store.Eq("network_id", port.NetworkID))
	if err != nil {
		return err
	}
	if len(legs) == 0 {
		return unreachable(p)
	}
	r, err := store.Routers.GetVisible(tx, p.RouterID)
	if err != nil {
		return err
	}
	if !r.EnableNDPProxy || r.Gateway == nil {
		return weft.Errorf(weft.Conflict, "RouterNDPProxyNotEnable",
			"The enable_ndp_proxy parameter of router %s must be set as True while create ndp proxy entry on it.", r.ID)
	}
	if err := chooseAddress(p, port, legs); err != nil {
		return err
	}
	if err := sameScope(tx, r.Gateway.NetworkID, port.NetworkID); err != nil {
		return err
	}
	if err := unpublished(tx, p); err != nil {
		return err
	}
	return store.NDPProxies.Insert(tx, p)
}

// UpdateProxy stores a changed NDP proxy.
func (s *Service) UpdateProxy(tx *store.Tx, p *weft.NDPProxy) error {
	return store.NDPProxies.Update(tx, p)
}

// DeleteProxy removes an NDP proxy.
func (s *Service) DeleteProxy(tx *store.Tx, p *weft.NDPProxy) error {
	return store.NDPProxies.Delete(tx, p)
}

// unpublished refuses an address that the router has a proxy for.
func unpublished(tx *store.Tx, p *weft.NDPProxy) error {
	same, err := store.NDPProxies.First(tx, store.Eq("router_id", p.RouterID), store.Eq("ip_address", p.IPAddress.String()))
	if err == nil && same != nil {
		err = weft.Errorf(weft.Conflict, "NeutronDbObjectDuplicateEntry",
			"Failed to create a duplicate NDPProxy: for attribute(s) ['router_id', 'ip_address'] with value(s) %s-%s", p.RouterID, p.IPAddress).
			BlockedBy("ndp_proxy", same.ID)
	}
	return err
}

func unreachable(p *weft.NDPProxy) error {
	return weft.Errorf(weft.Conflict, "PortUnreachableRouter", "The port %s cannot reach the router %s by IPv6 subnet.", p.PortID, p.RouterID)
}

// chooseAddress settles the address of a proxy: one of the port's on a subnet that
// the router is on by one of its legs.
func chooseAddress(p *weft.NDPProxy, port *weft.Port, legs []*weft.Port) error {
	ips := ipv6Of(port)
	if len(ips) == 0 {
		return bad("ndp_proxy", "Requested port %s must allocate one IPv6 address at least", port.ID)
	}
	reached := map[string]bool{}
	for _, leg := range legs {
		for _, ip := range ipv6Of(leg) {
			reached[ip.SubnetID] = true
		}
	}
	if !p.IPAddress.IsValid() {
		i := slices.IndexFunc(ips, func(ip weft.FixedIP) bool { return reached[ip.SubnetID] })
		if i < 0 {
			return unreachable(p)
		}
		p.IPAddress = weft.AddrOf(ips[i].IPAddress)
		return nil
	}
	i := slices.IndexFunc(ips, func(ip weft.FixedIP) bool { return ip.IPAddress == p.IPAddress.Addr })
	switch {
	case i < 0:
		return invalidAddress(p, "This address not belong to the port "+port.ID)
	case !reached[ips[i].SubnetID]:
		return invalidAddress(p, "This address cannot reach the router "+p.RouterID)
	}
	return nil
}

func invalidAddress(p *weft.NDPProxy, reason string) error {
	return weft.Errorf(weft.BadRequest, "InvalidAddress", "The address %s is invalid, reason: %s.", p.IPAddress, reason)
}

func ipv6Of(p *weft.Port) []weft.FixedIP {
	return slices.DeleteFunc(slices.Clone(p.FixedIPs), func(ip weft.FixedIP) bool { return !ip.IPAddress.Is6() })
}

// sameScope refuses networks between which addresses are not routed as they are.
func sameScope(tx *store.Tx, external, internal string) error {
	ext, err := scopeOf(tx, external)
	if err != nil {
		return err
	}
	in, err := scopeOf(tx, internal)
	if err == nil && ext != in {
		err = weft.Errorf(weft.Conflict, "AddressScopeConflict",
			"The IPv6 address scope %s of external network conflict with internal network's IPv6 address scope %s.", orNone(ext), orNone(in))
	}
	return err
}

func orNone(id string) string {
	if id == "" {
		return "None"
	}
	return id
}

// scopeOf is the IPv6 address scope of a network, or "".
func scopeOf(tx *store.Tx, networkID string) (id string, err error) {
	_, err = tx.QueryRow(`SELECT sp.address_scope_id FROM subnets s JOIN subnetpools sp ON sp.id = s.subnetpool_id
		WHERE s.network_id = ? AND s.ip_version = 6 AND sp.address_scope_id <> '' ORDER BY sp.address_scope_id LIMIT 1`, []any{networkID}, &id)
	return id, err
}

// RouterSaving settles whether a router has NDP proxies: they need a gateway with
// an IPv6 address, on a network with an IPv6 address scope. A new gateway that has
// that brings them. Errors: RouterGatewayNotValid.
func (s *Service) RouterSaving(tx *store.Tx, old, r *weft.Router, given weft.Given) error {
	asked := given["enable_ndp_proxy"]
	if r.Gateway == nil && !(asked && r.EnableNDPProxy) {
		r.EnableNDPProxy = false
		return nil
	}
	if !(asked && r.EnableNDPProxy) && (asked || old == nil || !given["external_gateway_info"]) {
		return nil
	}
	fit, err := fits(tx, r, old == nil)
	if err != nil {
		return err
	}
	if asked && !fit {
		return weft.Errorf(weft.Conflict, "RouterGatewayNotValid", "Can not enable ndp proxy on router %s, %s.", r.ID, unfit(old, r))
	}
	r.EnableNDPProxy = fit
	return nil
}

// fits reports whether NDP proxies can be on the gateway of a router. Of a new one
// only the network is looked at.
func fits(tx *store.Tx, r *weft.Router, fresh bool) (bool, error) {
	if r.Gateway == nil {
		return false, nil
	}
	has6 := slices.ContainsFunc(r.Gateway.ExternalFixedIPs, func(ip weft.FixedIP) bool { return ip.IPAddress.Is6() })
	scope, err := scopeOf(tx, r.Gateway.NetworkID)
	return scope != "" && (fresh || has6), err
}

func unfit(old, r *weft.Router) string {
	switch {
	case old == nil && r.Gateway == nil:
		return "The request body not contain external gateway information"
	case old == nil:
		return "The external network " + r.Gateway.NetworkID + " don't support IPv6 ndp proxy, the network has no IPv6 subnets or has no IPv6 address scope"
	case old.Gateway != nil && r.Gateway == nil:
		return "The router's external gateway will be unset"
	}
	return "The router has no external gateway or the external gateway port has no IPv6 address or IPv6 address scope"
}

// GatewayChanging refuses what would take the gateway from NDP proxies: that it
// goes (want is nil), with RouterGatewayInUseByNDPProxy, or its IPv6 address, with
// RouterIPv6GatewayInUse.
func (s *Service) GatewayChanging(tx *store.Tx, r *weft.Router, want *weft.Gateway) error {
	if want == nil {
		used, err := tx.IDs("SELECT id FROM ndp_proxies WHERE router_id = ?", r.ID)
		if len(used) > 0 {
			return weft.Errorf(weft.Conflict, "RouterGatewayInUseByNDPProxy",
				"Unable to unset external gateway of router %s, There are one or more ndp proxies still in use on the router.", r.ID).BlockedBy("ndp_proxy", used...)
		}
		return err
	}
	if !r.EnableNDPProxy || len(want.ExternalFixedIPs) == 0 {
		return nil
	}
	for _, ip := range want.ExternalFixedIPs {
		if ip.IPAddress.Is6() {
			return nil
		}
		if ip.SubnetID != "" {
			sub, err := store.Subnets.Get(tx, ip.SubnetID)
			if err != nil || sub.IPVersion == 6 {
				return err
			}
		}
	}
	return weft.Errorf(weft.Conflict, "RouterIPv6GatewayInUse",
		"Can't remove the IPv6 subnet from external gateway of router %s, the IPv6 subnet in use by the router's ndp proxy.", r.ID)
}
