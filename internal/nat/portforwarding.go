package nat

import (
	"net/netip"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func badForwarding(format string, args ...any) error {
	return bad("port_forwarding", format, args...)
}

// CreateForwarding stores a new port forwarding; the first of a floating IP brings
// it to a router. Errors: BadRequest for ports that are missing, do not fit each
// other or are taken, and for addresses that the port does not have or the floating
// IP cannot reach; PortNotFound, PortHasBindingFloatingIP,
// FloatingIPPortAlreadyAssociated.
func (s *Service) CreateForwarding(tx *store.Tx, f *weft.PortForwarding, given weft.Given) error {
	if err := setPorts(f, given); err != nil {
		return err
	}
	if _, err := store.OwnPort(tx, f.InternalPortID); err != nil {
		return err
	}
	if err := free(tx, f); err != nil {
		return err
	}
	if err := unbound(tx, f); err != nil {
		return err
	}
	fip, err := store.FloatingIPs.Get(tx, f.FloatingIPID)
	if err != nil {
		return err
	}
	if fip.PortID != "" {
		return weft.Errorf(weft.Conflict, "FloatingIPPortAlreadyAssociated",
			"Cannot associate floating IP %s (%s) with port %s using fixed IP %s, as that fixed IP already has a floating IP on external network %s.",
			fip.FloatingIPAddress, fip.ID, f.InternalPortID, f.InternalIPAddress, fip.FloatingNetworkID)
	}
	router, err := s.routerOf(tx, fip, f)
	if err != nil {
		return err
	}
	if fip.RouterID == "" {
		fip.RouterID = weft.ID(router)
		if err := store.FloatingIPs.Update(tx, fip); err != nil {
			return err
		}
	}
	return store.PortForwardings.Insert(tx, f)
}

// UpdateForwarding stores a changed port forwarding. Errors: as for a new one.
func (s *Service) UpdateForwarding(tx *store.Tx, old, f *weft.PortForwarding, given weft.Given) error {
	if given["internal_port_id"] {
		if _, err := store.OwnPort(tx, f.InternalPortID); err != nil {
			return err
		}
		if err := unbound(tx, f); err != nil {
			return err
		}
	}
	if err := setPorts(f, given); err != nil {
		return err
	}
	if f.InternalPortID != old.InternalPortID {
		if !given["internal_ip_address"] {
			f.InternalIPAddress = weft.Addr{}
		}
		fip, err := store.FloatingIPs.Get(tx, f.FloatingIPID)
		if err != nil {
			return err
		}
		if _, err := s.routerOf(tx, fip, f); err != nil {
			return err
		}
	}
	for _, check := range []func(*store.Tx, *weft.PortForwarding) error{onPort, distinct, free} {
		if err := check(tx, f); err != nil {
			return err
		}
	}
	return store.PortForwardings.Update(tx, f)
}

// DeleteForwarding removes a port forwarding. The last of a floating IP takes it
// off its router.
func (s *Service) DeleteForwarding(tx *store.Tx, f *weft.PortForwarding) error {
	if err := store.PortForwardings.Delete(tx, f); err != nil {
		return err
	}
	left, err := store.PortForwardings.Count(tx, store.Eq("floatingip_id", f.FloatingIPID))
	if err != nil || left > 0 {
		return err
	}
	fip, err := store.FloatingIPs.Get(tx, f.FloatingIPID)
	if err != nil {
		return err
	}
	fip.RouterID, fip.Status = "", weft.StatusDown
	return store.FloatingIPs.Update(tx, fip)
}

// setPorts settles the ranges of a forwarding by what the request named: a single
// port goes before a range.
func setPorts(f *weft.PortForwarding, given weft.Given) error {
	external, internal := f.ExternalPortRange, f.InternalPortRange
	if given["external_port"] && f.ExternalPort > 0 {
		external = weft.OnePort(f.ExternalPort)
	}
	if given["internal_port"] && f.InternalPort > 0 {
		internal = weft.OnePort(f.InternalPort)
	}
	if !external.IsValid() || !internal.IsValid() {
		return badForwarding("External and internal ports must be specified, by a port or by a range of ports")
	}
	f.SetExternal(external)
	f.SetInternal(internal)
	if n := internal.Size(); n > 1 && n != external.Size() {
		return badForwarding("Invalid ranges of internal and/or external ports. The relation between internal and external ports must be N-N or 1-N")
	}
	return nil
}

// free refuses ports that another forwarding has: inside of the address, outside
// of the floating IP.
func free(tx *store.Tx, f *weft.PortForwarding) error {
	list, err := store.PortForwardings.Find(tx, store.Eq("internal_port_id", f.InternalPortID), store.Eq("protocol", f.Protocol))
	if err != nil {
		return err
	}
	for _, o := range list {
		if o.ID != f.ID && o.InternalIPAddress == f.InternalIPAddress && o.InternalPortRange.Overlaps(f.InternalPortRange) {
			return collision("internal", o.InternalPortRange, f.InternalPortRange)
		}
	}
	if list, err = sameOutside(tx, f); err != nil {
		return err
	}
	for _, o := range list {
		if o.ExternalPortRange.Overlaps(f.ExternalPortRange) {
			return collision("external", o.ExternalPortRange, f.ExternalPortRange)
		}
	}
	return nil
}

// sameOutside are the other forwardings of the floating IP and protocol.
func sameOutside(tx *store.Tx, f *weft.PortForwarding) ([]*weft.PortForwarding, error) {
	list, err := store.PortForwardings.Find(tx, store.Eq("floatingip_id", f.FloatingIPID), store.Eq("protocol", f.Protocol))
	return slices.DeleteFunc(list, func(o *weft.PortForwarding) bool { return o.ID == f.ID }), err
}

func collision(side string, taken, wanted weft.PortRange) error {
	return badForwarding("There is a port collision with the %s_port_range. The following ranges collides: %s and %s", side, taken, wanted)
}

// distinct refuses what is another forwarding's very port. It goes before free,
// which would refuse it as well, in other words.
func distinct(tx *store.Tx, f *weft.PortForwarding) error {
	list, err := sameOutside(tx, f)
	if err != nil {
		return err
	}
	const text = "Another port forwarding entry with the same attributes already exists, conflicting values are "
	for _, o := range list {
		if o.ExternalPort > 0 && o.ExternalPort == f.ExternalPort {
			fip, err := store.FloatingIPs.Get(tx, f.FloatingIPID)
			if err != nil {
				return err
			}
			return badForwarding(text+"{'floating_ip_address': '%s', 'external_port': %d}", fip.FloatingIPAddress, f.ExternalPort)
		}
		if o.InternalPort > 0 && o.InternalPort == f.InternalPort && o.InternalPortID == f.InternalPortID && o.InternalIPAddress == f.InternalIPAddress {
			return badForwarding(text+"{'internal_port_id': '%s', 'internal_ip_address': '%s', 'internal_port': %d}",
				f.InternalPortID, f.InternalIPAddress, f.InternalPort)
		}
	}
	return nil
}

// unbound refuses an internal port that a floating IP leads to.
func unbound(tx *store.Tx, f *weft.PortForwarding) error {
	fip, err := store.FloatingIPs.First(tx, store.Eq("port_id", f.InternalPortID))
	if err != nil || fip == nil {
		return err
	}
	return weft.Errorf(weft.Conflict, "PortHasBindingFloatingIP",
		"Cannot create port forwarding to floating IP %s (%s) with port %s using fixed IP %s, as that port already has a binding floating IP.",
		fip.FloatingIPAddress, fip.ID, f.InternalPortID, f.InternalIPAddress)
}

// onPort refuses an address that the internal port does not have.
func onPort(tx *store.Tx, f *weft.PortForwarding) error {
	p, err := store.OwnPort(tx, f.InternalPortID)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(p.FixedIPs, func(ip weft.FixedIP) bool { return ip.IPAddress == f.InternalIPAddress.Addr }) {
		return badForwarding("The internal IP does not correspond to an address on the internal port, which has fixed_ips %s", pairs(p.FixedIPs))
	}
	return nil
}

// routerOf is the router that takes a floating IP to the internal address, which
// is chosen if there is none yet. All forwardings of a floating IP are on one.
func (s *Service) routerOf(tx *store.Tx, fip *weft.FloatingIP, f *weft.PortForwarding) (string, error) {
	p, err := store.OwnPort(tx, f.InternalPortID)
	if err != nil {
		return "", err
	}
	ip, err := internalAddress(p, f.InternalIPAddress.Addr)
	if err != nil {
		return "", err
	}
	f.InternalIPAddress = weft.AddrOf(ip.IPAddress)
	router, err := s.routers.RouterFor(tx, p, ip.SubnetID, fip.FloatingNetworkID)
	switch {
	case weft.IsKind(err, weft.NotFound):
		return "", badForwarding("External network %s is not reachable from subnet %s. Cannot set Port forwarding for port %s with Floating IP %s",
			fip.FloatingNetworkID, ip.SubnetID, p.ID, fip.ID)
	case err != nil:
		return "", err
	case fip.RouterID != "" && string(fip.RouterID) != router:
		return "", badForwarding("The Floating IP %s had been set on router %s, the internal Neutron port %s can not reach it", fip.ID, fip.RouterID, p.ID)
	}
	return router, nil
}

func internalAddress(p *weft.Port, asked netip.Addr) (weft.FixedIP, error) {
	ips := slices.DeleteFunc(slices.Clone(p.FixedIPs), func(ip weft.FixedIP) bool { return !ip.IPAddress.Is4() })
	if len(ips) == 0 {
		return weft.FixedIP{}, badForwarding("Requested internal port %s must allocate an IPv4 address at least.", p.ID)
	}
	if !asked.IsValid() {
		return ips[0], nil
	}
	i := slices.IndexFunc(ips, func(ip weft.FixedIP) bool { return ip.IPAddress == asked })
	if i < 0 {
		return weft.FixedIP{}, badForwarding("Requested internal IP address %s is not suitable for internal neutron port %s, as its fixed_ips are %s",
			asked, p.ID, pairs(ips))
	}
	return ips[i], nil
}
