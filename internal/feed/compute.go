package feed

import (
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/store"
)

// computation is one reading of the database for one host.
type computation struct {
	tx     *store.Tx
	cloud  string
	host   string
	domain string
	before memory // of the last computation
	seen   memory // of this one

	out      host.State
	off      map[string]bool // types of agents here that are switched off: what they would do is not done
	bound    []*weft.Port    // every port bound to the host
	arriving map[string]bool // those of them that are bound elsewhere and on their way here
	networks map[string]*weft.Network
	subnets  map[string][]*weft.Subnet // by network
	subnet   map[string]*weft.Subnet
	physnets map[string]bool // the host is on; only known when a network has several segments
}

func (c *computation) state() (*host.State, error) {
	c.out = host.State{Cloud: c.cloud, Host: c.host, Members: map[string][]netip.Prefix{}}
	for _, step := range []func() error{c.head, c.ports, c.subPorts, c.loadNetworks, c.buildNetworks, c.routers, c.groups, c.qos} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return &c.out, nil
}

func (c *computation) head() (err error) {
	if c.out.Revision, err = c.tx.Head(); err != nil {
		return err
	}
	agents, err := store.Agents.Find(c.tx, store.Eq("host", c.host), store.Eq("admin_state_up", 0))
	c.off = map[string]bool{}
	for _, a := range agents {
		c.off[a.AgentType] = true
	}
	return err
}

func (c *computation) ports() (err error) {
	if c.bound, err = c.findPorts(store.Eq("host_id", c.host)); err != nil {
		return err
	}
	if err := c.arrivals(); err != nil {
		return err
	}
	for _, p := range c.bound {
		if !p.Bound() || p.Trusted() {
			continue
		}
		c.out.Ports = append(c.out.Ports, hostPort(p))
	}
	return nil
}

// arrivals adds the ports that the host is prepared for while they are bound to
// another: an instance that moves has a working port when it gets here.
func (c *computation) arrivals() error {
	bindings, err := store.PortBindings.Find(c.tx, store.Eq("host", c.host))
	if err != nil || len(bindings) == 0 {
		return err
	}
	c.arriving = map[string]bool{}
	by := map[string]*weft.PortBinding{}
	for _, b := range bindings {
		by[b.PortID] = b
	}
	ports, err := c.findPorts(store.In("id", keysOf(by)...))
	for _, p := range ports {
		if there := by[p.ID].At(p); there.Bound() {
			c.bound = append(c.bound, there)
			c.arriving[p.ID] = true
		}
	}
	slices.SortFunc(c.bound, func(a, b *weft.Port) int { return strings.Compare(a.ID, b.ID) })
	return err
}

// subPorts says through which port, and under which tag, the subports of trunks
// travel.
func (c *computation) subPorts() error {
	subs := map[string]*host.Port{}
	for i := range c.out.Ports {
		if p := &c.out.Ports[i]; p.DeviceOwner == weft.OwnerSubPort {
			subs[p.ID] = p
		}
	}
	if len(subs) == 0 {
		return nil
	}
	trunks, err := store.TrunksWith(c.tx, keysOf(subs)...)
	for _, t := range trunks {
		for _, s := range t.SubPorts {
			if p := subs[s.PortID]; p != nil {
				p.Parent, p.Tag = t.PortID, uint16(s.SegmentationID)
			}
		}
	}
	return err
}

func hostPort(p *weft.Port) host.Port {
	out := host.Port{ID: p.ID, NetworkID: p.NetworkID, ProjectID: p.ProjectID, DeviceID: p.DeviceID, DeviceOwner: p.DeviceOwner,
		MAC: p.MAC, AdminUp: p.AdminStateUp, PortSecurity: p.PortSecurity, Trusted: p.Trusted(), Revision: p.Revision,
		Groups: slices.Sorted(slices.Values(p.SecurityGroups))}
	for _, ip := range p.FixedIPs {
		out.Addresses = append(out.Addresses, ip.IPAddress)
	}
	for _, pair := range p.AllowedPairs {
		mac := pair.MAC
		if mac.IsZero() {
			mac = p.MAC
		}
		out.Pairs = append(out.Pairs, host.AllowedPair{MAC: mac, Prefix: pair.Prefix()})
	}
	return out
}

