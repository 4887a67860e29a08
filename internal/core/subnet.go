package core

import (
	"net/netip"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ipam"
	"github.com/weftnet/weft/internal/store"
)

// SubnetRequest is what a request for a subnet says beside the subnet itself.
type SubnetRequest struct {
	Prefixlen      *int
	UseDefaultPool bool
}

// CreateSubnet stores a new subnet, with a prefix out of a pool if it names none.
// Errors are those of api.md §3.2: InvalidInput for what cannot be a subnet or
// overlaps another of the network, BadRequest for contradictory requests,
// NetworkMTUSubnetConflict on a network whose MTU is too small for it, those
// of allocation pools and those of subnet pools.
func (s *Service) CreateSubnet(tx *store.Tx, sn *weft.Subnet, in SubnetRequest, given weft.Given) error {
	v, err := look(tx, sn.NetworkID, weft.MAC{})
	if err != nil {
		return err
	}
	if err := mustSee(tx, v.network); err != nil {
		return err
	}
	asked := sn.CIDR.IsValid()
	if asked {
		sn.CIDR = sn.CIDR.Masked()
	}
	pool, err := s.findPool(tx, sn, in)
	if err != nil {
		return err
	}
	if err := s.checkSubnet(sn, given); err != nil {
		return err
	}
	if err := carries(v.network, sn.IPVersion); err != nil {
		return err
	}
	if err := s.choosePrefix(tx, v, sn, pool, in); err != nil {
		return err
	}
	if !asked { // what depends on the prefix
		if err := s.checkSubnet(sn, given); err != nil {
			return err
		}
	}
	if err := checkOverlap(v, sn); err != nil {
		return err
	}
	if err := checkSegment(tx, v, nil, sn); err != nil {
		return err
	}
	if err := fillSubnet(sn, pool != nil && !asked, given); err != nil {
		return err
	}
	peerRoutes(v, sn, netip.Prefix{}, netip.Addr{})
	if err := store.Subnets.Insert(tx, sn); err != nil {
		return err
	}
	v.subnets = append(v.subnets, sn)
	return s.subnetCreated(tx, v, sn)
}

// subnetCreated lets the rest of the network know.
func (s *Service) subnetCreated(tx *store.Tx, v *view, sn *weft.Subnet) error {
	if err := store.Networks.Touch(tx, sn.NetworkID); err != nil {
		return err
	}
	if err := routePeers(tx, v, sn.ID, netip.Prefix{}); err != nil {
		return err
	}
	if sn.AutoAddress() {
		if err := s.addDerived(tx, v, sn); err != nil {
			return err
		}
	}
	if err := s.syncDHCP(tx, v); err != nil {
		return err
	}
	for _, hook := range s.SubnetCreated {
		if err := hook(tx, sn); err != nil {
			return err
		}
	}
	return nil
}

// addDerived gives every port of the network that derives addresses the one of a
// new subnet.
func (s *Service) addDerived(tx *store.Tx, v *view, sn *weft.Subnet) error {
	ports, err := store.Ports.Find(tx, store.Eq("network_id", sn.NetworkID))
	return each(ports, err, func(p *weft.Port) error {
		if ipam.IsRouterOwner(p.DeviceOwner) || p.IPAllocation == allocationNone || p.DeviceOwner == weft.OwnerRouterGateway {
			return nil
		}
		p.FixedIPs = ipam.Ordered(append(p.FixedIPs, weft.FixedIP{SubnetID: sn.ID, IPAddress: weft.EUI64(sn.CIDR, p.MAC)}))
		p.DNSAssignment = s.assignNames(p)
		return store.Ports.Update(tx, p)
	})
}

// checkOverlap refuses a subnet that shares addresses with another of its network.
func checkOverlap(v *view, sn *weft.Subnet) error {
	if sn.CIDR.Bits() == 0 {
		return weft.Invalid("0 is not allowed as CIDR prefix length")
	}
	for _, other := range v.subnets {
		if other.ID != sn.ID && other.CIDR.Overlaps(sn.CIDR) && other.CIDR != provisional {
			return weft.Invalid("Requested subnet with cidr: %s for network: %s overlaps with another subnet", sn.CIDR, sn.NetworkID)
		}
	}
	return nil
}

// provisional is the prefix of a subnet that waits for one by prefix delegation.
var provisional = netip.MustParsePrefix("::/64")

// fillSubnet completes what the request left to us: gateway and pools. A prefix
// out of a pool has its gateway at 1 whatever its version.
func fillSubnet(sn *weft.Subnet, fromPool bool, given weft.Given) error {
	if !given["gateway_ip"] {
		gw := ipam.Gateway(sn.CIDR)
		if fromPool && sn.CIDR.Addr().Is6() && !sn.CIDR.IsSingleIP() {
			gw = sn.CIDR.Addr().Next()
		}
		sn.GatewayIP = weft.AddrOf(gw)
	}
	if sn.CIDR.Addr().Is4() && sn.CIDR.Bits() == 31 && !given["gateway_ip"] {
		return weft.Errorf(weft.Conflict, "IpamValueInvalid", "Gateway IP %s cannot be allocated in CIDR %s", sn.GatewayIP, sn.CIDR)
	}
	if given["allocation_pools"] && len(sn.AllocationPools) > 0 {
		return ipam.CheckPools(sn.CIDR, sn.GatewayIP.Addr, sn.AllocationPools)
	}
	sn.AllocationPools = ipam.Pools(sn.CIDR, sn.GatewayIP.Addr)
	return nil
}

