package core

import (
	"net/netip"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ipam"
	"github.com/weftnet/weft/internal/store"
)

// A routed network has its subnets on segments: which addresses a port can have
// depends on the segment that its host is on.

// allocationDeferred is the ip_allocation of a port on a routed network whose host
// is not known yet.
const allocationDeferred = "deferred"

// serviceRouted is the service type of subnets for the routers between segments,
// which need not be on one.
const serviceRouted = "network:routed"

// checkSegment refuses a segment that a new subnet, or one whose segment changes,
// cannot be on. Errors: SegmentNotFound, NetworkIdsDontMatch,
// SubnetsNotAllAssociatedWithSegments, SubnetSegmentAssociationChangeNotAllowed,
// NoUpdateSubnetWhenMultipleSegmentsOnNetwork.
func checkSegment(tx *store.Tx, v *view, old, sn *weft.Subnet) error {
	if old != nil && old.SegmentID == sn.SegmentID {
		return nil
	}
	if sn.SegmentID != "" {
		seg, err := store.Segments.Get(tx, string(sn.SegmentID))
		if err != nil {
			return err
		}
		if seg.NetworkID != sn.NetworkID {
			return weft.Errorf(weft.BadRequest, "NetworkIdsDontMatch", "The subnet's network id, '%s', doesn't match the network_id of segment '%s'", sn.NetworkID, seg.ID)
		}
	}
	if !allOnSegments(v, sn) {
		return weft.Errorf(weft.BadRequest, "SubnetsNotAllAssociatedWithSegments",
			"All of the subnets on network '%s' must either all be associated with segments or all not associated with any segment.", sn.NetworkID)
	}
	switch {
	case old == nil:
		return nil
	case old.SegmentID != "":
		return weft.Errorf(weft.BadRequest, "SubnetSegmentAssociationChangeNotAllowed",
			"A subnet that is already associated with a segment cannot have its segment association changed.")
	case len(v.network.AllSegments()) > 1:
		return weft.Errorf(weft.BadRequest, "NoUpdateSubnetWhenMultipleSegmentsOnNetwork",
			"The network '%s' has multiple segments, it is only possible to associate an existing subnet with a segment on networks with a single segment.", sn.NetworkID)
	}
	return nil
}

// allOnSegments reports whether the network's subnets, with sn as it is to be, are
// all on segments or none is.
func allOnSegments(v *view, sn *weft.Subnet) bool {
	if slices.Contains(sn.ServiceTypes, serviceRouted) {
		return true
	}
	for _, other := range v.subnets {
		if other.ID != sn.ID && !slices.Contains(other.ServiceTypes, serviceRouted) && (other.SegmentID == "") != (sn.SegmentID == "") {
			return false
		}
	}
	return true
}

// routed reports whether subnets of the network are on segments.
func (v *view) routed() bool {
	return slices.ContainsFunc(v.subnets, func(sn *weft.Subnet) bool { return sn.SegmentID != "" })
}

// request is what decides the addresses of a port on the network. Deferred says
// that none can be chosen before the port has a host.
func (s *Service) request(tx *store.Tx, v *view, p *weft.Port, given weft.Given) (rq ipam.Request, deferred bool, err error) {
	rq = ipam.Request{NetworkID: p.NetworkID, Subnets: v.subnets, Owner: p.DeviceOwner, MAC: p.MAC,
		Asked: p.FixedIPs, Given: given["fixed_ips"], Draw: s.cfg.Draw}
	switch {
	case !v.routed():
		return rq, false, nil
	case p.HostID != "":
		rq.Subnets, err = s.reached(tx, v, p.HostID)
		return rq, false, err
	case rq.Given:
		return rq, false, oneSegment(v, p.FixedIPs)
	}
	rq.Subnets = slices.DeleteFunc(slices.Clone(v.subnets), func(sn *weft.Subnet) bool { return sn.SegmentID != "" })
	return rq, len(rq.Subnets) == 0, nil
}

// oneSegment refuses addresses of different segments.
func oneSegment(v *view, ips []weft.FixedIP) error {
	var on []weft.ID
	for _, ip := range ips {
		for _, sn := range v.subnets {
			if sn.ID == ip.SubnetID || ip.SubnetID == "" && sn.CIDR.Contains(ip.IPAddress) {
				on = append(on, sn.SegmentID)
				break
			}
		}
	}
	slices.Sort(on)
	if len(slices.Compact(on)) > 1 {
		return weft.Errorf(weft.BadRequest, "FixedIpsSubnetsNotOnSameSegment", "Cannot allocate addresses from different segments.")
	}
	return nil
}

