package l3

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft/internal/agent/wire"
	"github.com/weftnet/weft/internal/host"
)

const (
	netExt2  = "ext2"
	outside2 = "wt-outside2"
)

// secondGateway leads to another network than the first.
func secondGateway() host.RouterPort {
	gw := routerPort("gw2", netExt2, 10, "z=10.70.0.10/24")
	gw.MTU = 1500
	gw.Subnets = []host.Subnet{subnet("z", "10.70.0.0/24", "10.70.0.1")}
	return gw
}

func on(network string, f host.FloatingIP) host.FloatingIP {
	f.NetworkID = network
	return f
}

// newBench2 is a bench with a second outside. Both outsides have what is far away.
func newBench2(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.run("ip link add " + host.BridgeName(netExt2) + " type bridge forward_delay 0")
	b.run("ip link set " + host.BridgeName(netExt2) + " addrgenmode none up")
	t.Cleanup(func() { exec.Command("ip", "link", "del", host.BridgeName(netExt2)).Run() })
	b.guest(outside2, netExt2, "10.70.0.1/24", "")
	for i := range far {
		b.run(fmt.Sprintf("ip -n %s addr add 198.18.0.%d/32 dev lo", outside, i+1))
		b.run(fmt.Sprintf("ip -n %s addr add 198.18.0.%d/32 dev lo", outside2, i+1))
	}
	b.router().Further = []host.RouterPort{secondGateway()}
	return b
}

const far = 24 // so many addresses; that all take one of two ways is as good as impossible

// ways counts as whom what is far away sees a guest.
func (b *bench) ways() map[string]int {
	b.t.Helper()
	out := map[string]int{}
	for i := range far {
		c, as, err := b.dial(vmA, fmt.Sprintf("198.18.0.%d:80", i+1))
		if err != nil {
			b.t.Fatal(err)
		}
		c.Close()
		out[as]++
	}
	return out
}