// loadNetworks reads the networks that have a port here, and their subnets.
func (c *computation) loadNetworks() error {
	ids := map[string]bool{}
	for _, p := range c.bound {
		ids[p.NetworkID] = true
	}
	list := keysOf(ids)
	nets, err := store.Networks.Find(c.tx, store.In("id", list...))
	if err != nil {
		return err
	}
	subs, err := store.Subnets.Find(c.tx, store.In("network_id", list...))
	if err != nil {
		return err
	}
	c.networks, c.subnets, c.subnet = map[string]*weft.Network{}, map[string][]*weft.Subnet{}, map[string]*weft.Subnet{}
	for _, n := range nets {
		c.networks[n.ID] = n
	}
	for _, s := range subs {
		c.subnets[s.NetworkID] = append(c.subnets[s.NetworkID], s)
		c.subnet[s.ID] = s
	}
	return nil
}

func keysOf[V any](set map[string]V) []any {
	out := make([]any, 0, len(set))
	for id := range set {
		out = append(out, id)
	}
	return out
}

func (c *computation) buildNetworks() error {
	served := map[string]bool{} // networks with DHCP or a router here
	for _, p := range c.bound {
		if p.DeviceOwner == weft.OwnerDHCP || p.RouterInterface() {
			served[p.NetworkID] = true
		}
	}
	neighbours, err := c.neighbours(served)
	if err != nil {
		return err
	}
	peers, err := c.peers()
	if err != nil {
		return err
	}
	if err := c.findPhysnets(); err != nil {
		return err
	}
	for id, n := range c.networks {
		out := host.Network{ID: id, ProjectID: n.ProjectID, MTU: n.MTU, Segment: segment(n, c.physnets), Peers: peers[id]}
		for _, s := range c.subnets[id] {
			out.Subnets = append(out.Subnets, hostSubnet(s))
			out.Subnets[len(out.Subnets)-1].Routed = routed(s, neighbours[id])
		}
		if served[id] {
			out.Leases = c.leases(neighbours[id])
			out.DHCP = c.dhcp(id, neighbours[id])
		}
		c.out.Networks = append(c.out.Networks, out)
	}
	sort.Slice(c.out.Networks, func(i, j int) bool { return c.out.Networks[i].ID < c.out.Networks[j].ID })
	return nil
}

// findPhysnets reads which physical networks the host is on, if one of its networks
// has several segments.
func (c *computation) findPhysnets() error {
	several := false
	for _, n := range c.networks {
		several = several || len(n.Segments) > 1
	}
	if !several {
		return nil
	}
	agent, err := store.Agents.First(c.tx, store.Eq("host", c.host), store.Eq("agent_type", weft.AgentLinuxBridge))
	if err != nil || agent == nil {
		return err
	}
	c.physnets = map[string]bool{}
	mappings, _ := agent.Configurations["interface_mappings"].(map[string]any)
	for name := range mappings {
		c.physnets[name] = true
	}
	return nil
}

// segment is the segment by which the network reaches a host on these physical
// networks: its only one, or the first that the host is on.
func segment(n *weft.Network, physnets map[string]bool) host.Segment {
	all := n.AllSegments()
	if len(all) == 0 {
		return host.Segment{Type: weft.TypeLocal}
	}
	best := all[0]
	for _, s := range all {
		if s.PhysicalNetwork == "" || physnets[string(s.PhysicalNetwork)] {
			best = s
			break
		}
	}
	out := host.Segment{Type: best.NetworkType, PhysicalNetwork: string(best.PhysicalNetwork)}
	if id := best.SegmentationID; id != nil {
		out.ID = uint32(*id)
	}
	return out
}

