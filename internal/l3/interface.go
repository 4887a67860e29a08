package l3

import (
	"net/netip"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Interface is the answer to adding and removing a router's interface, as the API
// shows it.
type Interface struct {
	ID        string   `json:"id"` // of the router
	TenantID  string   `json:"tenant_id"`
	PortID    string   `json:"port_id"`
	NetworkID string   `json:"network_id"`
	SubnetID  string   `json:"subnet_id"`
	SubnetIDs []string `json:"subnet_ids"`
}

func describe(r *weft.Router, p *weft.Port, subnets []string) *Interface {
	return &Interface{ID: r.ID, TenantID: p.ProjectID, PortID: p.ID, NetworkID: p.NetworkID,
		SubnetID: subnets[len(subnets)-1], SubnetIDs: subnets}
}

// AddInterface attaches a router to a subnet, by its gateway address, or to a port
// that is not in use; one of the two ids is empty. The first interface gives the
// router a host. Errors: SubnetNotFound, PortNotFound, PortInUse, BadRequest, and
// what core says about addresses.
func (s *Service) AddInterface(tx *store.Tx, r *weft.Router, subnetID, portID string) (*Interface, error) {
	switch {
	case subnetID == "" && portID == "":
		return nil, badRouter("Either subnet_id or port_id must be specified")
	case subnetID != "" && portID != "":
		return nil, badRouter("Cannot specify both subnet-id and port-id")
	}
	a, err := attachmentsOf(tx, r)
	if err != nil {
		return nil, err
	}
	host := r.HostID
	if err := s.place(tx, r, a.all()); err != nil {
		return nil, err
	}
	add := s.addSubnet
	if portID != "" {
		add, subnetID = s.addPort, portID
	}
	info, err := add(tx, r, a, subnetID)
	if err != nil {
		return nil, err
	}
	if err := s.settle(tx, nil, r); err != nil {
		return nil, err
	}
	return info, save(tx, r, r.HostID != host)
}

// save stores a router that has changed, or else raises its revision because its
// interfaces have.
func save(tx *store.Tx, r *weft.Router, changed bool) error {
	if changed {
		return store.Routers.Update(tx, r)
	}
	return store.Routers.Touch(tx, r.ID)
}

// addSubnet attaches a router to a subnet. An IPv6 subnet joins the port that the
// router has on the network already.
func (s *Service) addSubnet(tx *store.Tx, r *weft.Router, a *attachments, id string) (*Interface, error) {
	sub, err := store.Subnets.GetVisible(tx, id)
	if err != nil {
		return nil, err
	}
	if !sub.GatewayIP.IsValid() {
		return nil, badRouter("Subnet for router interface must have a gateway IP")
	}
	if err := mayAttach(tx, sub); err != nil {
		return nil, err
	}
	if err := attachable(sub); err != nil {
		return nil, err
	}
	if err := a.absent(sub.ID); err != nil {
		return nil, err
	}
	if err := a.disjoint(sub); err != nil {
		return nil, err
	}
	ip := weft.FixedIP{SubnetID: sub.ID, IPAddress: sub.GatewayIP.Addr}
	if sub.IPVersion == 6 {
		if old := a.ipv6On(sub.NetworkID); old != nil {
			p := weft.Clone(old)
			p.FixedIPs = append(p.FixedIPs, ip)
			return describe(r, p, []string{sub.ID}), s.ports.UpdatePort(tx, old, p, weft.Given{"fixed_ips": true})
		}
	}
	p := &weft.Port{NetworkID: sub.NetworkID, AdminStateUp: true, DeviceOwner: interfaceOwner(r), FixedIPs: []weft.FixedIP{ip}}
	p.ProjectID = r.ProjectID
	if err := s.createPort(tx, r, p); err != nil {
		return nil, err
	}
	return describe(r, p, []string{sub.ID}), nil
}

// mayAttach refuses the subnet of a network that others own, unless it is shared
// with the caller's project by name.
func mayAttach(tx *store.Tx, sub *weft.Subnet) error {
	c := tx.Caller
	if sub.ProjectID == c.ProjectID || c.Admin {
		return nil
	}
	shared, err := tx.Exists(`SELECT 1 FROM rbac_policies WHERE object_id = ? AND action = 'access_as_shared'
		AND target_tenant = ? AND object_type = 'network'`, sub.NetworkID, c.ProjectID)
	if err == nil && !shared {
		err = badRouter("Cannot add interface to router because subnet %s is not owned by project making the request", sub.ID)
	}
	return err
}

// attachable refuses subnets that are served by a router outside the cloud.
func attachable(sub *weft.Subnet) error {
	if sub.IPVersion == 6 && sub.IPv6RAMode == "" && sub.IPv6AddressMode != "" {
		return badRouter("IPv6 subnet %s configured to receive RAs from an external router cannot be added to Neutron Router.", sub.ID)
	}
	return nil
}

// addPort makes a port of a user an interface of a router.
func (s *Service) addPort(tx *store.Tx, r *weft.Router, a *attachments, id string) (*Interface, error) {
	old, err := store.OwnPort(tx, id)
	if err != nil {
		return nil, err
	}
	if old.DeviceID != "" {
		return nil, weft.Errorf(weft.Conflict, "PortInUse",
			"Unable to complete operation on port %s for network %s. Port already has an attached device %s.", old.ID, old.NetworkID, old.DeviceID)
	}
	subnets, err := checkPort(tx, a, old)
	if err != nil {
		return nil, err
	}
	p := weft.Clone(old)
	p.DeviceID, p.DeviceOwner, p.HostID = r.ID, interfaceOwner(r), r.HostID
	given := weft.Given{"device_id": true, "device_owner": true, "binding:host_id": true}
	if err := s.ports.UpdatePort(tx, old, p, given); err != nil {
		return nil, err
	}
	return describe(r, p, subnets), nil
}

// checkPort refuses ports that cannot be an interface beside those there are. It
// returns the ids of the port's subnets, one an address.
func checkPort(tx *store.Tx, a *attachments, p *weft.Port) ([]string, error) {
	if len(p.FixedIPs) == 0 {
		return nil, badRouter("Router port must have at least one fixed IP")
	}
	if other := a.ipv6On(p.NetworkID); other != nil && hasIPv6(p) {
		return nil, badRouter("Router already contains IPv6 port %s belonging to network id %s. Only one IPv6 port from the same network subnet can be connected to a router", other.ID, p.NetworkID)
	}
	var ids []string
	ipv4 := 0
	for _, ip := range p.FixedIPs {
		sub, err := store.Subnets.Get(tx, ip.SubnetID)
		if err != nil {
			return nil, err
		}
		for _, err := range []error{attachable(sub), a.absent(sub.ID), a.disjoint(sub), inPool(tx, p, sub, ip)} {
			if err != nil {
				return nil, err
			}
		}
		if sub.IPVersion == 4 {
			ipv4++
		}
		ids = append(ids, sub.ID)
	}
	if ipv4 > 1 {
		return nil, badRouter("Cannot have multiple IPv4 subnets on router port")
	}
	return ids, nil
}

// inPool refuses addresses that others keep out of automatic allocation: on
// somebody else's subnet one must not put a router on an address of one's choice.
func inPool(tx *store.Tx, p *weft.Port, sub *weft.Subnet, ip weft.FixedIP) error {
	if tx.Caller.Admin || sub.ProjectID == tx.Caller.ProjectID {
		return nil
	}
	for _, pool := range sub.AllocationPools {
		if !ip.IPAddress.Less(pool.Start) && !pool.End.Less(ip.IPAddress) {
			return nil
		}
	}
	return badRouter("Cannot add interface to router because specified port %s has an IP address out of the allocation pool of subnet %s, which is not owned by the project making the request", p.ID, sub.ID)
}

// RemoveInterface detaches a router from a subnet or from a port; with both ids
// they must match. The port goes too, unless it has further addresses. Errors:
// RouterInterfaceNotFound, RouterInterfaceNotFoundForSubnet, SubnetMismatchForPort,
// RouterInterfaceInUseByFloatingIP, RouterInterfaceInUseByRoute.
func (s *Service) RemoveInterface(tx *store.Tx, r *weft.Router, subnetID, portID string) (*Interface, error) {
	if subnetID == "" && portID == "" {
		return nil, badRouter("Either subnet_id or port_id must be specified")
	}
	a, err := attachmentsOf(tx, r)
	if err != nil {
		return nil, err
	}
	remove := s.removeSubnet
	if portID != "" {
		remove = s.removePort
	}
	info, err := remove(tx, r, a, subnetID, portID)
	if err != nil {
		return nil, err
	}
	if err := s.settle(tx, nil, r); err != nil {
		return nil, err
	}
	return info, store.Routers.Touch(tx, r.ID)
}

func (s *Service) removePort(tx *store.Tx, r *weft.Router, a *attachments, subnetID, portID string) (*Interface, error) {
	i := slices.IndexFunc(a.interfaces, func(p *weft.Port) bool { return p.ID == portID })
	if i < 0 {
		return nil, weft.Errorf(weft.NotFound, "RouterInterfaceNotFound", "Router %s does not have an interface with id %s", r.ID, portID)
	}
	p := a.interfaces[i]
	if subnetID != "" && !has(p, subnetID) {
		return nil, weft.Errorf(weft.BadRequest, "SubnetMismatchForPort", "Subnet on port %s does not match the requested subnet %s.", p.ID, subnetID)
	}
	var ids []string
	for _, ip := range p.FixedIPs {
		ids = append(ids, ip.SubnetID)
	}
	if err := s.dispensable(tx, r, a, ids...); err != nil {
		return nil, err
	}
	slices.Reverse(ids) // the first is the one that is shown
	return describe(r, p, ids), s.ports.DeletePort(tx, p)
}

func (s *Service) removeSubnet(tx *store.Tx, r *weft.Router, a *attachments, subnetID, _ string) (*Interface, error) {
	if _, err := store.Subnets.GetVisible(tx, subnetID); err != nil {
		return nil, err
	}
	old := a.onSubnet(subnetID)
	if old == nil {
		return nil, weft.Errorf(weft.NotFound, "RouterInterfaceNotFoundForSubnet", "Router %s has no interface on subnet %s", r.ID, subnetID)
	}
	if err := s.dispensable(tx, r, a, subnetID); err != nil {
		return nil, err
	}
	p := weft.Clone(old)
	p.FixedIPs = slices.DeleteFunc(p.FixedIPs, func(ip weft.FixedIP) bool { return ip.SubnetID == subnetID })
	info := describe(r, p, []string{subnetID})
	if len(p.FixedIPs) > 0 {
		return info, s.ports.UpdatePort(tx, old, p, weft.Given{"fixed_ips": true})
	}
	return info, s.ports.DeletePort(tx, old)
}

// dispensable refuses to leave subnets that floating IPs or routes of the router
// lead to.
func (s *Service) dispensable(tx *store.Tx, r *weft.Router, a *attachments, ids ...string) error {
	fips, err := store.FloatingIPs.Find(tx, store.Eq("router_id", r.ID))
	if err != nil {
		return err
	}
	for _, sub := range a.subnets {
		if !slices.Contains(ids, sub.ID) {
			continue
		}
		for _, hook := range s.InterfaceRemoving {
			if err := hook(tx, r, sub); err != nil {
				return err
			}
		}
		within := func(addr netip.Addr) bool { return addr.IsValid() && sub.CIDR.Contains(addr) }
		if i := slices.IndexFunc(fips, func(f *weft.FloatingIP) bool { return within(f.FixedIPAddress.Addr) }); i >= 0 {
			return weft.Errorf(weft.Conflict, "RouterInterfaceInUseByFloatingIP",
				"Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more floating IPs.", sub.ID, r.ID).BlockedBy("floatingip", fips[i].ID)
		}
		if i := slices.IndexFunc(r.Routes, func(route weft.Route) bool { return within(route.NextHop) }); i >= 0 {
			return weft.Errorf(weft.Conflict, "RouterInterfaceInUseByRoute",
				"Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more routes.", sub.ID, r.ID).BlockedBy("route", r.Routes[i].Destination.String())
		}
	}
	return nil
}

// Detach takes an interface port off a router and removes it.
func (s *Service) Detach(tx *store.Tx, r *weft.Router, p *weft.Port) error {
	_, err := s.RemoveInterface(tx, r, "", p.ID)
	return err
}
