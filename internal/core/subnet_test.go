package core

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func TestCreateSubnetRefusals(t *testing.T) {
	b := newBench(t)
	n := b.network()
	b.subnet(n, "10.0.0.0/24")
	eight := 8
	invalid := func(s string) string { return "Invalid input for operation: " + s + "." }
	for _, tc := range []struct {
		name         string
		sn           weft.Subnet
		in           SubnetRequest
		given        []string
		typ, message string
	}{
		{"overlap", weft.Subnet{CIDR: prefix("10.0.0.128/25")}, SubnetRequest{}, nil, "InvalidInput",
			invalid("Requested subnet with cidr: 10.0.0.128/25 for network: " + n.ID + " overlaps with another subnet")},
		{"prefix length 0", weft.Subnet{CIDR: prefix("0.0.0.0/0")}, SubnetRequest{}, nil, "InvalidInput", invalid("0 is not allowed as CIDR prefix length")},
		{"version", weft.Subnet{CIDR: prefix("10.1.0.0/24"), IPVersion: 6}, SubnetRequest{}, nil, "InvalidInput",
			invalid("cidr '10.1.0.0/24' does not match the ip_version '6'")},
		{"small with DHCP", weft.Subnet{CIDR: prefix("10.1.0.0/31"), EnableDHCP: true}, SubnetRequest{}, nil, "InvalidInput",
			invalid("Subnet has a prefix length that is incompatible with DHCP service enabled")},
		{"multicast", weft.Subnet{CIDR: prefix("224.0.0.0/24"), EnableDHCP: true}, SubnetRequest{}, nil, "InvalidInput",
			invalid("Multicast IP subnet is not supported if enable_dhcp is True")},
		{"loopback", weft.Subnet{CIDR: prefix("127.0.0.0/24"), EnableDHCP: true}, SubnetRequest{}, nil, "InvalidInput",
			invalid("Loopback IP subnet is not supported if enable_dhcp is True")},
		{"network 0", weft.Subnet{CIDR: prefix("0.0.0.0/8"), EnableDHCP: true}, SubnetRequest{}, nil, "InvalidInput", ""},
		{"gateway is broadcast", weft.Subnet{CIDR: prefix("10.1.0.0/24"), GatewayIP: weft.AddrOf(addr("10.1.0.255"))}, SubnetRequest{}, []string{"gateway_ip"}, "InvalidInput",
			invalid("Gateway is not valid on subnet")},
		{"gateway version", weft.Subnet{CIDR: prefix("10.1.0.0/24"), GatewayIP: weft.AddrOf(addr("fe80::1"))}, SubnetRequest{}, []string{"gateway_ip"}, "InvalidInput",
			invalid("gateway_ip 'fe80::1' does not match the ip_version '4'")},
		{"gateway in pool", weft.Subnet{CIDR: prefix("10.1.0.0/24"), AllocationPools: pools("10.1.0.1", "10.1.0.9")}, SubnetRequest{}, []string{"allocation_pools"},
			"GatewayConflictWithAllocationPools", "Gateway ip 10.1.0.1 conflicts with allocation pool 10.1.0.1-10.1.0.9."},
		{"pool outside", weft.Subnet{CIDR: prefix("10.1.0.0/24"), AllocationPools: pools("10.1.0.2", "10.1.1.9")}, SubnetRequest{}, []string{"allocation_pools"},
			"OutOfBoundsAllocationPool", "The allocation pool 10.1.0.2-10.1.1.9 spans beyond the subnet cidr 10.1.0.0/24."},
		{"pool backwards", weft.Subnet{CIDR: prefix("10.1.0.0/24"), AllocationPools: pools("10.1.0.9", "10.1.0.2")}, SubnetRequest{}, []string{"allocation_pools"},
			"InvalidAllocationPool", "The allocation pool {'start': '10.1.0.9', 'end': '10.1.0.2'} is not valid."},
		{"pools overlap", weft.Subnet{CIDR: prefix("10.1.0.0/24"), AllocationPools: pools("10.1.0.9", "10.1.0.20", "10.1.0.2", "10.1.0.9")}, SubnetRequest{}, []string{"allocation_pools"},
			"OverlappingAllocationPools", "Found overlapping allocation pools: 10.1.0.2-10.1.0.9 10.1.0.9-10.1.0.20 for subnet 10.1.0.0/24."},
		{"many name servers", weft.Subnet{CIDR: prefix("10.1.0.0/24"), DNSNameservers: slices.Repeat([]netip.Addr{addr("1.1.1.1")}, 6)}, SubnetRequest{}, nil,
			"DNSNameServersExhausted", "Unable to complete operation for new subnet. The number of DNS nameservers exceeds the limit 5."},
		{"many routes", weft.Subnet{CIDR: prefix("10.1.0.0/24"), HostRoutes: slices.Repeat([]weft.Route{{Destination: prefix("1.0.0.0/8"), NextHop: addr("10.1.0.3")}}, 21)}, SubnetRequest{}, nil,
			"HostRoutesExhausted", "Unable to complete operation for new subnet. The number of host routes exceeds the limit 20."},
		{"route version", weft.Subnet{CIDR: prefix("10.1.0.0/24"), HostRoutes: []weft.Route{{Destination: prefix("1.0.0.0/8"), NextHop: addr("fe80::1")}}}, SubnetRequest{}, nil,
			"InvalidInput", invalid("nexthop 'fe80::1' does not match the ip_version '4'")},
		{"modes on IPv4", weft.Subnet{CIDR: prefix("10.1.0.0/24"), IPv6RAMode: weft.SLAAC}, SubnetRequest{}, nil, "InvalidInput", invalid("ipv6_ra_mode is not valid when ip_version is 4")},
		{"modes differ", weft.Subnet{CIDR: prefix("2001:db8::/64"), EnableDHCP: true, IPv6RAMode: weft.SLAAC, IPv6AddressMode: weft.DHCPv6Stateful}, SubnetRequest{}, nil, "InvalidInput", ""},
		{"modes without DHCP", weft.Subnet{CIDR: prefix("2001:db8::/64"), IPv6RAMode: weft.SLAAC}, SubnetRequest{}, []string{"enable_dhcp"}, "InvalidInput",
			invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")},
		{"SLAAC /80", weft.Subnet{CIDR: prefix("2001:db8::/80"), EnableDHCP: true, IPv6AddressMode: weft.SLAAC}, SubnetRequest{}, nil, "InvalidInput", ""},
		{"no cidr", weft.Subnet{}, SubnetRequest{}, nil, "BadRequest", "Bad subnets request: a subnetpool must be specified in the absence of a cidr."},
		{"cidr and prefixlen", weft.Subnet{CIDR: prefix("10.1.0.0/24")}, SubnetRequest{Prefixlen: &eight}, nil, "BadRequest",
			"Bad subnets request: cidr and prefixlen must not be supplied together."},
		{"no default pool", weft.Subnet{}, SubnetRequest{UseDefaultPool: true}, nil, "BadRequest", "Bad subnets request: No default subnetpool found for IPv4."},
		{"no such pool", weft.Subnet{SubnetPoolID: "x"}, SubnetRequest{}, nil, "SubnetPoolNotFound", "Subnet pool x could not be found."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := b.count("changes")
			tc.sn.NetworkID = n.ID
			wantRefusal(t, b.createSubnet(&tc.sn, tc.in, tc.given...), tc.typ, tc.message)
			if after := b.count("changes"); after != before {
				t.Error("a refused request changed something")
			}
		})
	}
	wantRefusal(t, b.createSubnet(&weft.Subnet{NetworkID: "x", CIDR: prefix("10.1.0.0/24")}, SubnetRequest{}), "NetworkNotFound", "")
	wantRefusal(t, b.createSubnet(&weft.Subnet{NetworkID: b.network().ID, CIDR: prefix("10.0.0.0/24")}, SubnetRequest{}), "", "")
}

