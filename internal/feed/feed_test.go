package feed

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

var admin = &weft.Caller{ProjectID: "p", UserID: "u", Roles: []string{"admin"}, Admin: true}

// cloud is a small one: a network with two ports on h1 and one on h2, in two
// groups, a DHCP port and a router with a floating IP on h1.
type cloud struct {
	db  *store.DB
	net *weft.Network
	sub *weft.Subnet
	a   *weft.Port // on h1, group "web"
	far *weft.Port // on h2, group "clients", to which "web" refers
}

func insert[T any](t *testing.T, tx *store.Tx, table *store.Table[T], v *T) *T {
	t.Helper()
	if err := table.Insert(tx, v); err != nil {
		t.Fatal(err)
	}
	return v
}

func id(s string) weft.Meta { return weft.Meta{ID: s, ProjectID: "p"} }

func port(name, host, owner, ip string, groups ...string) *weft.Port {
	p := &weft.Port{Meta: id(name), NetworkID: "net", AdminStateUp: true, PortSecurity: true, DeviceOwner: owner, HostID: host,
		VIFType: weft.VIFBridge, MAC: weft.MAC{0xfa, 0x16, 0x3e, 0, 0, ip[len(ip)-1]}, SecurityGroups: groups}
	p.FixedIPs = weft.List[weft.FixedIP]{{SubnetID: "sub", IPAddress: netip.MustParseAddr(ip)}}
	return p
}

func newCloud(t *testing.T) *cloud {
	c := &cloud{db: storetest.SQLite(t)}
	c.write(t, func(tx *store.Tx) {
		vni := int64(10)
		c.net = insert(t, tx, store.Networks, &weft.Network{Meta: id("net"), AdminStateUp: true, MTU: 1450,
			Provider: &weft.Provider{NetworkType: weft.TypeVXLAN, SegmentationID: &vni}})
		c.sub = insert(t, tx, store.Subnets, &weft.Subnet{Meta: id("sub"), NetworkID: "net", IPVersion: 4, EnableDHCP: true,
			CIDR: netip.MustParsePrefix("10.0.0.0/24"), GatewayIP: weft.AddrOf(netip.MustParseAddr("10.0.0.1"))})
		insert(t, tx, store.Agents, &weft.Agent{Meta: id("agent2"), AgentType: weft.AgentLinuxBridge, Host: "h2",
			Configurations: map[string]any{"tunneling_ip": "192.0.2.2"}})
		for _, g := range []string{"web", "clients"} {
			insert(t, tx, store.SecurityGroups, &weft.SecurityGroup{Meta: id(g), Name: g, Stateful: true})
		}
		eighty := 80
		insert(t, tx, store.SecurityGroupRules, &weft.SecurityGroupRule{Meta: id("rule"), SecurityGroupID: "web", Direction: weft.Ingress,
			EtherType: weft.IPv4, Protocol: "tcp", PortRangeMin: &eighty, PortRangeMax: &eighty, RemoteGroupID: "clients"})
		c.a = insert(t, tx, store.Ports, port("a", "h1", "compute:nova", "10.0.0.5", "web"))
		insert(t, tx, store.Ports, port("dhcp", "h1", weft.OwnerDHCP, "10.0.0.2"))
		c.far = insert(t, tx, store.Ports, port("far", "h2", "compute:nova", "10.0.0.6", "clients"))
	})
	return c
}

