package l3

import (
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func badFloatingIP(format string, args ...any) error { return bad("floatingip", format, args...) }

// CreateFloatingIP takes an address on an external network, from a subnet or the
// very address if the request says so, and associates it if a port is given.
// Errors: NetworkNotFound, BadRequest, ExternalIpAddressExhausted, what core says
// about addresses, and those of associate.
func (s *Service) CreateFloatingIP(tx *store.Tx, f *weft.FloatingIP, subnetID string, given weft.Given) error {
	if err := checkFloatingNetwork(tx, f.FloatingNetworkID); err != nil {
		return err
	}
	if err := s.checkQoS(tx, "", f.QoSPolicyID); err != nil {
		return err
	}
	if f.ID == "" {
		f.ID = uuid.NewString() // its port names it
	}
	p, addr, err := s.takeAddress(tx, f, subnetID)
	if err != nil {
		return err
	}
	f.DNSName, f.DNSDomain = "", "" // kept for a DNS service outside only, and there is none
	f.FloatingPortID, f.FloatingIPAddress, f.Status, f.RouterID = p.ID, weft.AddrOf(addr), weft.StatusDown, ""
	if err := s.associate(tx, f, f.FixedIPAddress.Addr); err != nil {
		return err
	}
	return store.FloatingIPs.Insert(tx, f)
}

// checkFloatingNetwork refuses networks that floating IPs cannot be on.
func checkFloatingNetwork(tx *store.Tx, id string) error {
	n, err := store.Networks.GetVisible(tx, id)
	if err != nil {
		return err
	}
	if !n.External {
		return badFloatingIP("Network %s is not a valid external network", id)
	}
	ipv4, err := store.Subnets.Count(tx, store.Eq("network_id", id), store.Eq("ip_version", 4))
	if err == nil && ipv4 == 0 {
		err = badFloatingIP("Network %s does not contain any IPv4 subnet", id)
	}
	return err
}

// takeAddress makes the port that holds the address of a floating IP. It belongs
// to no project and is bound nowhere.
func (s *Service) takeAddress(tx *store.Tx, f *weft.FloatingIP, subnetID string) (*weft.Port, netip.Addr, error) {
	p := &weft.Port{NetworkID: f.FloatingNetworkID, AdminStateUp: true, Status: weft.StatusNotApplicable,
		DeviceID: f.ID, DeviceOwner: weft.OwnerFloatingIP}
	given := weft.Given{"network_id": true, "admin_state_up": true, "status": true, "device_id": true, "device_owner": true}
	if subnetID != "" || f.FloatingIPAddress.IsValid() {
		p.FixedIPs = []weft.FixedIP{{SubnetID: subnetID, IPAddress: f.FloatingIPAddress.Addr}}
		given["fixed_ips"] = true
	}
	if err := s.ports.CreatePort(tx, p, given); err != nil {
		return nil, netip.Addr{}, err
	}
	ips := ipv4Of(p)
	if len(ips) == 0 {
		return nil, netip.Addr{}, weft.Errorf(weft.BadRequest, "ExternalIpAddressExhausted", "Unable to find any IP address on external network %s.", f.FloatingNetworkID)
	}
	return p, ips[0].IPAddress, nil
}

func ipv4Of(p *weft.Port) []weft.FixedIP {
	return slices.DeleteFunc(slices.Clone(p.FixedIPs), func(ip weft.FixedIP) bool { return !ip.IPAddress.Is4() })
}

// UpdateFloatingIP stores a changed floating IP. A port_id that is given associates
// it anew, or if it is null takes it away; without one the association stays, except
// that an update of nothing takes it away, as Neutron promises its older clients.
// Errors: those of associate, QosPolicyNotFound.
func (s *Service) UpdateFloatingIP(tx *store.Tx, old, f *weft.FloatingIP, given weft.Given) error {
	if f.QoSPolicyID != old.QoSPolicyID {
		if err := s.checkQoS(tx, "", f.QoSPolicyID); err != nil {
			return err
		}
	}
	fixed := netip.Addr{}
	if given["fixed_ip_address"] {
		fixed = f.FixedIPAddress.Addr
	}
	port, ported := f.PortID, given["port_id"]
	if len(given) == 0 {
		port, ported = "", true
	}
	f.PortID, f.FixedIPAddress, f.RouterID, f.Status = old.PortID, old.FixedIPAddress, old.RouterID, old.Status
	if fixed.IsValid() && (!given["port_id"] || port == "") {
		return withoutPort()
	}
	if ported && (port != "" || old.PortID != "") {
		if port != "" {
			if err := s.leading(tx, f); err != nil {
				return err
			}
		}
		f.PortID = port
		if err := s.associate(tx, f, fixed); err != nil {
			return err
		}
		if f.PortID != old.PortID || f.FixedIPAddress != old.FixedIPAddress || f.RouterID != old.RouterID {
			f.Status = weft.StatusDown // until a host has realised it
		}
	}
	return store.FloatingIPs.Update(tx, f)
}

func (s *Service) leading(tx *store.Tx, f *weft.FloatingIP) error {
	for _, hook := range s.FloatingIPLeading {
		if err := hook(tx, f); err != nil {
			return err
		}
	}
	return nil
}

func withoutPort() error {
	return badFloatingIP("fixed_ip_address cannot be specified without a port_id")
}

// associate makes the floating IP lead to its PortID, by way of the router between
// the port's subnet and the floating network; fixed chooses among the port's
// addresses. Without a PortID it leads nowhere. Errors: PortNotFound, BadRequest,
// ExternalGatewayForFloatingIPNotFound, FloatingIPPortAlreadyAssociated.
func (s *Service) associate(tx *store.Tx, f *weft.FloatingIP, fixed netip.Addr) error {
	if f.PortID == "" {
		if fixed.IsValid() {
			return withoutPort()
		}
		dissociate(f)
		return nil
	}
	p, err := store.Ports.GetVisible(tx, string(f.PortID))
	if err != nil {
		return err
	}
	for _, hook := range s.PortAssociating {
		if err := hook(tx, p); err != nil {
			return err
		}
	}
	ip, err := target(tx, f, p, fixed)
	if err != nil {
		return err
	}
	router, err := routerBetween(tx, p, ip.SubnetID, f.FloatingNetworkID)
	if err != nil {
		return err
	}
	if err := unassociated(tx, f, p, ip.IPAddress); err != nil {
		return err
	}
	f.FixedIPAddress, f.RouterID = weft.AddrOf(ip.IPAddress), weft.ID(router)
	return nil
}

func dissociate(f *weft.FloatingIP) {
	f.PortID, f.RouterID, f.FixedIPAddress, f.Status = "", "", weft.Addr{}, weft.StatusDown
}

// target is the address of a port that a floating IP is to lead to.
func target(tx *store.Tx, f *weft.FloatingIP, p *weft.Port, fixed netip.Addr) (ip weft.FixedIP, err error) {
	if p.ProjectID != f.ProjectID && !tx.Caller.Admin {
		return ip, badFloatingIP("Cannot process floating IP association with Port %s, since that port is owned by a different project", p.ID)
	}
	if p.DeviceOwner == weft.OwnerDHCP {
		return ip, badFloatingIP("Port %s is unable to be assigned a floating IP", p.ID)
	}
	if !fixed.IsValid() {
		return onlyIPv4(p)
	}
	if !fixed.Is4() {
		return ip, badFloatingIP("Cannot process floating IP association with %s, since that is not an IPv4 address", fixed)
	}
	i := slices.IndexFunc(p.FixedIPs, func(ip weft.FixedIP) bool { return ip.IPAddress == fixed })
	if i < 0 {
		return ip, badFloatingIP("Port %s does not have fixed ip %s", p.ID, fixed)
	}
	return p.FixedIPs[i], nil
}

func onlyIPv4(p *weft.Port) (weft.FixedIP, error) {
	ips := ipv4Of(p)
	switch len(ips) {
	case 0:
		return weft.FixedIP{}, badFloatingIP("Cannot add floating IP to port %s that has no fixed IPv4 addresses", p.ID)
	case 1:
		return ips[0], nil
	default:
		return weft.FixedIP{}, badFloatingIP("Port %s has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP", p.ID)
	}
}

// RouterFor is the router that leads from a subnet of a port to an external
// network, or ExternalGatewayForFloatingIPNotFound.
func (s *Service) RouterFor(tx *store.Tx, p *weft.Port, subnetID, networkID string) (string, error) {
	return routerBetween(tx, p, subnetID, networkID)
}

// leadsTo is that router r has a gateway on a network. A network has gateways without
// number and a router few, so that no index of networks may be used.
const leadsTo = `EXISTS (SELECT 1 FROM ports g WHERE g.device_id = r.id AND g.device_owner = 'network:router_gateway' AND g.network_id || '' = ?)`

// routerBetween is the router that leads from a subnet to an external network. The
// one that has the subnet's gateway address comes first; looking for it touches
// one address, whatever the size of the network.
func routerBetween(tx *store.Tx, p *weft.Port, subnetID, externalID string) (id string, err error) {
	sub, err := store.Subnets.Get(tx, subnetID)
	if err != nil {
		return "", err
	}
	if sub.GatewayIP.IsValid() {
		found, err := tx.QueryRow(`SELECT r.id FROM ip_allocations i JOIN ports p ON p.id = i.port_id
			JOIN routers r ON r.id = p.device_id
			WHERE i.subnet_id = ? AND i.sort = ? AND p.device_owner IN (`+interfaceOwners+`) AND `+leadsTo,
			[]any{subnetID, store.SortKey(sub.GatewayIP.Addr), externalID}, &id)
		if found || err != nil {
			return id, err
		}
	}
	found, err := tx.QueryRow(`SELECT r.id FROM ip_allocations i JOIN ports p ON p.id = i.port_id
		JOIN routers r ON r.id = p.device_id
		WHERE i.subnet_id = ? AND p.device_owner IN (`+interfaceOwners+`) AND `+leadsTo+` ORDER BY r.id LIMIT 1`,
		[]any{subnetID, externalID}, &id)
	if err == nil && !found {
		err = weft.Errorf(weft.NotFound, "ExternalGatewayForFloatingIPNotFound",
			"External network %s is not reachable from subnet %s.  Therefore, cannot associate Port %s with a Floating IP.", externalID, subnetID, p.ID)
	}
	return id, err
}

// unassociated refuses an address of a port that has a floating IP on the same
// network already.
func unassociated(tx *store.Tx, f *weft.FloatingIP, p *weft.Port, fixed netip.Addr) error {
	others, err := store.FloatingIPs.Find(tx, store.Eq("port_id", p.ID))
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.ID != f.ID && o.FloatingNetworkID == f.FloatingNetworkID && o.FixedIPAddress.Addr == fixed {
			return weft.Errorf(weft.Conflict, "FloatingIPPortAlreadyAssociated",
				"Cannot associate floating IP %s (%s) with port %s using fixed IP %s, as that fixed IP already has a floating IP on external network %s.",
				f.FloatingIPAddress, f.ID, p.ID, fixed, f.FloatingNetworkID)
		}
	}
	return nil
}

