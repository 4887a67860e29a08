package l3

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/wire"
	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

func ops(p wire.Plan) (out []string) {
	for _, op := range slices.Concat(p.Make, p.Add, p.Remove) {
		out = append(out, op.Text)
	}
	return out
}

func TestPlanOfANewRouter(t *testing.T) {
	r := testRouter()
	r.FloatingIPs = []host.FloatingIP{fip("f", "10.62.227.20", "11.0.0.5")}
	r.Routes = []weft.Route{{Destination: netip.MustParsePrefix("192.168.7.0/24"), NextHop: netip.MustParseAddr("11.0.0.5")}}
	got := ops(spaceOf(r).Plan(wire.Observed{Bridges: map[string]int{"brqneta": 7, "brqext": 9}}))
	want := []string{
		"ip netns add qrouter-r1",
		"ip netns exec qrouter-r1 sysctl -w net.ipv4.ip_forward=1",
		"ip netns exec qrouter-r1 sysctl -w net.ipv6.conf.all.forwarding=1",
		"ip netns exec qrouter-r1 sysctl -w net.ipv4.conf.all.arp_ignore=1",
		"ip netns exec qrouter-r1 sysctl -w net.ipv4.conf.all.arp_announce=2",
		"ip netns exec qrouter-r1 sysctl -w net.ipv4.conf.all.rp_filter=2",
		"ip netns exec qrouter-r1 sysctl -w net.ipv4.conf.all.promote_secondaries=1",
		"ip netns exec qrouter-r1 sysctl -w net.ipv6.conf.default.accept_ra=0",
		"ip netns exec qrouter-r1 sysctl -w net.ipv6.conf.all.proxy_ndp=0",
		"ip link add tappa mtu 1450 alias weft:port:pa addrgenmode none up master brqneta type veth peer name qr-pa address fa:16:3e:00:00:01 mtu 1450 netns qrouter-r1",
		"ip -n qrouter-r1 link set qr-pa up",
		"ip link add tappb mtu 1450 alias weft:port:pb addrgenmode none up type veth peer name qr-pb address fa:16:3e:00:00:02 mtu 1450 netns qrouter-r1",
		"ip -n qrouter-r1 link set qr-pb up",
		"ip link add tapgw mtu 1500 alias weft:port:gw addrgenmode none up master brqext type veth peer name qg-gw address fa:16:3e:00:00:09 mtu 1500 netns qrouter-r1",
		"ip -n qrouter-r1 link set qg-gw up",
		"ip -n qrouter-r1 addr add 10.0.0.1/24 dev qr-pa",
		"ip -n qrouter-r1 addr add 11.0.0.1/24 dev qr-pb",
		"ip -n qrouter-r1 addr add 10.62.227.10/24 dev qg-gw",
		"ip -n qrouter-r1 addr add 10.62.227.20/32 dev qg-gw",
		"ip -n qrouter-r1 route replace 10.62.228.0/24 dev qg-gw",
		"ip -n qrouter-r1 route replace default via 10.62.227.1 dev qg-gw",
		"ip -n qrouter-r1 route replace 192.168.7.0/24 via 11.0.0.5 dev qr-pb",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// observedOf is a kernel that has just what the router needs.
func observedOf(s *wire.Space) wire.Observed {
	o := wire.Observed{Exists: true, Settings: map[string]string{}, Bridges: map[string]int{}, Outer: map[string]link.Link{},
		Inner: map[string]link.Link{"lo": {Index: 1, Name: "lo"}}, Addresses: map[string][]netip.Prefix{}, Routes: slices.Clone(s.Routes)}
	for _, x := range s.Settings {
		o.Settings[x.Path] = x.Value
	}
	for i, l := range s.Legs {
		o.Bridges[l.Bridge] = 100 + i
		o.Outer[l.Outer] = link.Link{Index: 10 + i, Name: l.Outer, Alias: l.Alias, MTU: l.MTU, Master: 100 + i, Peer: 2 + i, Up: true}
		o.Inner[l.Device] = link.Link{Index: 2 + i, Name: l.Device, MAC: l.MAC, MTU: l.MTU, Peer: 10 + i, Up: l.Up}
		o.Addresses[l.Device] = append(slices.Clone(l.Addresses), netip.MustParsePrefix("fe80::1/64"))
	}
	return o
}

func TestPlanOfAChange(t *testing.T) {
	base := testRouter()
	base.FloatingIPs = []host.FloatingIP{fip("f", "10.62.227.20", "11.0.0.5")}
	for name, c := range map[string]struct {
		change func(*host.Router)
		want   []string
	}{
		"none": {func(*host.Router) {}, nil},
		"floating IP": {func(r *host.Router) { r.FloatingIPs = []host.FloatingIP{fip("g", "10.62.227.21", "11.0.0.5")} }, []string{
			"ip -n qrouter-r1 addr add 10.62.227.21/32 dev qg-gw",
			"ip -n qrouter-r1 addr del 10.62.227.20/32 dev qg-gw",
		}},
		"gateway of the subnet": {func(r *host.Router) { r.Gateway.Subnets[0].Gateway = netip.MustParseAddr("192.0.2.1") }, []string{
			"ip -n qrouter-r1 route replace 192.0.2.1/32 dev qg-gw",
			"ip -n qrouter-r1 route replace default via 192.0.2.1 dev qg-gw",
		}},
		"MTU and MAC": {func(r *host.Router) { r.Interfaces[0].MTU, r.Interfaces[0].MAC[5] = 1400, 77 }, []string{
			"ip link set tappa mtu 1400",
			"ip -n qrouter-r1 link set qr-pa address fa:16:3e:00:00:4d",
			"ip -n qrouter-r1 link set qr-pa mtu 1400",
		}},
		"interface taken away": {func(r *host.Router) { r.Interfaces = r.Interfaces[1:] }, []string{"ip -n qrouter-r1 link del qr-pa"}},
		"no gateway":           {func(r *host.Router) { r.Gateway, r.FloatingIPs = nil, nil }, []string{"ip -n qrouter-r1 link del qg-gw"}},
		"down": {func(r *host.Router) { r.AdminUp, r.Interfaces = false, r.Interfaces[:1] }, []string{
			"ip -n qrouter-r1 link set qr-pa down",
			"ip -n qrouter-r1 link set qg-gw down",
			"ip -n qrouter-r1 link del qr-pb",
			"ip -n qrouter-r1 addr del 10.0.0.1/24 dev qr-pa",
			"ip -n qrouter-r1 addr del 10.62.227.10/24 dev qg-gw",
			"ip -n qrouter-r1 addr del 10.62.227.20/32 dev qg-gw",
			"ip -n qrouter-r1 route del 10.62.228.0/24 dev qg-gw",
			"ip -n qrouter-r1 route del default via 10.62.227.1 dev qg-gw",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := testRouter()
			r.FloatingIPs = base.FloatingIPs
			c.change(r)
			if diff := cmp.Diff(c.want, ops(spaceOf(r).Plan(observedOf(spaceOf(base))))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	route := func(dst, via, device string) wire.Route {
		r := wire.Route{Dst: netip.MustParsePrefix(dst), Device: device}
		r.Via, _ = netip.ParseAddr(via)
		return r
	}
	extra := func(dst, via string) weft.Route {
		return weft.Route{Destination: netip.MustParsePrefix(dst), NextHop: netip.MustParseAddr(via)}
	}
	def, onLink := route("0.0.0.0/0", "10.62.227.1", "qg-gw"), route("10.62.228.0/24", "", "qg-gw")
	for name, c := range map[string]struct {
		change func(*host.Router)
		want   []wire.Route
	}{
		"default": {func(*host.Router) {}, []wire.Route{onLink, def}},
		"none":    {func(r *host.Router) { r.Gateway = nil }, nil},
		"an interface on the external network too": {func(r *host.Router) {
			r.Interfaces[0] = routerPort("pa", netExt, 1, "y=10.62.228.7/24")
		}, []wire.Route{def}},
		"that has the address of the way out": {func(r *host.Router) {
			r.Interfaces[0] = routerPort("pa", netExt, 1, "x=10.62.227.1/25")
		}, []wire.Route{onLink}},
		"gateway outside of its subnet": {func(r *host.Router) { r.Gateway.Subnets[0].Gateway = netip.MustParseAddr("192.0.2.1") },
			[]wire.Route{onLink, route("192.0.2.1/32", "", "qg-gw"), route("0.0.0.0/0", "192.0.2.1", "qg-gw")}},
		"link-local gateway": {func(r *host.Router) {
			r.Gateway.Addresses = []host.Address{{SubnetID: "z", Prefix: netip.MustParsePrefix("2001:db8::2/64")}}
			r.Gateway.Subnets = []host.Subnet{subnet("x", "10.62.227.0/24", "10.62.227.1"), subnet("z", "2001:db8::/64", "fe80::1")}
		}, []wire.Route{route("::/0", "fe80::1", "qg-gw")}},
		"extra": {func(r *host.Router) {
			r.Routes = []weft.Route{extra("192.168.0.0/16", "10.0.0.9"), extra("0.0.0.0/0", "11.0.0.9"), extra("172.16.0.0/12", "10.62.228.9"),
				extra("11.0.0.0/24", "10.0.0.9"), extra("1.2.3.0/24", "9.9.9.9"), extra("1.2.4.0/24", "10.0.0.1")}
		}, []wire.Route{onLink, route("0.0.0.0/0", "11.0.0.9", "qr-pb"), route("172.16.0.0/12", "10.62.228.9", "qg-gw"), route("192.168.0.0/16", "10.0.0.9", "qr-pa")}},
		"several ways to one destination": {func(r *host.Router) {
			r.Routes = []weft.Route{extra("192.168.0.0/16", "11.0.0.9"), extra("192.168.0.0/16", "10.0.0.9"), extra("192.168.0.0/16", "10.0.0.8"),
				extra("192.168.0.0/16", "9.9.9.9")}
		}, []wire.Route{onLink, def, route("192.168.0.0/16", "11.0.0.9", "qr-pb").Join(wire.Hop{Via: netip.MustParseAddr("10.0.0.8"), Device: "qr-pa"}).
			Join(wire.Hop{Via: netip.MustParseAddr("10.0.0.9"), Device: "qr-pa"})}},
	} {
		t.Run(name, func(t *testing.T) {
			r := testRouter()
			c.change(r)
			if diff := cmp.Diff(c.want, routesOf(r), cmp.Comparer(wire.Route.Equal)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTable(t *testing.T) {
	r := testRouter()
	r.FloatingIPs = []host.FloatingIP{fip("f", "10.62.227.20", "11.0.0.5"), fip("g", "10.62.227.21", "10.0.0.5"), fip("twice", "10.62.227.22", "10.0.0.5")}
	want := `table ip weft {
  map floating {
    type ipv4_addr : ipv4_addr
    10.62.227.20 : 11.0.0.5
    10.62.227.21 : 10.0.0.5
  }
  map fixed {
    type ipv4_addr : ipv4_addr
    10.0.0.5 : 10.62.227.21
    11.0.0.5 : 10.62.227.20
  }
  chain asking {
    type filter hook 0 priority -150
    iifname "qr-"* ip daddr 169.254.169.254 meta l4proto 6 th dport 80 meta mark set 0x77000169
  }
  chain input {
    type filter hook 1 priority 0
    meta l4proto 6 th dport 9697 meta mark != 0x77000169 drop
  }
  chain forward {
    type filter hook 2 priority 0
    ip daddr 169.254.169.254 drop
  }
  chain prerouting {
    type nat hook 0 priority -100
    iifname "qr-"* ip daddr 169.254.169.254 meta l4proto 6 th dport 80 redirect to :9697
    dnat to ip daddr map @floating
  }
  chain output {
    type nat hook 3 priority -100
    dnat to ip daddr map @floating
  }
  chain postrouting {
    type nat hook 4 priority 100
    oifname != "qg-gw" ct status ! dnat accept
    snat to ip saddr map @fixed
    oifname "qg-gw" snat to 10.62.227.10 fully-random
    iifname != "qg-gw" ct status dnat snat to 10.62.227.10 fully-random
  }
}
`
	if diff := cmp.Diff(want, tableOf(r).String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOutdated(t *testing.T) {
	o := outdated{
		gone:  map[netip.Addr]bool{netip.MustParseAddr("10.62.227.99"): true},
		pairs: map[netip.Addr]netip.Addr{netip.MustParseAddr("10.62.227.20"): netip.MustParseAddr("11.0.0.5")},
	}
	flow := func(src, dst, answerer, answered string) conntrack.Flow {
		tuple := func(src, dst string) conntrack.Tuple {
			return conntrack.Tuple{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst)}
		}
		return conntrack.Flow{Orig: tuple(src, dst), Reply: tuple(answerer, answered)}
	}
	for name, c := range map[string]struct {
		flow conntrack.Flow
		want bool
	}{
		"in":                        {flow("8.8.8.8", "10.62.227.20", "11.0.0.5", "8.8.8.8"), false},
		"in, to another":            {flow("8.8.8.8", "10.62.227.20", "10.0.0.5", "8.8.8.8"), true},
		"in, to the router":         {flow("8.8.8.8", "10.62.227.20", "10.62.227.20", "8.8.8.8"), true},
		"out":                       {flow("11.0.0.5", "8.8.8.8", "8.8.8.8", "10.62.227.20"), false},
		"out, of another":           {flow("10.0.0.5", "8.8.8.8", "8.8.8.8", "10.62.227.20"), true},
		"out, as the gateway":       {flow("10.0.0.5", "8.8.8.8", "8.8.8.8", "10.62.227.10"), false},
		"inside":                    {flow("10.0.0.5", "11.0.0.5", "11.0.0.5", "10.0.0.5"), false},
		"round, to itself":          {flow("11.0.0.5", "10.62.227.20", "11.0.0.5", "10.62.227.20"), false},
		"in, to one that is gone":   {flow("8.8.8.8", "10.62.227.99", "11.0.0.5", "8.8.8.8"), true},
		"out, as one that is gone":  {flow("11.0.0.5", "8.8.8.8", "8.8.8.8", "10.62.227.99"), true},
		"other address is the gone": {flow("10.62.227.99", "11.0.0.5", "11.0.0.5", "8.8.8.8"), false},
	} {
		if got := o.match(c.flow); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