// reached is the subnets of a routed network that a host is connected to. Errors:
// HostNotConnectedToAnySegment, HostConnectedToMultipleSegments.
func (s *Service) reached(tx *store.Tx, v *view, host string) ([]*weft.Subnet, error) {
	on, err := s.segmentsOf(tx, v, host)
	if err != nil {
		return nil, err
	}
	used := map[weft.ID]bool{}
	subnets := slices.DeleteFunc(slices.Clone(v.subnets), func(sn *weft.Subnet) bool {
		if sn.SegmentID != "" && on[sn.SegmentID] {
			used[sn.SegmentID] = true
		}
		return sn.SegmentID != "" && !on[sn.SegmentID]
	})
	switch {
	case len(used) > 1:
		return nil, weft.Errorf(weft.Conflict, "HostConnectedToMultipleSegments",
			"Host %s is connected to multiple segments on routed provider network '%s'.  It should be connected to one.", host, v.network.ID)
	case len(subnets) == 0:
		return nil, weft.Errorf(weft.Conflict, "HostNotConnectedToAnySegment",
			"Host %s is not connected to any segments on routed provider network '%s'.  It should be connected to one.", host, v.network.ID)
	}
	return subnets, nil
}

// segmentsOf is the ids of the network's segments that a host carries.
func (s *Service) segmentsOf(tx *store.Tx, v *view, host string) (map[weft.ID]bool, error) {
	segments, err := store.Segments.Find(tx, store.Eq("network_id", v.network.ID))
	if err != nil {
		return nil, err
	}
	carried, err := s.ml2.Reached(tx, host, v.network.AllSegments())
	if err != nil {
		return nil, err
	}
	on := map[weft.ID]bool{}
	for _, seg := range segments {
		if slices.ContainsFunc(carried, seg.Provider().Same) {
			on[weft.ID(seg.ID)] = true
		}
	}
	return on, nil
}

// rehost settles the addresses of a port of a routed network whose host changes: one
// that has waited for its host gets addresses, one that has some keeps them if they
// work there, else HostNotCompatibleWithFixedIps.
func (s *Service) rehost(tx *store.Tx, v *view, old, p *weft.Port) error {
	if p.HostID == "" || p.HostID == old.HostID || !v.routed() {
		return nil
	}
	if len(old.FixedIPs) == 0 && old.IPAllocation == allocationDeferred {
		rq, _, err := s.request(tx, v, p, weft.Given{})
		if err != nil {
			return err
		}
		rq.Asked = nil
		p.FixedIPs, err = ipam.Assign(tx, rq)
		p.IPAllocation = allocationImmediate
		return err
	}
	on, err := s.segmentsOf(tx, v, p.HostID)
	if err != nil {
		return err
	}
	for _, ip := range p.FixedIPs {
		for _, sn := range v.subnets {
			if sn.ID == ip.SubnetID && sn.SegmentID != "" && !on[sn.SegmentID] {
				return weft.Errorf(weft.Conflict, "HostNotCompatibleWithFixedIps",
					"Host %s is not connected to a segment where the existing fixed_ips on port %s will function given the routed network topology.", p.HostID, p.ID)
			}
		}
	}
	return nil
}

// peerRoutes gives a subnet of a routed network host routes, by its own gateway, to
// the subnets on other segments, as far as it has no route there already. Routes to
// gone, and those by the gateway it had before, go.
func peerRoutes(v *view, sn *weft.Subnet, gone netip.Prefix, before netip.Addr) {
	if sn.SegmentID == "" {
		return
	}
	gw := sn.GatewayIP.Addr
	sn.HostRoutes = slices.DeleteFunc(slices.Clone(sn.HostRoutes), func(r weft.Route) bool { return r.Destination == gone && r.NextHop == gw })
	for _, other := range v.subnets {
		if other.ID == sn.ID || other.SegmentID == sn.SegmentID || other.IPVersion != sn.IPVersion {
			continue
		}
		if before.IsValid() && before != gw {
			sn.HostRoutes = slices.DeleteFunc(sn.HostRoutes, func(r weft.Route) bool { return r.Destination == other.CIDR && r.NextHop == before })
		}
		if gw.IsValid() && !slices.ContainsFunc(sn.HostRoutes, func(r weft.Route) bool { return covers(r.Destination, other.CIDR) }) {
			sn.HostRoutes = append(sn.HostRoutes, weft.Route{Destination: other.CIDR, NextHop: gw})
		}
	}
}

// routePeers brings the host routes of the other subnets up to date after one has
// come or gone.
func routePeers(tx *store.Tx, v *view, but string, gone netip.Prefix) error {
	if !v.routed() {
		return nil
	}
	for _, sn := range v.subnets {
		if sn.ID == but || sn.SegmentID == "" {
			continue
		}
		fresh, err := store.Subnets.Get(tx, sn.ID)
		if err != nil {
			return err
		}
		peerRoutes(v, fresh, gone, netip.Addr{})
		if err := store.Subnets.Update(tx, fresh); err != nil {
			return err
		}
	}
	return nil
}