func TestSubnetTouchesNetwork(t *testing.T) {
	b := newBench(t)
	n := b.network()
	sn := b.subnet(n, "10.0.0.5/24")
	if sn.CIDR.String() != "10.0.0.0/24" || sn.GatewayIP.String() != "10.0.0.1" {
		t.Errorf("%+v", sn)
	}
	got, err := b.updateSubnet(sn.ID, func(sn *weft.Subnet) { sn.Name = "x" }, "name")
	if err != nil || got.Revision != 1 {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := b.updateSubnet(sn.ID, func(sn *weft.Subnet) {}, "name"); err != nil {
		t.Error(err)
	}
	net, err := store.Networks.Get(b.db.Read(t.Context(), b.caller), n.ID)
	if err != nil || net.Revision != 3 {
		t.Errorf("network revision %d, want 3; %v", net.Revision, err)
	}
}

func (b *bench) updateSubnet(id string, change func(*weft.Subnet), given ...string) (*weft.Subnet, error) {
	var sn *weft.Subnet
	err := b.do(func(tx *store.Tx) error {
		old, err := store.Subnets.Get(tx, id)
		if err != nil {
			return err
		}
		sn = weft.Clone(old)
		change(sn)
		return b.s.UpdateSubnet(tx, old, sn, givenOf(given))
	})
	return sn, err
}

func (b *bench) deleteSubnet(id string) error {
	return b.do(func(tx *store.Tx) error {
		sn, err := store.Subnets.Get(tx, id)
		if err != nil {
			return err
		}
		return b.s.DeleteSubnet(tx, sn)
	})
}

func TestUpdateSubnetRefusals(t *testing.T) {
	b := newBench(t)
	n := b.network()
	sn, auto := b.subnet(n, "10.0.0.0/24"), b.slaac(n, "2001:db8::/64")
	router := b.port(&weft.Port{NetworkID: n.ID, DeviceOwner: weft.OwnerRouterInterface, FixedIPs: []weft.FixedIP{{IPAddress: addr("10.0.0.1")}}}, "fixed_ips")
	_, err := b.updateSubnet(sn.ID, func(sn *weft.Subnet) { sn.GatewayIP = weft.AddrOf(addr("10.0.0.2")) }, "gateway_ip")
	wantRefusal(t, err, "GatewayIpInUse", "Current gateway ip 10.0.0.1 already in use by port "+router.ID+". Unable to update.")
	_, err = b.updateSubnet(auto.ID, func(sn *weft.Subnet) { sn.EnableDHCP = false }, "enable_dhcp")
	wantRefusal(t, err, "InvalidInput", "Invalid input for operation: Cannot disable enable_dhcp with ipv6 attributes set.")
	_, err = b.updateSubnet(sn.ID, func(sn *weft.Subnet) { sn.AllocationPools = pools("10.0.0.1", "10.0.0.3") }, "allocation_pools")
	wantRefusal(t, err, "GatewayConflictWithAllocationPools", "")
	got, err := b.updateSubnet(sn.ID, func(sn *weft.Subnet) { sn.AllocationPools = pools("10.0.0.5", "10.0.0.5") }, "allocation_pools")
	if err != nil || len(got.AllocationPools) != 1 {
		t.Fatal(got, err)
	}
	if p := b.port(&weft.Port{NetworkID: n.ID}); p.FixedIPs[0].IPAddress != addr("10.0.0.5") {
		t.Errorf("address %v is not from the new pool", p.FixedIPs)
	}
	wantRefusal(t, b.createPort(&weft.Port{NetworkID: n.ID}), "IpAddressGenerationFailure", "No more IP addresses available on network "+n.ID+".")
}

func TestDeleteSubnet(t *testing.T) {
	b := newBench(t)
	n := b.network()
	sn, auto := b.subnet(n, "10.0.0.0/24"), b.slaac(n, "2001:db8::/64")
	p := b.port(&weft.Port{NetworkID: n.ID})
	wantRefusal(t, b.deleteSubnet(sn.ID), "SubnetInUse", "Unable to complete operation on subnet "+sn.ID+": One or more ports have an IP allocation from this subnet.")
	wantRefusal(t, b.deleteSubnet(auto.ID), "", "")
	if got := b.getPort(p.ID); len(got.FixedIPs) != 1 || len(got.DNSAssignment) != 1 || got.Revision != 2 {
		t.Errorf("the port kept a derived address: %+v", got)
	}
	auto = b.slaac(n, "2001:db8:1::/64")
	if got := b.getPort(p.ID); len(got.FixedIPs) != 2 || got.FixedIPs[1].IPAddress != weft.EUI64(auto.CIDR, p.MAC) {
		t.Errorf("the port got no derived address: %v", got.FixedIPs)
	}
	b.port(&weft.Port{NetworkID: n.ID, DeviceOwner: weft.OwnerRouterInterface, FixedIPs: []weft.FixedIP{{SubnetID: auto.ID, IPAddress: addr("2001:db8:1::1")}}}, "fixed_ips")
	wantRefusal(t, b.deleteSubnet(auto.ID), "SubnetInUse", "")
}

func (b *bench) dhcpAddresses(n *weft.Network) []string {
	b.t.Helper()
	ports := b.ports(store.Eq("network_id", n.ID), store.Eq("device_owner", weft.OwnerDHCP))
	if len(ports) == 0 {
		return nil
	}
	if len(ports) > 1 {
		b.t.Fatalf("%d DHCP ports", len(ports))
	}
	var out []string
	for _, ip := range ports[0].FixedIPs {
		out = append(out, ip.IPAddress.String())
	}
	slices.Sort(out)
	return out
}

func TestDHCPPort(t *testing.T) {
	b := newBench(t)
	n := b.network()
	sn := b.subnet(n, "10.0.0.0/24")
	step := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, b.dhcpAddresses(n)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	step("without ports")
	p := b.port(&weft.Port{NetworkID: n.ID, FixedIPs: []weft.FixedIP{{IPAddress: addr("10.0.0.2")}}}, "fixed_ips")
	step("after the first port")
	if _, err := b.updatePort(p.ID, func(p *weft.Port) { p.HostID = "h1" }, "binding:host_id"); err != nil {
		t.Fatal(err)
	}
	step("after the first binding", "10.0.0.3")
	server := b.ports(store.Eq("device_owner", weft.OwnerDHCP))[0]
	if server.DeviceID != DHCPDeviceID("h1", n.ID) || server.HostID != "h1" || server.VIFType != "bridge" || server.ProjectID != "p1" ||
		server.PortSecurity || len(server.SecurityGroups) > 0 || server.Name != "" {
		t.Errorf("DHCP port %+v", server)
	}
	b.port(&weft.Port{NetworkID: n.ID, HostID: "h1"})
	second := b.subnet(n, "10.1.0.0/24")
	step("after a second subnet", "10.0.0.3", "10.1.0.2")
	if _, err := b.updateSubnet(sn.ID, func(sn *weft.Subnet) { sn.EnableDHCP = false }, "enable_dhcp"); err != nil {
		t.Fatal(err)
	}
	step("without DHCP on the first", "10.1.0.2")
	if err := b.deleteSubnet(second.ID); err != nil {
		t.Fatal(err)
	}
	step("without DHCP at all")
	if _, err := b.updateSubnet(sn.ID, func(sn *weft.Subnet) { sn.EnableDHCP = true }, "enable_dhcp"); err != nil {
		t.Fatal(err)
	}
	if got := b.dhcpAddresses(n); len(got) != 1 {
		t.Errorf("with DHCP again: %v", got)
	}
}

// TestDHCPTentative chooses a host with the first port, and the right one with the
// first that is bound.
func TestDHCPTentative(t *testing.T) {
	want := func(b *bench, n *weft.Network, what string, tentative bool, servers int, hosts ...string) {
		t.Helper()
		var v *view
		b.must(func(tx *store.Tx) error {
			if err := b.s.PlaceNetworks(tx); err != nil { // which has nothing to do
				return err
			}
			var err error
			v, err = look(tx, n.ID, weft.MAC{})
			return err
		})
		if diff := cmp.Diff(hosts, v.dhcpHosts); diff != "" || v.tentative != tentative {
			t.Errorf("%s: tentative %t, hosts %s", what, v.tentative, diff)
		}
		if got := b.ports(store.Eq("network_id", n.ID), store.Eq("device_owner", weft.OwnerDHCP)); len(got) != servers {
			t.Errorf("%s: %d DHCP ports, want %d", what, len(got), servers)
		}
	}
	start := func() (*bench, *weft.Network, *weft.Port) {
		b := newBench(t)
		b.host("h2")
		n := b.network()
		b.subnet(n, "10.0.0.0/24")
		return b, n, b.port(&weft.Port{NetworkID: n.ID})
	}
	agent := func(b *bench, fn func(*store.Tx, *weft.Agent, string) error, n *weft.Network, host string) {
		b.must(func(tx *store.Tx) error {
			a, err := store.Agents.First(tx, store.Eq("agent_type", weft.AgentDHCP), store.Eq("host", host))
			if err != nil {
				return err
			}
			return fn(tx, a, n.ID)
		})
	}

	b, n, p := start()
	want(b, n, "first port", true, 0, "h1")
	b.subnet(n, "10.1.0.0/24")
	b.port(&weft.Port{NetworkID: n.ID})
	want(b, n, "second subnet and port", true, 0, "h1")
	b.port(&weft.Port{NetworkID: n.ID, HostID: "nowhere"})
	want(b, n, "binding that failed", true, 0, "h1")
	if _, err := b.updatePort(p.ID, func(p *weft.Port) { p.HostID = "h2" }, "binding:host_id"); err != nil {
		t.Fatal(err)
	}
	want(b, n, "first binding", false, 1, "h2")
	b.port(&weft.Port{NetworkID: n.ID, HostID: "h1"})
	want(b, n, "second binding", false, 1, "h2")

	b, n, _ = start()
	agent(b, b.s.AddNetworkToDHCPAgent, n, "h2")
	want(b, n, "second agent by hand", false, 2, "h1", "h2")
	agent(b, b.s.RemoveNetworkFromDHCPAgent, n, "h1")
	b.port(&weft.Port{NetworkID: n.ID, HostID: "h1"})
	want(b, n, "binding elsewhere than by hand", false, 2, "h2") // one is reserved
}

func TestDHCPWithoutAddressLeft(t *testing.T) {
	b := newBench(t)
	n := b.network()
	b.subnet(n, "10.0.0.0/30")
	b.port(&weft.Port{NetworkID: n.ID, HostID: "h1"})
	if got := b.dhcpAddresses(n); got != nil {
		t.Errorf("DHCP addresses %v", got)
	}
}