func hostSubnet(s *weft.Subnet) host.Subnet {
	return host.Subnet{ID: s.ID, CIDR: s.CIDR, Gateway: s.GatewayIP.Addr, EnableDHCP: s.EnableDHCP, DNS: s.DNSNameservers,
		Routes: s.HostRoutes, RAMode: string(s.IPv6RAMode), AddrMode: string(s.IPv6AddressMode)}
}

// routed reports whether a router has the gateway's address of a subnet: one that is
// attached elsewhere in it is nobody's way out.
func routed(s *weft.Subnet, ports []*weft.Port) bool {
	gateway := s.GatewayIP.Addr
	return gateway.IsValid() && slices.ContainsFunc(ports, func(p *weft.Port) bool {
		return p.RouterInterface() && slices.ContainsFunc(p.FixedIPs,
			func(ip weft.FixedIP) bool { return ip.SubnetID == s.ID && ip.IPAddress == gateway })
	})
}

// neighbours are all ports of the given networks, wherever they are.
func (c *computation) neighbours(networks map[string]bool) (map[string][]*weft.Port, error) {
	elsewhere, err := c.findPorts(store.In("network_id", keysOf(networks)...), store.Where("t.host_id <> ?", c.host))
	out := map[string][]*weft.Port{}
	for _, p := range c.bound {
		if networks[p.NetworkID] {
			out[p.NetworkID] = append(out[p.NetworkID], p)
		}
	}
	for _, p := range elsewhere {
		if !c.arriving[p.ID] {
			out[p.NetworkID] = append(out[p.NetworkID], p)
		}
	}
	return out, err
}

func (c *computation) leases(ports []*weft.Port) []host.Lease {
	var out []host.Lease
	for _, p := range ports {
		if len(p.FixedIPs) == 0 || p.DeviceOwner == weft.OwnerDHCP || p.DeviceOwner == weft.OwnerFloatingIP {
			continue
		}
		out = append(out, host.Lease{PortID: p.ID, DeviceID: p.DeviceID, ProjectID: p.ProjectID, Owner: p.DeviceOwner, MAC: p.MAC,
			Addresses: c.addresses(p), Hostname: hostname(p), Options: p.ExtraDHCPOpts})
	}
	sort.Slice(out, func(i, j int) bool { return slices.Compare(out[i].MAC[:], out[j].MAC[:]) < 0 })
	return out
}

func hostname(p *weft.Port) string {
	if p.DNSName != "" {
		return p.DNSName
	}
	return "host-" + strings.NewReplacer(".", "-", ":", "-").Replace(p.FixedIPs[0].IPAddress.String())
}

func (c *computation) addresses(p *weft.Port) []host.Address {
	var out []host.Address
	for _, ip := range p.FixedIPs {
		if s := c.subnet[ip.SubnetID]; s != nil {
			out = append(out, host.Address{SubnetID: s.ID, Prefix: netip.PrefixFrom(ip.IPAddress, s.CIDR.Bits())})
		}
	}
	return out
}

// dhcp is the DHCP service of a network, if its DHCP port is here.
func (c *computation) dhcp(network string, ports []*weft.Port) *host.DHCP {
	var own *weft.Port
	for _, p := range ports {
		if p.DeviceOwner == weft.OwnerDHCP && p.HostID == c.host {
			own = p
		}
	}
	if own == nil || c.off[weft.AgentDHCP] || !c.networks[network].AdminStateUp {
		return nil
	}
	return &host.DHCP{PortID: own.ID, MAC: own.MAC, Addresses: c.addresses(own), Domain: c.domain, Revision: own.Revision}
}

