package l3

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

func TestTrafficOfARouter(t *testing.T) {
	b := newBench(t)
	b.router().FloatingIPs = []host.FloatingIP{fip("f1", "10.62.227.20", "11.0.0.5")}
	r := b.converge()
	want := Result{RouterID: routerID, Done: r.Done, FloatingIPs: map[string]string{"f1": weft.StatusActive},
		Ports: []host.PortReport{{ID: "pa", Revision: 1, Up: true}, {ID: "pb", Revision: 2, Up: true}, {ID: "gw", Revision: 9, Up: true}}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.idle()

	b.seen("10.0.0.5", vmA, "11.0.0.5:80")            // inside, untranslated
	b.seen("10.62.227.10", vmA, "10.62.227.1:80")     // out, as the gateway
	b.seen("10.62.227.10", vmA, "10.62.228.1:80")     // out, on the link
	b.seen("10.62.227.1", outside, "10.62.227.20:80") // in
	b.seen("10.62.227.20", vmB, "10.62.227.1:80")     // out, as the floating IP
	b.seen("10.62.227.10", vmA, "10.62.227.20:80")    // round, from one without
	b.seen("10.62.227.20", vmB, "10.62.227.20:80")    // round, to itself

	b.serve(host.RouterNamespace(routerID), ":9697")
	b.seen("10.0.0.5", vmA, "169.254.169.254:80")
	b.refused(vmA, "10.0.0.1:9697")
	b.refused(vmA, "169.254.169.254:81")

	// Nor by a translation to there.
	b.router().FloatingIPs = append(b.router().FloatingIPs, host.FloatingIP{ID: "f2", Floating: netip.MustParseAddr("10.62.227.21")})
	b.router().Forwardings = []host.Forwarding{{Floating: netip.MustParseAddr("10.62.227.21"), Protocol: tcp,
		External: weft.PortRange{First: 80, Last: 80},
		Fixed:    netip.MustParseAddr("10.0.0.1"), Internal: weft.PortRange{First: 9697, Last: 9697}}}
	b.converge()
	b.refused(vmA, "10.62.227.21:80")
	b.seen("10.0.0.5", vmA, "169.254.169.254:80")
}

func TestWithoutSNAT(t *testing.T) {
	b := newBench(t)
	b.router().SNAT = false
	b.run("ip -n " + outside + " route add 10.0.0.0/24 via 10.62.227.10")
	b.converge()
	b.seen("10.0.0.5", vmA, "10.62.227.1:80")
	b.router().SNAT = true
	b.converge()
	b.seen("10.62.227.10", vmA, "10.62.227.1:80")
	b.idle()
}

func TestExtraRoute(t *testing.T) {
	b := newBench(t)
	b.converge()
	b.run("ip -n " + vmB + " addr add 192.168.7.1/32 dev lo")
	b.router().Routes = []weft.Route{{Destination: netip.MustParsePrefix("192.168.7.0/24"), NextHop: netip.MustParseAddr("11.0.0.5")}}
	if diff := cmp.Diff([]string{"ip -n qrouter-r1 route replace 192.168.7.0/24 via 11.0.0.5 dev qr-pb"}, b.converge().Done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.seen("10.0.0.5", vmA, "192.168.7.1:80")
	b.router().Routes = nil
	if diff := cmp.Diff([]string{"ip -n qrouter-r1 route del 192.168.7.0/24 via 11.0.0.5 dev qr-pb"}, b.converge().Done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.refused(vmA, "192.168.7.1:80")
}

// Routes to one destination share its traffic, of both families, and what is left of
// them takes all.
func TestSeveralWays(t *testing.T) {
	b := newBench(t)
	b.router().Interfaces[1] = routerPort("pb", netB, 2, "b=11.0.0.1/24", "b6=2001:db8:b::1/64")
	b.converge()
	b.run("ip -n " + vmB + " addr add 11.0.0.6/24 dev eth0")
	extra := func(dst, via string) weft.Route {
		return weft.Route{Destination: netip.MustParsePrefix(dst), NextHop: netip.MustParseAddr(via)}
	}
	b.router().Routes = []weft.Route{extra("192.168.7.0/24", "11.0.0.6"), extra("192.168.7.0/24", "11.0.0.5"),
		extra("2001:db8:7::/64", "2001:db8:b::5"), extra("2001:db8:7::/64", "2001:db8:b::6")}
	want := []string{"ip -n qrouter-r1 route replace 192.168.7.0/24 nexthop via 11.0.0.5 dev qr-pb nexthop via 11.0.0.6 dev qr-pb",
		"ip -n qrouter-r1 -6 route replace 2001:db8:7::/64 nexthop via 2001:db8:b::5 dev qr-pb nexthop via 2001:db8:b::6 dev qr-pb"}
	if diff := cmp.Diff(want, b.converge().Done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.idle()
	b.restart()
	b.idle()
	ways := map[string]bool{}
	for i := range 64 {
		fields := strings.Fields(b.run(fmt.Sprintf("ip -n qrouter-r1 route get 192.168.7.%d from 10.0.0.5 iif qr-pa", i+1)))
		ways[fields[slices.Index(fields, "via")+1]] = true
		b.run(fmt.Sprintf("ip -n %s addr add 192.168.7.%d/32 dev lo", vmB, i+1))
	}
	if !ways["11.0.0.5"] || !ways["11.0.0.6"] {
		t.Errorf("of two ways the kernel takes %v", ways)
	}
	for i := range 8 {
		b.seen("10.0.0.5", vmA, fmt.Sprintf("192.168.7.%d:80", i+1))
	}
	b.router().Routes = []weft.Route{extra("192.168.7.0/24", "11.0.0.6")}
	want = []string{"ip -n qrouter-r1 route replace 192.168.7.0/24 via 11.0.0.6 dev qr-pb",
		"ip -n qrouter-r1 -6 route del 2001:db8:7::/64 nexthop via 2001:db8:b::5 dev qr-pb nexthop via 2001:db8:b::6 dev qr-pb"}
	if diff := cmp.Diff(want, b.converge().Done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.idle()
	b.seen("10.0.0.5", vmA, "192.168.7.1:80")
}

func TestIPv6(t *testing.T) {
	b := newBench(t)
	b.router().Interfaces[0] = routerPort("pa", netA, 1, "a=10.0.0.1/24", "a6=2001:db8:a::1/64")
	b.router().Interfaces[1] = routerPort("pb", netB, 2, "b=11.0.0.1/24", "b6=2001:db8:b::1/64")
	g := b.router().Gateway
	g.Addresses = append(g.Addresses, host.Address{SubnetID: "z", Prefix: netip.MustParsePrefix("2001:db8:e::10/64")})
	g.Subnets = append(g.Subnets, subnet("z", "2001:db8:e::/64", "2001:db8:e::1"))
	for ns, n := range map[string]string{vmA: "a", vmB: "b", outside: "e"} {
		b.run("ip -n " + ns + " -6 addr add 2001:db8:" + n + "::5/64 dev eth0 nodad")
		b.run("ip -n " + ns + " -6 route add default via 2001:db8:" + n + "::1 || true")
	}
	b.run("ip -n " + outside + " -6 addr add 2001:db8:e::1/64 dev eth0 nodad")
	b.run("ip -n " + outside + " -6 route add 2001:db8:a::/64 via 2001:db8:e::10")
	b.converge()
	b.seen("2001:db8:a::5", vmA, "[2001:db8:b::5]:80")
	b.seen("2001:db8:a::5", vmA, "[2001:db8:e::1]:80")
	b.idle()
}

func TestFloatingIPComesAndGoes(t *testing.T) {
	b := newBench(t)
	b.converge()
	b.router().FloatingIPs = []host.FloatingIP{fip("f1", "10.62.227.20", "11.0.0.5")}
	want := []string{
		"nft add element floating { 10.62.227.20 : 11.0.0.5 }",
		"nft add element fixed { 11.0.0.5 : 10.62.227.20 }",
		"ip -n qrouter-r1 addr add 10.62.227.20/32 dev qg-gw",
		"ip netns exec qrouter-r1 arping -c 3 -U -I qg-gw 10.62.227.20",
	}
	if diff := cmp.Diff(want, b.converge().Done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	in := b.seen("10.62.227.1", outside, "10.62.227.20:80")
	out := b.seen("10.62.227.20", vmB, "10.62.227.1:80")
	other := b.seen("10.62.227.10", vmA, "10.62.227.1:80")

	// Another floating IP, and a restart, do not concern it.
	b.restart()
	b.router().FloatingIPs = append(b.router().FloatingIPs, fip("f2", "10.62.228.20", "10.0.0.5"))
	b.converge()
	b.seen("10.62.228.1", outside, "10.62.228.20:80")
	b.alive(in)
	b.alive(out)
	b.alive(other)

	// It moves to another fixed address.
	b.router().FloatingIPs = []host.FloatingIP{fip("f1", "10.62.227.20", "10.0.0.5")}
	b.converge()
	b.cut(in)
	b.cut(out)
	b.alive(other)
	in = b.seen("10.62.227.1", outside, "10.62.227.20:80")

	// It goes.
	b.router().FloatingIPs = nil
	b.converge()
	b.cut(in)
	b.refused(outside, "10.62.227.20:80")
	b.alive(other)
	b.idle()
}

// A process that dies after a floating IP was given to another, and before the
// connections were forgotten, leaves that to the next.
func TestConnectionsOfAFormerLifeAreForgotten(t *testing.T) {
	b := newBench(t)
	b.router().FloatingIPs = []host.FloatingIP{fip("f1", "10.62.227.20", "11.0.0.5")}
	b.converge()
	in := b.seen("10.62.227.1", outside, "10.62.227.20:80")
	b.router().FloatingIPs[0].Fixed = netip.MustParseAddr("10.0.0.5")
	ns, err := netns.Open(host.RouterNamespace(routerID))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if _, err := nft.Open(ns.FD()).Converge(t.Context(), tableOf(b.router())); err != nil {
		t.Fatal(err)
	}
	b.alive(in)
	b.restart()
	b.idle()
	b.agent.checks.Wait()
	b.cut(in)
	b.seen("10.62.227.1", outside, "10.62.227.20:80")
}

func TestRestartTouchesNothing(t *testing.T) {
	b := newBench(t)
	b.router().FloatingIPs = []host.FloatingIP{fip("f1", "10.62.227.20", "11.0.0.5")}
	b.converge()
	in := b.seen("10.62.227.1", outside, "10.62.227.20:80")
	before := b.run("ip -n qrouter-r1 -o link; ip -o link; ip -n qrouter-r1 route")
	b.restart()
	b.idle()
	if diff := cmp.Diff(before, b.run("ip -n qrouter-r1 -o link; ip -o link; ip -n qrouter-r1 route")); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	b.alive(in)
}

func TestDriftIsRepaired(t *testing.T) {
	b := newBench(t)
	b.router().FloatingIPs = []host.FloatingIP{fip("f1", "10.62.227.20", "11.0.0.5")}
	b.converge()
	for _, command := range []string{
		"ip -n qrouter-r1 addr del 10.62.227.20/32 dev qg-gw",
		"ip -n qrouter-r1 link set qr-pb down",
		"ip -n qrouter-r1 route del default",
		"ip -n qrouter-r1 link del qg-gw",
		"ip link set tappa nomaster",
		"ip link set tappa down",
		"ip netns exec qrouter-r1 sysctl -w net.ipv4.ip_forward=0",
		"ip netns del qrouter-r1",
	} {
		b.run(command)
		if len(b.converge().Done) == 0 {
			t.Errorf("%s: nothing was done", command)
		}
		b.idle()
		b.seen("10.0.0.5", vmA, "11.0.0.5:80")
		b.seen("10.62.227.1", outside, "10.62.227.20:80")
		b.seen("10.62.227.10", vmA, "10.62.227.1:80")
	}
}

func TestAdministrativelyDown(t *testing.T) {
	b := newBench(t)
	b.router().FloatingIPs = []host.FloatingIP{fip("f1", "10.62.227.20", "11.0.0.5")}
	b.converge()
	in := b.seen("10.62.227.1", outside, "10.62.227.20:80")
	b.router().AdminUp = false
	r := b.converge()
	if r.FloatingIPs["f1"] != weft.StatusDown || r.Ports[0].Up || r.Ports[0].Reason == "" {
		t.Errorf("got %+v", r)
	}
	b.idle()
	b.cut(in)
	b.refused(vmA, "11.0.0.5:80")
	b.router().AdminUp = true
	b.converge()
	b.idle()
	b.seen("10.62.227.1", outside, "10.62.227.20:80")
	b.seen("10.0.0.5", vmA, "11.0.0.5:80")
}

func TestGatewayChangesAndGoes(t *testing.T) {
	b := newBench(t)
	b.converge()
	out := b.seen("10.62.227.10", vmA, "10.62.227.1:80")
	inside := b.seen("10.0.0.5", vmA, "11.0.0.5:80")
	b.router().Gateway.Addresses[0].Prefix = netip.MustParsePrefix("10.62.227.11/24")
	b.converge()
	b.idle()
	b.seen("10.62.227.11", vmA, "10.62.227.1:80")
	b.cut(out)

	// Another port with another address, on the other subnet.
	gw := routerPort("gw2", netExt, 8, "y=10.62.228.12/24")
	gw.Subnets, gw.MTU = b.router().Gateway.Subnets, 1500
	b.router().Gateway = &gw
	b.converge()
	b.idle()
	b.seen("10.62.228.12", vmA, "10.62.227.1:80")

	b.router().Gateway = nil
	b.converge()
	b.idle()
	b.refused(vmA, "10.62.227.1:80")
	b.alive(inside)
	if out := b.run("ip -n qrouter-r1 route"); strings.Contains(out, "default") {
		t.Errorf("a default route is left:\n%s", out)
	}
}

func TestInterfaceIsReplacedByAnotherPort(t *testing.T) {
	b := newBench(t)
	b.converge()
	b.router().Interfaces[0] = routerPort("pc", netA, 3, "a=10.0.0.1/24")
	b.converge()
	b.idle()
	b.seen("10.0.0.5", vmA, "11.0.0.5:80") // announced: the guest knew the other's MAC
	if _, err := b.root.ByName("tappa"); err == nil {
		t.Error("the old port's tap is left")
	}
}

func TestBridgeComesLater(t *testing.T) {
	b := newBench(t)
	b.run("ip link del " + host.BridgeName(netB))
	results, err := b.agent.Converge(t.Context(), b.state)
	if err == nil || !strings.Contains(err.Error(), "bridge brqnetb is not there") {
		t.Errorf("got %v", err)
	}
	want := []host.PortReport{{ID: "pa", Revision: 1, Up: true}, {ID: "pb", Revision: 2, Reason: "bridge brqnetb is not there"}, {ID: "gw", Revision: 9, Up: true}}
	if diff := cmp.Diff(want, results[0].Ports); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.run("ip link add brqnetb type bridge forward_delay 0 && ip link set brqnetb up && ip link set v" + vmB + " master brqnetb")
	if diff := cmp.Diff([]string{"ip link set tappb master brqnetb"}, b.converge().Done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.seen("10.0.0.5", vmA, "11.0.0.5:80")
}

func TestForeignThingsAreLeftAlone(t *testing.T) {
	b := newBench(t)
	b.run("ip link add tappa type bridge") // a name of ours, but not our mark
	b.run("ip netns add qrouter-other")
	t.Cleanup(func() { exec.Command("sh", "-c", "ip link del tappa; ip netns del qrouter-other").Run() })
	results, err := b.agent.Converge(t.Context(), b.state)
	if err == nil {
		t.Error("no error")
	}
	if p := results[0].Ports; p[0].Up || !p[1].Up || !p[2].Up {
		t.Errorf("got %+v", p)
	}
	b.run("ip link show tappa type bridge")
	b.run("ip netns exec qrouter-other true")
	b.seen("10.62.227.1", outside, "10.62.227.1:80")
	b.state.Routers = append(b.state.Routers, host.Router{ID: "other", AdminUp: true})
	results, _ = b.agent.Converge(t.Context(), b.state)
	if results[1].Err == nil {
		t.Error("took over a namespace that is not ours")
	}
	b.run("ip link del tappa")
}

func TestRouterGoes(t *testing.T) {
	b := newBench(t)
	b.converge()
	b.serve(host.RouterNamespace(routerID), ":9697") // a socket keeps a namespace alive
	s := b.state
	b.state = &host.State{}
	b.restart()
	if diff := cmp.Diff([]string{"ip netns del qrouter-r1"}, b.converge().Done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if out := b.run("ip -o link"); strings.Contains(out, "tap") {
		t.Errorf("taps are left:\n%s", out)
	}
	b.state = s
	b.converge()
	b.idle()
	b.seen("10.0.0.5", vmA, "11.0.0.5:80")
}

func TestAnnouncesWhatIsNewOnly(t *testing.T) {
	b := newBench(t)
	b.converge()
	b.restart() // what the first announced is over
	b.run("ip netns exec " + outside + " ping -c1 -W5 10.62.227.10")
	var conn *packet.Conn
	err := netns.Do(outside, func() error {
		nic, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		conn, err = packet.Listen(nic, packet.Raw, unix.ETH_P_ARP, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b.router().FloatingIPs = []host.FloatingIP{fip("f1", "10.62.227.20", "11.0.0.5")}
	b.converge()
	b.idle()
	heard := func() netip.Addr {
		buf := make([]byte, 128)
		for {
			conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				t.Fatal(err)
			}
			if n >= 42 && slices.Equal(buf[28:32], buf[38:42]) { // sender's and target's address
				a, _ := netip.AddrFromSlice(buf[28:32])
				return a
			}
		}
	}
	for range 6 { // three times, in two forms
		if got := heard(); got != netip.MustParseAddr("10.62.227.20") {
			t.Errorf("heard of %s", got)
		}
	}
}

func TestFiftyRouters(t *testing.T) {
	const n = 50
	b := newBench(t)
	b.state.Routers = nil
	for i := range n {
		r := testRouter()
		r.ID = fmt.Sprintf("n%02d", i)
		r.Gateway.PortID, r.Gateway.MAC[3] = "g"+r.ID, byte(i)
		r.Gateway.Addresses[0].Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 62, 227, byte(100 + i)}), 24)
		r.Interfaces = r.Interfaces[:1]
		r.Interfaces[0].PortID, r.Interfaces[0].MAC[3] = "i"+r.ID, byte(i)
		r.Interfaces[0].Addresses[0].Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(100 + i)}), 24)
		r.FloatingIPs = []host.FloatingIP{fip("f"+r.ID, fmt.Sprintf("10.62.227.%d", 200+i), "10.0.0.5")}
		b.state.Routers = append(b.state.Routers, *r)
	}
	t.Cleanup(func() {
		b.agent.Converge(t.Context(), &host.State{})
	})
	pass := func(what string) {
		t.Helper()
		start := time.Now()
		results, err := b.agent.Converge(t.Context(), b.state)
		if err != nil {
			t.Fatal(err)
		}
		ops := 0
		for _, r := range results {
			ops += len(r.Done)
		}
		t.Logf("%s: %d operations in %v", what, ops, time.Since(start))
		if what != "made" && what != "deleted" && ops != 0 {
			t.Errorf("%s: %d operations", what, ops)
		}
	}
	pass("made")
	pass("again")
	b.restart()
	pass("adopted")
	for _, i := range []int{0, n - 1} {
		b.run(fmt.Sprintf("ip netns exec %s ping -c1 -W5 10.62.227.%d", outside, 100+i))
		b.run("ip -n " + vmA + fmt.Sprintf(" route replace default via 10.0.0.%d", 100+i))
		b.seen(fmt.Sprintf("10.62.227.%d", 200+i), vmA, "10.62.227.1:80")
	}
	b.state = &host.State{}
	pass("deleted")
	if out := b.run("ip netns list"); strings.Contains(out, "qrouter-") {
		t.Errorf("left:\n%s", out)
	}
}

// The agent of a host without a bridge or a namespace has nothing to fear.
func TestNothing(t *testing.T) {
	hosttest.Need(t)
	root, err := link.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	a := New(slog.New(slog.DiscardHandler), root)
	defer a.Close()
	if r, err := a.Converge(t.Context(), &host.State{}); err != nil || len(r) != 0 {
		t.Errorf("got %v, %v", r, err)
	}
}

// Limits count by the address outside, whatever it is translated to.
func TestLimits(t *testing.T) {
	b := newBench(t)
	b.router().FloatingIPs = []host.FloatingIP{fip("f1", "10.62.227.20", "11.0.0.5"), fip("f2", "10.62.227.21", "10.0.0.5")}
	b.converge()
	const sent = 150
	answered := func(ns, addr string) (n int) {
		t.Helper()
		out, _ := exec.Command("ip", "netns", "exec", ns, "ping", "-q", "-c", fmt.Sprint(sent), "-i", "0.002", "-W", "1", "-s", "1400", addr).Output()
		if _, rest, ok := strings.Cut(string(out), "transmitted, "); ok {
			fmt.Sscanf(rest, "%d received", &n)
		}
		return n
	}
	const bucket = (64 << 10) / 1428 // packets of the largest bucket that a slow limit has
	check := func(what, ns, addr string, limited bool) {
		t.Helper()
		n := answered(ns, addr)
		if !limited && n != sent || limited && (n < bucket || n > (bucket+sent)/2) {
			t.Errorf("%s: %d of %d are answered", what, n, sent)
		}
	}
	slow := host.Limits{Kbps: 8}
	b.router().FloatingIPs[0].QoS.Ingress = slow
	b.router().GatewayQoS.Egress = slow
	b.converge()
	check("a floating IP with a limit", outside, "10.62.227.20", true)
	check("a floating IP without", outside, "10.62.227.21", false)
	check("a guest whose floating IP has no limit", vmA, "10.62.227.1", false)
	b.idle()

	b.router().FloatingIPs = b.router().FloatingIPs[:1]
	b.router().FloatingIPs[0].QoS = host.QoS{Egress: slow}
	b.converge()
	check("a guest without a floating IP to the outside", vmA, "10.62.227.1", true)
	check("a guest whose floating IP has a limit", vmB, "10.62.227.1", true)

	b.router().FloatingIPs[0].QoS, b.router().GatewayQoS = host.QoS{}, host.QoS{}
	b.converge()
	check("limits taken away", vmB, "10.62.227.1", false)
	b.idle()
}
