package outside

import (
	"log/slog"
	"net/netip"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/agent/wire"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

var physnets = map[string]string{"provider": "weft-provider"}

func subnet(id, cidr, gateway string) host.Subnet {
	s := host.Subnet{ID: id, CIDR: netip.MustParsePrefix(cidr)}
	s.Gateway, _ = netip.ParseAddr(gateway)
	return s
}

func flat(subnets ...host.Subnet) *host.State {
	return &host.State{Networks: []host.Network{
		{ID: "extnet", MTU: 1500, Segment: host.Segment{Type: weft.TypeFlat, PhysicalNetwork: "provider"}, Subnets: subnets},
		{ID: "appnet", MTU: 1450, Segment: host.Segment{Type: weft.TypeVXLAN, ID: 10}, Subnets: []host.Subnet{subnet("x", "10.0.0.0/24", "10.0.0.1")}},
	}}
}

func ops(p wire.Plan) (out []string) {
	for _, op := range slices.Concat(p.Make, p.Add, p.Remove) {
		out = append(out, op.Text)
	}
	return out
}

func TestPlan(t *testing.T) {
	s := flat(
		subnet("a", "10.62.227.0/24", "10.62.227.1"),
		subnet("b", "10.62.228.0/24", "10.62.228.1"), // a router's interface has it
		subnet("c", "10.62.229.0/24", "192.0.2.1"),
		subnet("d", "10.62.230.0/24", ""),
		subnet("e", "2001:db8::/64", "2001:db8::1"),
		subnet("f", "2001:db8:1::/64", "fe80::1"),
	)
	s.Routers = []host.Router{{Interfaces: []host.RouterPort{{Addresses: []host.Address{{Prefix: netip.MustParsePrefix("10.62.228.1/24")}}}}}}
	got := ops(spaceOf(physnets, s).Plan(wire.Observed{}))
	want := []string{
		"ip netns add weft-outside",
		"ip netns exec weft-outside sysctl -w net.ipv4.ip_forward=1",
		"ip netns exec weft-outside sysctl -w net.ipv6.conf.all.forwarding=1",
		"ip netns exec weft-outside sysctl -w net.ipv4.conf.all.rp_filter=2",
		"ip netns exec weft-outside sysctl -w net.ipv4.conf.all.promote_secondaries=1",
		"ip netns exec weft-outside sysctl -w net.ipv6.conf.default.accept_ra=0",
		"ip link add weft-provider mtu 1500 alias weft:outside:provider addrgenmode none up type veth peer name eth0 mtu 1500 netns weft-outside",
		"ip -n weft-outside link set eth0 up",
		"ip -n weft-outside addr add 10.62.227.1/24 dev eth0",
		"ip -n weft-outside addr add 192.0.2.1/32 dev eth0",
		"ip -n weft-outside addr add 2001:db8::1/64 dev eth0",
		"ip -n weft-outside addr add fe80::1/64 dev eth0",
		"ip -n weft-outside route replace 10.62.228.0/24 dev eth0",
		"ip -n weft-outside route replace 10.62.229.0/24 dev eth0",
		"ip -n weft-outside route replace 10.62.230.0/24 dev eth0",
		"ip -n weft-outside -6 route replace 2001:db8:1::/64 dev eth0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGatewaysAnswerOnTheHost(t *testing.T) {
	hosttest.Need(t, "ip", "ping")
	root, err := link.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	a := New(slog.New(slog.NewTextHandler(t.Output(), nil)), root, physnets)
	defer a.Close()
	if err := a.Prepare(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	converge := func(s *host.State, idle bool) {
		t.Helper()
		done, err := a.Converge(t.Context(), s)
		if err != nil || idle != (len(done) == 0) {
			t.Fatalf("did %q, %v", done, err)
		}
	}
	s := flat(subnet("a", "10.62.227.0/24", "10.62.227.1"), subnet("b", "2001:db8::/64", "2001:db8::1"), subnet("c", "2001:db8:1::/64", "fe80::1"))
	converge(s, false)
	converge(s, true)
	run(t, "ip addr add 10.62.227.9/24 dev weft-provider")
	run(t, "ip -6 addr add 2001:db8::9/64 dev weft-provider nodad")
	run(t, "ping -c1 -W5 10.62.227.1")
	run(t, "ping -c1 -W5 2001:db8::1")
	before, err := root.ByName("weft-provider")
	if err != nil {
		t.Fatal(err)
	}
	converge(flat(), false)
	converge(flat(), true)
	if out, err := exec.Command("ping", "-c1", "-W1", "10.62.227.1").Output(); err == nil {
		t.Errorf("the gateway still answers:\n%s", out)
	}
	if after, err := root.ByName("weft-provider"); err != nil || after.Index != before.Index {
		t.Errorf("interface %d is now %d, %v", before.Index, after.Index, err)
	}
}

func run(t *testing.T, command string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}