// peers are the tunnel ends of other hosts behind which ports of this host's
// networks are.
func (c *computation) peers() (map[string][]host.Peer, error) {
	ends, err := c.tunnelEnds()
	if err != nil || len(ends) == 0 {
		return nil, err
	}
	tunnelled := map[string]bool{}
	for id, n := range c.networks {
		switch segment(n, c.physnets).Type {
		case weft.TypeVXLAN, weft.TypeGRE, weft.TypeGeneve:
			tunnelled[id] = true
		}
	}
	remote, err := c.findPorts(store.In("network_id", keysOf(tunnelled)...), store.Where("t.host_id NOT IN ('', ?)", c.host))
	if err != nil {
		return nil, err
	}
	byEnd := map[string]map[netip.Addr][]host.PeerEntry{}
	for _, p := range remote {
		end, ok := ends[p.HostID]
		if !ok || !p.Bound() {
			continue
		}
		if byEnd[p.NetworkID] == nil {
			byEnd[p.NetworkID] = map[netip.Addr][]host.PeerEntry{}
		}
		byEnd[p.NetworkID][end] = append(byEnd[p.NetworkID][end], host.PeerEntry{MAC: p.MAC, Addresses: hostPort(p).Addresses})
	}
	out := map[string][]host.Peer{}
	for id, entries := range byEnd {
		for end, list := range entries {
			out[id] = append(out[id], host.Peer{VTEP: end, Entries: list})
		}
		sort.Slice(out[id], func(i, j int) bool { return out[id][i].VTEP.Less(out[id][j].VTEP) })
	}
	return out, nil
}

// tunnelEnds are the tunnel addresses of the other hosts, by host.
func (c *computation) tunnelEnds() (map[string]netip.Addr, error) {
	agents, err := store.Agents.Find(c.tx, store.Eq("agent_type", weft.AgentLinuxBridge))
	out := map[string]netip.Addr{}
	for _, a := range agents {
		if end := tunnelEnd(a); end.IsValid() && a.Host != c.host {
			out[a.Host] = end
		}
	}
	return out, err
}

// tunnelEnd is the tunnel address of an agent's host; invalid: it has none.
func tunnelEnd(a *weft.Agent) netip.Addr {
	text, _ := a.Configurations["tunneling_ip"].(string)
	end, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return end
}

func (c *computation) routers() error {
	routers, err := store.Routers.Find(c.tx, store.Eq("host_id", c.host))
	if err != nil || len(routers) == 0 || c.off[weft.AgentL3] {
		return err
	}
	ids := map[string]bool{}
	for _, r := range routers {
		ids[r.ID] = true
	}
	fips, err := store.FloatingIPs.Find(c.tx, store.In("router_id", keysOf(ids)...))
	if err != nil {
		return err
	}
	for _, r := range routers {
		out := host.Router{ID: r.ID, ProjectID: r.ProjectID, AdminUp: r.AdminStateUp, Routes: r.Routes, ECMP: r.EnableDefaultRouteECMP}
		for _, p := range c.bound {
			switch {
			case p.DeviceID != r.ID:
			case p.RouterInterface():
				out.Interfaces = append(out.Interfaces, c.routerPort(p, false))
			case slices.Contains(r.FurtherGatewayPorts, p.ID):
				out.Further = append(out.Further, c.routerPort(p, true))
			case p.ID == string(r.GatewayPortID):
				gw := c.routerPort(p, true)
				out.Gateway, out.SNAT = &gw, r.Gateway != nil && r.Gateway.EnableSNAT
				if r.Gateway != nil {
					out.GatewayQoS.PolicyID = string(r.Gateway.QoSPolicyID)
				}
			}
		}
		for _, f := range fips {
			if string(f.RouterID) == r.ID && f.FixedIPAddress.IsValid() {
				out.FloatingIPs = append(out.FloatingIPs, floatingIP(f))
			}
		}
		out.NDPProxy = r.EnableNDPProxy && out.Gateway != nil
		c.out.Routers = append(c.out.Routers, out)
	}
	return c.translations(fips)
}

func floatingIP(f *weft.FloatingIP) host.FloatingIP {
	return host.FloatingIP{ID: f.ID, NetworkID: f.FloatingNetworkID, Floating: f.FloatingIPAddress.Addr, Fixed: f.FixedIPAddress.Addr, PortID: string(f.PortID),
		QoS: host.QoS{PolicyID: string(f.QoSPolicyID)}}
}