// UpdateSubnet stores what changed. Errors: GatewayIpInUse while a router has the
// old gateway address, whatever is to come after it, GatewayConflictWithAllocationPools and the other errors of
// pools, InvalidInput.
func (s *Service) UpdateSubnet(tx *store.Tx, old, sn *weft.Subnet, given weft.Given) error {
	if err := s.checkSubnet(sn, given); err != nil {
		return err
	}
	if old.EnableDHCP && !sn.EnableDHCP && (sn.IPv6RAMode != "" || sn.IPv6AddressMode != "") {
		return weft.Invalid("Cannot disable enable_dhcp with ipv6 attributes set")
	}
	if err := checkGatewayChange(tx, old, sn); err != nil {
		return err
	}
	if given["allocation_pools"] || given["gateway_ip"] {
		if err := ipam.CheckPools(sn.CIDR, sn.GatewayIP.Addr, sn.AllocationPools); err != nil {
			return err
		}
	}
	if old.SegmentID != sn.SegmentID || old.GatewayIP != sn.GatewayIP {
		v, err := look(tx, sn.NetworkID, weft.MAC{})
		if err != nil {
			return err
		}
		if err := checkSegment(tx, v, old, sn); err != nil {
			return err
		}
		peerRoutes(v, sn, netip.Prefix{}, old.GatewayIP.Addr)
	}
	before := old.Revision
	if err := store.Subnets.Update(tx, sn); err != nil || sn.Revision == before {
		return err
	}
	if err := store.Networks.Touch(tx, sn.NetworkID); err != nil || old.EnableDHCP == sn.EnableDHCP {
		return err
	}
	v, err := look(tx, sn.NetworkID, weft.MAC{})
	if err != nil {
		return err
	}
	return s.syncDHCP(tx, v)
}

// checkGatewayChange refuses to move or take the gateway away from a router that is it.
func checkGatewayChange(tx *store.Tx, old, sn *weft.Subnet) error {
	if !old.GatewayIP.IsValid() || old.GatewayIP == sn.GatewayIP || sn.SubnetPoolID == delegated {
		return nil
	}
	holders, err := tx.IDs(`SELECT p.id FROM ip_allocations a JOIN ports p ON p.id = a.port_id
		WHERE a.subnet_id = ? AND a.sort = ? AND p.device_owner IN ('network:router_interface', 'network:router_interface_distributed', 'network:ha_router_replicated_interface')`,
		sn.ID, store.SortKey(old.GatewayIP.Addr))
	if err == nil && len(holders) > 0 {
		err = weft.Errorf(weft.Conflict, "GatewayIpInUse", "Current gateway ip %s already in use by port %s. Unable to update.", old.GatewayIP, holders[0]).BlockedBy("port", holders...)
	}
	return err
}

// DeleteSubnet removes a subnet and the addresses that ports have from it
// automatically; SubnetInUse while a port has one of another kind.
func (s *Service) DeleteSubnet(tx *store.Tx, sn *weft.Subnet) error {
	ports, err := store.Ports.Find(tx, store.Where("t.id IN (SELECT a.port_id FROM ip_allocations a WHERE a.subnet_id = ?)", sn.ID))
	if err != nil {
		return err
	}
	if blocking := slices.DeleteFunc(slices.Clone(ports), func(p *weft.Port) bool { return !blocks(p, sn) }); len(blocking) > 0 {
		refusal := weft.Errorf(weft.Conflict, "SubnetInUse",
			"Unable to complete operation on subnet %s: One or more ports have an IP allocation from this subnet.", sn.ID)
		for _, p := range blocking[:min(len(blocking), 100)] {
			refusal.BlockedBy("port", p.ID)
		}
		return refusal
	}
	for _, hook := range s.SubnetDeleting {
		if err := hook(tx, sn); err != nil {
			return err
		}
	}
	for _, p := range ports {
		if err := s.leave(tx, p, sn); err != nil {
			return err
		}
	}
	if err := store.Subnets.Delete(tx, sn); err != nil {
		return err
	}
	if err := store.Networks.Touch(tx, sn.NetworkID); err != nil {
		return err
	}
	v, err := look(tx, sn.NetworkID, weft.MAC{})
	if err != nil {
		return err
	}
	if err := routePeers(tx, v, sn.ID, sn.CIDR); err != nil {
		return err
	}
	return s.syncDHCP(tx, v)
}

// blocks reports whether a port with an address of the subnet keeps it in use.
func blocks(p *weft.Port, sn *weft.Subnet) bool {
	if isAuto(p.DeviceOwner) {
		return false
	}
	return !sn.AutoAddress() || ipam.IsRouterOwner(p.DeviceOwner)
}

// leave takes from a port its addresses of a subnet.
func (s *Service) leave(tx *store.Tx, p *weft.Port, sn *weft.Subnet) error {
	old := weft.Clone(p)
	p.FixedIPs = slices.DeleteFunc(p.FixedIPs, func(ip weft.FixedIP) bool { return ip.SubnetID == sn.ID })
	p.DNSAssignment = s.assignNames(p)
	for _, hook := range s.PortUpdating {
		if err := hook(tx, old, p); err != nil {
			return err
		}
	}
	return store.Ports.Update(tx, p)
}

// dropSubnet removes a subnet of a network that goes, when no port is left.
func (s *Service) dropSubnet(tx *store.Tx, sn *weft.Subnet) error {
	for _, hook := range s.SubnetDeleting {
		if err := hook(tx, sn); err != nil {
			return err
		}
	}
	return store.Subnets.Delete(tx, sn)
}
