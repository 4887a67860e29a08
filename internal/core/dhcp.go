package core

import (
	"slices"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ipam"
	"github.com/weftnet/weft/internal/store"
)

// schedule puts the DHCP service of a network on the host where its first port is
// bound. Neutron schedules at the first subnet instead; here a network that no
// host uses costs the hosts nothing.
func (s *Service) schedule(tx *store.Tx, v *view, p *weft.Port) error {
	if v.dhcpPort != "" || !p.Bound() || p.Trusted() || !servesDHCP(v.subnets) {
		return nil
	}
	return s.createDHCPPort(tx, v, p.HostID)
}

func servesDHCP(subnets []*weft.Subnet) bool {
	return slices.ContainsFunc(subnets, func(sn *weft.Subnet) bool { return sn.EnableDHCP && sn.IPVersion == 4 })
}

// DHCPDeviceID is the device id of the DHCP port of a network on a host, as
// Neutron's agents know it.
func DHCPDeviceID(host, networkID string) string {
	return "dhcp" + uuid.NewSHA1(uuid.NameSpaceDNS, []byte(host)).String() + "-" + networkID
}

// createDHCPPort makes the port of a network's DHCP service. Without an address
// left for it there is none: the request that led here is not to blame.
func (s *Service) createDHCPPort(tx *store.Tx, v *view, host string) error {
	p := &weft.Port{
		NetworkID: v.network.ID, AdminStateUp: true, DeviceOwner: weft.OwnerDHCP, HostID: host, VNICType: "normal",
		DeviceID: DHCPDeviceID(host, v.network.ID), Status: weft.StatusDown, IPAllocation: allocationImmediate, PropagateUplink: true,
	}
	p.ProjectID = v.network.ProjectID
	if err := s.chooseMAC(tx, v, p); err != nil {
		return err
	}
	var err error
	if p.FixedIPs, err = s.serverAddresses(tx, v, p); err != nil || len(p.FixedIPs) == 0 {
		return err
	}
	p.DNSAssignment = s.assignNames(p)
	if err := s.bind(tx, v, p, 1); err != nil {
		return err
	}
	v.dhcpPort = "new"
	return store.Ports.Insert(tx, p)
}

// serverAddresses is the addresses of a DHCP server: one of every subnet it
// serves, the one it has if it has one. Subnets without a free address are left
// out, and those on segments that its host is not on.
func (s *Service) serverAddresses(tx *store.Tx, v *view, p *weft.Port) ([]weft.FixedIP, error) {
	var out []weft.FixedIP
	var on map[weft.ID]bool
	if v.routed() {
		var err error
		if on, err = s.segmentsOf(tx, v, p.HostID); err != nil {
			return nil, err
		}
	}
	for _, sn := range v.subnets {
		if !sn.EnableDHCP || sn.SegmentID != "" && !on[sn.SegmentID] {
			continue
		}
		rq := ipam.Request{NetworkID: p.NetworkID, Subnets: []*weft.Subnet{sn}, Owner: p.DeviceOwner, MAC: p.MAC,
			Asked: []weft.FixedIP{{SubnetID: sn.ID}}, Given: true}
		for _, ip := range p.FixedIPs {
			if ip.SubnetID == sn.ID {
				rq.Old = append(rq.Old, ip)
			}
		}
		ips, err := ipam.Reassign(tx, rq)
		if weft.IsType(err, "IpAddressGenerationFailure") {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, ips...)
	}
	return out, nil
}

// syncDHCP makes the DHCP port of a network follow its subnets: it has an address
// on every one with DHCP, is made when the first appears on a network in use, and
// goes with the last.
func (s *Service) syncDHCP(tx *store.Tx, v *view) error {
	if v.dhcpPort == "" {
		host, err := hostInUse(tx, v)
		if err != nil || host == "" {
			return err
		}
		return s.createDHCPPort(tx, v, host)
	}
	p, err := store.Ports.Get(tx, v.dhcpPort)
	if err != nil {
		return err
	}
	if !servesDHCP(v.subnets) {
		return s.DeletePort(tx, p)
	}
	if p.FixedIPs, err = s.serverAddresses(tx, v, p); err != nil {
		return err
	}
	p.DNSAssignment = s.assignNames(p)
	return store.Ports.Update(tx, p)
}

// hostInUse is a host on which the network needs DHCP, if there is any.
func hostInUse(tx *store.Tx, v *view) (string, error) {
	if !servesDHCP(v.subnets) {
		return "", nil
	}
	ports, err := store.Ports.Find(tx, store.Eq("network_id", v.network.ID), store.Where("t.host_id <> '' AND t.device_owner NOT LIKE 'network:%'"))
	if err != nil {
		return "", err
	}
	for _, p := range ports {
		if p.Bound() {
			return p.HostID, nil
		}
	}
	return "", nil
}