func (c *cloud) write(t *testing.T, fn func(*store.Tx)) {
	t.Helper()
	if err := c.db.Update(t.Context(), admin, func(tx *store.Tx) error { fn(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

func (c *cloud) feed(host string) *Feed {
	return New(Config{Log: slog.New(slog.DiscardHandler), DB: c.db, Host: host, Domain: "example"})
}

func state(t *testing.T, f *Feed) *host.State {
	t.Helper()
	s, err := f.State(t.Context(), -1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestState(t *testing.T) {
	c := newCloud(t)
	mac := func(b byte) weft.MAC { return weft.MAC{0xfa, 0x16, 0x3e, 0, 0, b} }
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	subnet := host.Subnet{ID: "sub", CIDR: prefix("10.0.0.0/24"), Gateway: addr("10.0.0.1"), EnableDHCP: true}
	at := func(p string) []host.Address { return []host.Address{{SubnetID: "sub", Prefix: prefix(p)}} }
	want := &host.State{
		Host: "h1",
		Networks: []host.Network{{ID: "net", ProjectID: "p", MTU: 1450, Segment: host.Segment{Type: weft.TypeVXLAN, ID: 10}, Subnets: []host.Subnet{subnet},
			DHCP: &host.DHCP{PortID: "dhcp", MAC: mac('2'), Addresses: at("10.0.0.2/24"), Domain: "example", Revision: 1},
			Leases: []host.Lease{
				{PortID: "a", ProjectID: "p", Owner: "compute:nova", MAC: mac('5'), Addresses: at("10.0.0.5/24"), Hostname: "host-10-0-0-5"},
				{PortID: "far", ProjectID: "p", Owner: "compute:nova", MAC: mac('6'), Addresses: at("10.0.0.6/24"), Hostname: "host-10-0-0-6"},
			},
			Peers: []host.Peer{{VTEP: addr("192.0.2.2"), Entries: []host.PeerEntry{{MAC: mac('6'), Addresses: []netip.Addr{addr("10.0.0.6")}}}}},
		}},
		Ports: []host.Port{{ID: "a", NetworkID: "net", ProjectID: "p", DeviceOwner: "compute:nova", MAC: mac('5'),
			Addresses: []netip.Addr{addr("10.0.0.5")}, AdminUp: true, PortSecurity: true, Groups: []string{"web"}, Revision: 1}},
		Groups:  []host.Group{{ID: "web", Stateful: true, Rules: []host.Rule{{ID: "rule", Ingress: true, Protocol: 6, Min: 80, Max: 80, RemoteGroup: "clients"}}}},
		Members: map[string][]netip.Prefix{"clients": {prefix("10.0.0.6/32")}},
	}
	got := state(t, c.feed("h1"))
	opts := []cmp.Option{cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.IgnoreFields(host.State{}, "Revision")}
	if diff := cmp.Diff(want, got, opts...); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// The other host has the port, and the group without its rules' ports.
	other := state(t, c.feed("h2"))
	if len(other.Ports) != 1 || other.Ports[0].ID != "far" || other.Networks[0].DHCP != nil || len(other.Networks[0].Leases) != 0 {
		t.Errorf("state of h2: %+v", other)
	}
	if empty := state(t, c.feed("h3")); len(empty.Networks)+len(empty.Ports)+len(empty.Groups) != 0 {
		t.Errorf("state of a host without ports: %+v", empty)
	}
}

// A rule's protocol may be named or numbered; number 0 is any, as "ip" is.
func TestProtocols(t *testing.T) {
	for name, want := range map[string]int{"": -1, "0": -1, "ip": -1, "hopopt": 0, "1": 1, "icmp": 1, "6": 6, "tcp": 6,
		"icmpv6": 58, "ipv6-icmp": 58,
		"58": 58, "vrrp": 112, "255": 255} {
		r := hostRule(&weft.SecurityGroupRule{Protocol: weft.ID(name)})
		if r.Protocol != want {
			t.Errorf("protocol %q is %d, want %d", name, r.Protocol, want)
		}
	}
}

// A subnet is routed by a router at its gateway's address, not by one beside it.
func TestRouted(t *testing.T) {
	c := newCloud(t)
	attach := func(id, addr string) func(*store.Tx) {
		return func(tx *store.Tx) { insert(t, tx, store.Ports, port(id, "h1", weft.OwnerRouterInterface, addr)) }
	}
	for _, x := range []struct {
		what   string
		change func(*store.Tx)
		want   bool
	}{
		{"alone", func(*store.Tx) {}, false},
		{"with a router beside the gateway", attach("beside", "10.0.0.3"), false},
		{"with a router as the gateway", attach("gateway", "10.0.0.1"), true},
	} {
		c.write(t, x.change)
		if got := state(t, c.feed("h1")).Networks[0].Subnets[0].Routed; got != x.want {
			t.Errorf("%s it is routed: %v", x.what, got)
		}
	}
}

// What an address group holds comes with the rules that name it, and when it changes.
func TestAddressGroups(t *testing.T) {
	c := newCloud(t)
	prefixes := func(texts ...string) (out []netip.Prefix) {
		for _, p := range texts {
			out = append(out, netip.MustParsePrefix(p))
		}
		return out
	}
	c.write(t, func(tx *store.Tx) {
		insert(t, tx, store.AddressGroups, &weft.AddressGroup{Meta: id("used"), Addresses: prefixes("10.1.0.0/16", "10.0.0.9/32")})
		insert(t, tx, store.AddressGroups, &weft.AddressGroup{Meta: id("unused"), Addresses: prefixes("10.2.0.0/16")})
		insert(t, tx, store.SecurityGroupRules, &weft.SecurityGroupRule{Meta: id("rule2"), SecurityGroupID: "web", Direction: weft.Ingress,
			EtherType: weft.IPv4, RemoteAddressGroupID: "used"})
	})
	s := state(t, c.feed("h1"))
	want := map[string][]netip.Prefix{"clients": prefixes("10.0.0.6/32"), "used": prefixes("10.0.0.9/32", "10.1.0.0/16")}
	if diff := cmp.Diff(want, s.Members, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("members (-want +got)\n%s", diff)
	}
	if r := s.Groups[0].Rules[1]; r.RemoteGroup != "used" {
		t.Errorf("the rule is %+v", r)
	}
	more := func(g *weft.AddressGroup) { g.Addresses = append(g.Addresses, netip.MustParsePrefix("10.3.0.0/16")) }
	if !wakes(t, c.feed("h1"), c, edit(t, store.AddressGroups, "used", more)) {
		t.Error("a prefix more does not wake the host")
	}
	if wakes(t, c.feed("h1"), c, edit(t, store.AddressGroups, "unused", more)) {
		t.Error("a group that no rule here names wakes the host")
	}
}

// wakes reports whether a change makes the feed give a new state.
func wakes(t *testing.T, f *Feed, c *cloud, change func(tx *store.Tx)) bool {
	t.Helper()
	before := state(t, f)
	c.write(t, change)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s, err := f.State(ctx, before.Revision)
	return err == nil && s.Revision > before.Revision
}

func edit[T any](t *testing.T, table *store.Table[T], id string, change func(*T)) func(*store.Tx) {
	return func(tx *store.Tx) {
		v, err := table.Get(tx, id)
		if err != nil {
			t.Fatal(err)
		}
		change(v)
		if err := table.Update(tx, v); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWakes(t *testing.T) {
	c := newCloud(t)
	for _, x := range []struct {
		what   string
		change func(*store.Tx)
		want   bool
	}{
		{"the status of a port", edit(t, store.Ports, "a", func(p *weft.Port) { p.Status = "ACTIVE" }), false},
		{"the name of a port", edit(t, store.Ports, "a", func(p *weft.Port) { p.Name = "x" }), false},
		{"admin state of a port", edit(t, store.Ports, "a", func(p *weft.Port) { p.AdminStateUp = false }), true},
		{"an address of a remote member", edit(t, store.Ports, "far", func(p *weft.Port) { p.FixedIPs[0].IPAddress = netip.MustParseAddr("10.0.0.7") }), true},
		{"another network", func(tx *store.Tx) { insert(t, tx, store.Networks, &weft.Network{Meta: id("net2")}) }, false},
		{"a port on another network, elsewhere", func(tx *store.Tx) {
			p := port("b", "h2", "compute:nova", "10.0.0.8", "web2")
			p.NetworkID, p.FixedIPs = "net2", nil
			insert(t, tx, store.Ports, p)
		}, false},
		{"a rule of a group used here", func(tx *store.Tx) {
			insert(t, tx, store.SecurityGroupRules, &weft.SecurityGroupRule{Meta: id("r2"), SecurityGroupID: "web", Direction: weft.Egress, EtherType: weft.IPv4})
		}, true},
		{"a rule of a group not used here", func(tx *store.Tx) {
			insert(t, tx, store.SecurityGroups, &weft.SecurityGroup{Meta: id("g3"), Name: "g3"})
			insert(t, tx, store.SecurityGroupRules, &weft.SecurityGroupRule{Meta: id("r3"), SecurityGroupID: "g3", Direction: weft.Egress, EtherType: weft.IPv4})
		}, false},
		{"a router that comes here", func(tx *store.Tx) { insert(t, tx, store.Routers, &weft.Router{Meta: id("r"), HostID: "h1"}) }, true},
		{"a router elsewhere", func(tx *store.Tx) { insert(t, tx, store.Routers, &weft.Router{Meta: id("s"), HostID: "h2"}) }, false},
		{"the MTU of a network here", edit(t, store.Networks, "net", func(n *weft.Network) { n.MTU = 1400 }), true},
		{"a port that leaves", edit(t, store.Ports, "a", func(p *weft.Port) { p.HostID = "h2" }), true},
	} {
		f := c.feed("h1")
		if got := wakes(t, f, c, x.change); got != x.want {
			t.Errorf("%s wakes the host: %t", x.what, got)
		}
	}
}

// A host is told through which port, and under which tag, subports travel, and
// wakes when that changes.
func TestSubPorts(t *testing.T) {
	c := newCloud(t)
	c.write(t, func(tx *store.Tx) {
		insert(t, tx, store.Ports, port("s1", "h1", weft.OwnerSubPort, "10.0.0.7"))
		insert(t, tx, store.Ports, port("s2", "h1", weft.OwnerSubPort, "10.0.0.8"))
		insert(t, tx, store.Ports, port("far2", "h2", weft.OwnerSubPort, "10.0.0.9"))
		insert(t, tx, store.Trunks, &weft.Trunk{Meta: id("t"), PortID: "a", SubPorts: weft.List[weft.SubPort]{
			{PortID: "s1", SegmentationType: "vlan", SegmentationID: 101}, {PortID: "s2", SegmentationType: "vlan", SegmentationID: 4094}}})
		insert(t, tx, store.Trunks, &weft.Trunk{Meta: id("t2"), PortID: "far", SubPorts: weft.List[weft.SubPort]{
			{PortID: "far2", SegmentationType: "vlan", SegmentationID: 101}}})
	})
	type carried struct {
		Parent string
		Tag    uint16
	}
	f := c.feed("h1")
	told := func() map[string]carried {
		out := map[string]carried{}
		for _, p := range state(t, f).Ports {
			out[p.ID] = carried{p.Parent, p.Tag}
		}
		return out
	}
	if d := cmp.Diff(map[string]carried{"a": {}, "s1": {"a", 101}, "s2": {"a", 4094}}, told()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	tag := func(id int64) func(*weft.Trunk) { return func(t *weft.Trunk) { t.SubPorts[0].SegmentationID = id } }
	for _, x := range []struct {
		what   string
		change func(*store.Tx)
		want   bool
	}{
		{"the status of a trunk", edit(t, store.Trunks, "t", func(t *weft.Trunk) { t.Status, t.Name = "ACTIVE", "x" }), false},
		{"a trunk elsewhere", edit(t, store.Trunks, "t2", tag(7)), false},
		{"another tag", edit(t, store.Trunks, "t", tag(102)), true},
		{"a subport that leaves", edit(t, store.Trunks, "t", func(t *weft.Trunk) { t.SubPorts = t.SubPorts[:1] }), true},
	} {
		if got := wakes(t, f, c, x.change); got != x.want {
			t.Errorf("%s wakes the host: %t", x.what, got)
		}
	}
	if d := cmp.Diff(map[string]carried{"a": {}, "s1": {"a", 102}, "s2": {}}, told()); d != "" {
		t.Errorf("after the changes (-want +got)\n%s", d)
	}
}

// What an agent that is switched off would do is not done, and that it is switched
// is noticed.
func TestAgentsSwitchedOff(t *testing.T) {
	c := newCloud(t)
	c.write(t, func(tx *store.Tx) {
		insert(t, tx, store.Routers, &weft.Router{Meta: id("r"), AdminStateUp: true, HostID: "h1"})
		insert(t, tx, store.Agents, &weft.Agent{Meta: id("d"), AgentType: weft.AgentDHCP, Host: "h1", AdminStateUp: true})
		insert(t, tx, store.Agents, &weft.Agent{Meta: id("l"), AgentType: weft.AgentL3, Host: "h1", AdminStateUp: true})
	})
	for _, up := range []bool{true, false, true} {
		f := c.feed("h1")
		s := state(t, f)
		if dhcp, routers := s.Networks[0].DHCP != nil, len(s.Routers) == 1; dhcp != up || routers != up {
			t.Fatalf("with agents up %t: DHCP %t, routers %t", up, dhcp, routers)
		}
		turn := func(a *weft.Agent) { a.AdminStateUp = !up }
		if !wakes(t, f, c, edit(t, store.Agents, "d", turn)) || !wakes(t, f, c, edit(t, store.Agents, "l", turn)) {
			t.Fatalf("with agents up %t: nobody noticed that they were switched", up)
		}
	}
}

// An agent that comes back with another tunnel address is noticed where its ports are
// peers, and one that says something else is not.
func TestTunnelMoves(t *testing.T) {
	c := newCloud(t)
	f := c.feed("h1")
	before := state(t, f).Networks[0].Peers[0].VTEP
	reports := func(key, value string) func(*store.Tx) {
		return edit(t, store.Agents, "agent2", func(a *weft.Agent) { a.Configurations[key] = value })
	}
	if wakes(t, f, c, reports("devices", "3")) {
		t.Error("woken for nothing")
	}
	if !wakes(t, f, c, reports("tunneling_ip", "192.0.2.99")) {
		t.Fatal("nobody noticed that a tunnel has another end")
	}
	if after := state(t, f).Networks[0].Peers[0].VTEP; after == before || after.String() != "192.0.2.99" {
		t.Errorf("the tunnel ends at %s, and was at %s", after, before)
	}
}

// A host is told, for each port, gateway and floating IP on it, the policy that
// counts, and of that what a host realises.
func TestQoS(t *testing.T) {
	c := newCloud(t)
	rule := func(tx *store.Tx, r weft.QoSRule) { insert(t, tx, store.QoSRules, &r) }
	c.write(t, func(tx *store.Tx) {
		for _, name := range []string{"own", "network", "unused"} {
			insert(t, tx, store.QoSPolicies, &weft.QoSPolicy{Meta: id(name), Name: name})
		}
		rule(tx, weft.QoSRule{PolicyID: "own", Type: weft.QoSBandwidthLimit, Direction: weft.Egress, MaxKbps: 1, MaxBurstKbps: 2})
		rule(tx, weft.QoSRule{PolicyID: "own", Type: weft.QoSPacketRateLimit, Direction: weft.Ingress, MaxKpps: 3, MaxBurstKpps: 4})
		rule(tx, weft.QoSRule{PolicyID: "own", Type: weft.QoSMinimumBandwidth, Direction: weft.Ingress, MinKbps: 9})
		rule(tx, weft.QoSRule{PolicyID: "network", Type: weft.QoSDSCPMarking, DSCPMark: 26})
		insert(t, tx, store.Ports, port("gw", "h1", weft.OwnerRouterGateway, "10.0.0.7"))
		edit(t, store.Ports, "gw", func(p *weft.Port) { p.DeviceID = "r" })(tx)
		insert(t, tx, store.Routers, &weft.Router{Meta: id("r"), HostID: "h1", GatewayPortID: "gw", Gateway: &weft.Gateway{NetworkID: "net", QoSPolicyID: "own"}})
		insert(t, tx, store.FloatingIPs, &weft.FloatingIP{Meta: id("f"), FloatingNetworkID: "net", RouterID: "r", PortID: "a", QoSPolicyID: "own",
			FloatingIPAddress: weft.AddrOf(netip.MustParseAddr("10.0.0.8")), FixedIPAddress: weft.AddrOf(netip.MustParseAddr("10.0.0.5"))})
		edit(t, store.Networks, "net", func(n *weft.Network) { n.QoSPolicyID = "network" })(tx)
	})
	own := host.QoS{PolicyID: "own", Egress: host.Limits{Kbps: 1, BurstKbit: 2}, Ingress: host.Limits{Kpps: 3, BurstKpkt: 4}}
	network := host.QoS{PolicyID: "network", Marked: true, DSCP: 26}
	f := c.feed("h1")
	s := state(t, f)
	r := s.Routers[0]
	if got := s.Ports[0].QoS; got != network {
		t.Errorf("a port has %+v of its network", got)
	}
	if r.Gateway.QoS != network || r.GatewayQoS != own || r.FloatingIPs[0].QoS != own {
		t.Errorf("router: %+v, %+v, %+v", r.Gateway.QoS, r.GatewayQoS, r.FloatingIPs[0].QoS)
	}
	if !wakes(t, f, c, edit(t, store.Ports, "a", func(p *weft.Port) { p.QoSPolicyID = "own" })) || state(t, f).Ports[0].QoS != own {
		t.Error("a port's own policy does not count")
	}
	for what, want := range map[string]bool{"own": true, "unused": false} {
		if got := wakes(t, f, c, func(tx *store.Tx) {
			rule(tx, weft.QoSRule{PolicyID: what, Type: weft.QoSBandwidthLimit, Direction: weft.Ingress, MaxKbps: 5})
		}); got != want {
			t.Errorf("a new rule of the policy %s wakes the host: %t", what, got)
		}
	}
	if !wakes(t, f, c, edit(t, store.FloatingIPs, "f", func(f *weft.FloatingIP) { f.QoSPolicyID = "" })) || state(t, f).Routers[0].FloatingIPs[0].QoS != (host.QoS{}) {
		t.Error("a floating IP keeps the policy taken from it")
	}
}

// A feed whose position is no longer in the change log gives the present state.
func TestStateAfterTrimming(t *testing.T) {
	c := newCloud(t)
	f := c.feed("h1")
	was := state(t, f)
	c.write(t, func(tx *store.Tx) {
		for range 10 {
			p, err := store.Ports.Get(tx, "far")
			if err != nil {
				t.Fatal(err)
			}
			p.Name += "x" // concerns no host
			if err := store.Ports.Update(tx, p); err != nil {
				t.Fatal(err)
			}
		}
	})
	if _, err := c.db.TrimChanges(t.Context(), store.Keep{Age: time.Hour, Bytes: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	now, err := f.State(ctx, was.Revision)
	if err != nil || now.Revision <= was.Revision {
		t.Errorf("%v: %+v", err, now)
	}
}
