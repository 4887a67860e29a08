package core

import (
	"slices"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ipam"
	"github.com/weftnet/weft/internal/store"
)

// reservedDHCP is the device id of a DHCP port that no service uses now.
const reservedDHCP = "reserved_dhcp_port"

func servesDHCP(subnets []*weft.Subnet) bool {
	return slices.ContainsFunc(subnets, func(sn *weft.Subnet) bool { return sn.EnableDHCP && sn.IPVersion == 4 })
}

// DHCPDeviceID is the device id of the DHCP port of a network on a host, as
// Neutron's agents know it.
func DHCPDeviceID(host, networkID string) string {
	return "dhcp" + uuid.NewSHA1(uuid.NameSpaceDNS, []byte(host)).String() + "-" + networkID
}

// createDHCPPort makes the port of a network's DHCP service on a host, or takes the
// one that a former service has left. Without an address left for it there is none:
// the request that led here is not to blame.
func (s *Service) createDHCPPort(tx *store.Tx, v *view, host string) error {
	left, err := store.Ports.First(tx, store.Eq("network_id", v.network.ID), store.Eq("device_owner", weft.OwnerDHCP), store.Eq("device_id", reservedDHCP))
	if err != nil {
		return err
	}
	if left != nil {
		return s.moveDHCPPort(tx, v, left, host)
	}
	return s.newDHCPPort(tx, v, host, nil)
}

// newDHCPPort makes the port of a network's DHCP service on a host, with addresses of
// these where it can.
func (s *Service) newDHCPPort(tx *store.Tx, v *view, host string, ips []weft.FixedIP) (err error) {
	p := &weft.Port{
		FixedIPs:  ips,
		NetworkID: v.network.ID, AdminStateUp: true, DeviceOwner: weft.OwnerDHCP, HostID: host, VNICType: "normal",
		DeviceID: DHCPDeviceID(host, v.network.ID), Status: weft.StatusDown, IPAllocation: allocationImmediate, PropagateUplink: true,
	}
	p.ProjectID = v.network.ProjectID
	if err := s.chooseMAC(tx, v, p); err != nil {
		return err
	}
	if p.FixedIPs, err = s.serverAddresses(tx, v, p); err != nil || len(p.FixedIPs) == 0 {
		return err
	}
	p.DNSAssignment = s.assignNames(p)
	if err := s.bind(tx, v, p, 1); err != nil {
		return err
	}
	return store.Ports.Insert(tx, p)
}

// replaceDHCPPort makes the port of a DHCP service anew that somebody has deleted. Its
// addresses stay: guests know them.
func (s *Service) replaceDHCPPort(tx *store.Tx, gone *weft.Port) error {
	v, err := look(tx, gone.NetworkID, weft.MAC{})
	if err != nil {
		return err
	}
	if v.tentative || !slices.Contains(v.dhcpHosts, gone.HostID) || !servesDHCP(v.subnets) ||
		gone.DeviceID != DHCPDeviceID(gone.HostID, gone.NetworkID) {
		return nil
	}
	return s.newDHCPPort(tx, v, gone.HostID, gone.FixedIPs)
}

// moveDHCPPort gives a DHCP port, with its addresses, to another host; to "" is to
// keep it for a service to come.
func (s *Service) moveDHCPPort(tx *store.Tx, v *view, p *weft.Port, host string) (err error) {
	p.HostID, p.DeviceID, p.Status = host, reservedDHCP, weft.StatusDown
	if host != "" {
		p.DeviceID = DHCPDeviceID(host, v.network.ID)
		if p.FixedIPs, err = s.serverAddresses(tx, v, p); err != nil {
			return err
		}
		p.DNSAssignment = s.assignNames(p)
	}
	if err := s.bind(tx, v, p, p.Revision+1); err != nil {
		return err
	}
	return store.Ports.Update(tx, p)
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
			Asked: []weft.FixedIP{{SubnetID: sn.ID}}, Given: true, Draw: s.cfg.Draw}
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
	return ipam.Ordered(out), nil
}

// syncDHCP makes the DHCP ports of a network follow its subnets: each has an address
// on every one with DHCP, they are made when the first appears on a network that a
// host uses, and go with the last.
func (s *Service) syncDHCP(tx *store.Tx, v *view) error {
	ports, err := store.Ports.Find(tx, store.Eq("network_id", v.network.ID), store.Eq("device_owner", weft.OwnerDHCP))
	if err != nil {
		return err
	}
	if !servesDHCP(v.subnets) {
		return each(ports, nil, func(p *weft.Port) error { return s.DeletePort(tx, p) })
	}
	if len(v.dhcpHosts) == 0 || v.tentative {
		host, used, err := users(tx, v)
		if err != nil || !used || v.tentative && host == "" {
			return err
		}
		return s.scheduleDHCP(tx, v, host)
	}
	err = each(ports, nil, func(p *weft.Port) (err error) {
		if p.FixedIPs, err = s.serverAddresses(tx, v, p); err != nil {
			return err
		}
		p.DNSAssignment = s.assignNames(p)
		return store.Ports.Update(tx, p)
	})
	return each(v.dhcpHosts, err, func(host string) error {
		if slices.ContainsFunc(ports, func(p *weft.Port) bool { return p.HostID == host }) {
			return nil
		}
		return s.createDHCPPort(tx, v, host)
	})
}

// users finds out whether the network has ports that DHCP is for, and a host that
// one of them is bound to, if any.
func users(tx *store.Tx, v *view) (host string, any bool, err error) {
	any, err = tx.Exists("SELECT 1 FROM ports WHERE network_id = ? AND device_owner NOT LIKE 'network:%'", v.network.ID)
	if err != nil || !any {
		return "", false, err
	}
	ports, err := store.Ports.Find(tx, store.Eq("network_id", v.network.ID), store.Where("t.host_id <> '' AND t.device_owner NOT LIKE 'network:%'"))
	if i := slices.IndexFunc(ports, (*weft.Port).Bound); err == nil && i >= 0 {
		host = ports[i].HostID
	}
	return host, true, err
}