func (c *computation) routerPort(p *weft.Port, gateway bool) host.RouterPort {
	out := host.RouterPort{PortID: p.ID, NetworkID: p.NetworkID, MAC: p.MAC, Addresses: c.addresses(p), Revision: p.Revision}
	if n := c.networks[p.NetworkID]; n != nil {
		out.MTU = n.MTU
	}
	out.QoS.PolicyID = string(p.QoSPolicyID)
	if gateway {
		out.QoS = c.policyOf(p)
		for _, s := range c.subnets[p.NetworkID] {
			out.Subnets = append(out.Subnets, hostSubnet(s))
		}
		return out
	}
	for _, a := range out.Addresses {
		out.Subnets = append(out.Subnets, hostSubnet(c.subnet[a.SubnetID]))
	}
	return out
}

// groups reads the security groups of the host's ports, their rules, and the
// members of the groups that rules refer to.
func (c *computation) groups() error {
	ids := map[string]bool{}
	for _, p := range c.out.Ports {
		for _, g := range p.Groups {
			ids[g] = true
		}
	}
	groups, err := store.SecurityGroups.Find(c.tx, store.In("id", keysOf(ids)...))
	if err != nil {
		return err
	}
	rules, err := store.SecurityGroupRules.Find(c.tx, store.In("security_group_id", keysOf(ids)...))
	if err != nil {
		return err
	}
	remote, addresses := map[string]bool{}, map[string]bool{}
	byGroup := map[string][]host.Rule{}
	for _, r := range rules {
		out := hostRule(r)
		switch {
		case r.RemoteGroupID != "":
			remote[out.RemoteGroup] = true
		case r.RemoteAddressGroupID != "":
			addresses[out.RemoteGroup] = true
		}
		byGroup[r.SecurityGroupID] = append(byGroup[r.SecurityGroupID], out)
	}
	for _, g := range groups {
		c.out.Groups = append(c.out.Groups, host.Group{ID: g.ID, Stateful: g.Stateful, Rules: byGroup[g.ID]})
	}
	members, err := store.GroupMembers(c.tx, keysOf(remote))
	if err != nil {
		return err
	}
	for id := range remote {
		c.out.Members[id] = members[id]
	}
	return c.addressGroups(addresses)
}

// addressGroups are the prefixes of the address groups that rules refer to.
func (c *computation) addressGroups(ids map[string]bool) error {
	groups, err := store.AddressGroups.Find(c.tx, store.In("id", keysOf(ids)...))
	for _, g := range groups {
		c.out.Members[g.ID] = slices.SortedFunc(slices.Values(g.Addresses), netip.Prefix.Compare)
	}
	return err
}

func hostRule(r *weft.SecurityGroupRule) host.Rule {
	out := host.Rule{ID: r.ID, Ingress: r.Direction == weft.Ingress, IPv6: r.EtherType == weft.IPv6, Protocol: protocol(string(r.Protocol)),
		Min: -1, Max: -1, RemoteGroup: string(r.RemoteGroupID + r.RemoteAddressGroupID)} // one of them at most
	if r.PortRangeMin != nil {
		out.Min = *r.PortRangeMin
	}
	if r.PortRangeMax != nil {
		out.Max = *r.PortRangeMax
	}
	if p, err := netip.ParsePrefix(string(r.NormalizedCIDR)); err == nil {
		out.Remote = p
	}
	return out
}

// protocols are the IANA numbers of the names that rules may use.
var protocols = map[string]int{"ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "igmp": 2, "ipip": 4,
	"ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89,
	"pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112}

// protocol is the number of a protocol, or -1 for any. Of the names of number 0 only
// "hopopt" means that header; for a rule the number is any protocol, as for iptables.
func protocol(name string) int {
	switch name {
	case "", "ip", "0":
		return -1
	}
	if n, ok := protocols[name]; ok {
		return n
	}
	n, err := strconv.Atoi(name)
	if err != nil {
		return -1
	}
	return n
}