// DeleteFloatingIP removes a floating IP and gives its address back.
func (s *Service) DeleteFloatingIP(tx *store.Tx, f *weft.FloatingIP) error {
	if err := s.leading(tx, f); err != nil {
		return err
	}
	if err := store.FloatingIPs.Delete(tx, f); err != nil {
		return err
	}
	p, err := store.Ports.Get(tx, f.FloatingPortID)
	if err != nil {
		return err
	}
	return s.ports.DeletePort(tx, p)
}

// SetFloatingIPStatuses takes what a host reports of the floating IPs on its
// routers. What has meanwhile left the host is not its to say.
func (s *Service) SetFloatingIPStatuses(tx *store.Tx, host string, statuses map[string]string) error {
	if len(statuses) == 0 {
		return nil
	}
	var changed []string
	err := tx.Query("SELECT f.id, f.status FROM routers r JOIN floatingips f ON f.router_id = r.id WHERE r.host_id = ?", []any{host},
		func(scan func(...any) error) error {
			var id, status string
			err := scan(&id, &status)
			if now, ok := statuses[id]; ok && now != status {
				changed = append(changed, id)
			}
			return err
		})
	if err != nil {
		return err
	}
	for _, id := range changed {
		f, err := store.FloatingIPs.Get(tx, id)
		if err != nil {
			return err
		}
		f.Status = statuses[id]
		if err := store.FloatingIPs.Update(tx, f); err != nil {
			return err
		}
	}
	return nil
}