// Without a route of its own traffic goes by the first gateway, or by all; each is left
// under its own address.
func TestSeveralGateways(t *testing.T) {
	b := newBench2(t)
	r := b.converge()
	if r.Err != nil || len(r.Ports) != 4 || !r.Ports[3].Up || r.Ports[3].ID != "gw2" || r.Ports[3].Revision != 10 {
		t.Errorf("ports %+v, error %v", r.Ports, r.Err)
	}
	b.idle()
	b.seen("10.62.227.10", vmA, "10.62.227.1:80")
	b.seen("10.70.0.10", vmA, "10.70.0.1:80")
	if diff := cmp.Diff(map[string]int{"10.62.227.10": far}, b.ways()); diff != "" {
		t.Errorf("by the first only (-want +got):\n%s", diff)
	}

	b.router().ECMP = true
	want := []string{"ip -n qrouter-r1 route replace default nexthop via 10.62.227.1 dev qg-gw nexthop via 10.70.0.1 dev qg-gw2"}
	if diff := cmp.Diff(want, b.converge().Done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.idle()
	b.restart()
	b.idle()
	ways := b.ways()
	if len(ways) != 2 || ways["10.62.227.10"] == 0 || ways["10.70.0.10"] == 0 {
		t.Errorf("by both: %v", ways)
	}

	b.router().Further = nil
	b.converge()
	b.idle()
	if diff := cmp.Diff(map[string]int{"10.62.227.10": far}, b.ways()); diff != "" {
		t.Errorf("one is left (-want +got):\n%s", diff)
	}
	if links := b.run("ip -n qrouter-r1 -o link"); strings.Contains(links, "qg-gw2") {
		t.Errorf("the device of a gateway that is gone: %s", links)
	}
}

// A floating IP is on the gateway of its network, and an address may have one on each.
func TestFloatingIPsOfSeveralGateways(t *testing.T) {
	b := newBench2(t)
	b.router().ECMP = true
	b.router().FloatingIPs = []host.FloatingIP{on(netExt, fip("f1", "10.62.227.50", "10.0.0.5")), on(netExt2, fip("f2", "10.70.0.50", "10.0.0.5")),
		on(netExt2, fip("f3", "10.70.0.51", "11.0.0.5"))}
	r := b.converge()
	if diff := cmp.Diff(map[string]string{"f1": "ACTIVE", "f2": "ACTIVE", "f3": "ACTIVE"}, r.FloatingIPs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.idle()
	b.seen("10.62.227.1", outside, "10.62.227.50:80")
	b.seen("10.70.0.1", outside2, "10.70.0.50:80")
	b.seen("10.70.0.1", outside2, "10.70.0.51:80")
	b.seen("10.62.227.50", vmA, "10.62.227.1:80")
	b.seen("10.70.0.50", vmA, "10.70.0.1:80")
	b.seen("10.62.227.10", vmB, "10.62.227.1:80") // its floating IP is of another gateway
	b.seen("10.70.0.51", vmB, "10.70.0.1:80")
	b.seen("10.70.0.51", vmB, "10.70.0.50:80") // from one to the other
	ways := b.ways()
	if len(ways) != 2 || ways["10.62.227.50"] == 0 || ways["10.70.0.50"] == 0 {
		t.Errorf("far away it is seen as %v", ways)
	}
	c := b.seen("10.70.0.1", outside2, "10.70.0.50:80")
	b.router().FloatingIPs = b.router().FloatingIPs[:1]
	b.converge()
	b.cut(c)
	b.refused(outside2, "10.70.0.50:80")
	b.seen("10.62.227.1", outside, "10.62.227.50:80")
	b.seen("10.70.0.10", vmA, "10.70.0.1:80")
}

// Two gateways on one network have two addresses there, and both lead by its way out.
func TestTwoGatewaysOnOneNetwork(t *testing.T) {
	b := newBench(t)
	second := routerPort("gw2", netExt, 10, "x=10.62.227.11/24")
	second.MTU, second.Subnets = 1500, b.router().Gateway.Subnets
	b.router().Further, b.router().ECMP = []host.RouterPort{second}, true
	b.run("ip -n " + outside + " addr add 198.18.0.1/32 dev lo")
	for i := range far {
		b.run(fmt.Sprintf("ip -n %s addr replace 198.18.0.%d/32 dev lo", outside, i+1))
	}
	if r := b.converge(); r.Err != nil {
		t.Fatal(r.Err)
	}
	b.idle()
	b.restart()
	b.idle()
	ways := b.ways()
	if len(ways) != 2 || ways["10.62.227.10"] == 0 || ways["10.62.227.11"] == 0 {
		t.Errorf("by both: %v", ways)
	}
	b.run("ip netns exec " + outside + " ping -c1 -W2 10.62.227.10")
	b.run("ip netns exec " + outside + " ping -c1 -W2 10.62.227.11")
}

func TestRoutesOfSeveralGateways(t *testing.T) {
	join := func(r wire.Route, via, device string) wire.Route {
		return r.Join(wire.Hop{Via: netip.MustParseAddr(via), Device: device})
	}
	onLink := wire.Route{Dst: netip.MustParsePrefix("10.62.228.0/24"), Device: "qg-gw"}
	def := wire.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("10.62.227.1"), Device: "qg-gw"}
	same := secondGateway()
	same.NetworkID, same.Subnets = netExt, testRouter().Gateway.Subnets
	same.Addresses = []host.Address{{SubnetID: "x", Prefix: netip.MustParsePrefix("10.62.227.11/24")}}
	far := secondGateway()
	far.Subnets = []host.Subnet{subnet("z", "10.70.0.0/24", "192.0.2.1")}
	mute := secondGateway()
	mute.Subnets = []host.Subnet{subnet("z", "10.70.0.0/24", "")}
	toFar := wire.Route{Dst: netip.MustParsePrefix("192.0.2.1/32"), Device: "qg-gw2"}
	for name, c := range map[string]struct {
		further host.RouterPort
		ecmp    bool
		want    []wire.Route
	}{
		"the first only":            {secondGateway(), false, []wire.Route{onLink, def}},
		"both":                      {secondGateway(), true, []wire.Route{onLink, join(def, "10.70.0.1", "qg-gw2")}},
		"on one network":            {same, true, []wire.Route{onLink, join(def, "10.62.227.1", "qg-gw2")}},
		"a way out beyond the link": {far, true, []wire.Route{onLink, toFar, join(def, "192.0.2.1", "qg-gw2")}},
		"no way out":                {mute, true, []wire.Route{onLink, def}},
	} {
		t.Run(name, func(t *testing.T) {
			r := testRouter()
			r.Further, r.ECMP = []host.RouterPort{c.further}, c.ecmp
			if diff := cmp.Diff(c.want, routesOf(r), cmp.Comparer(wire.Route.Equal)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
