package neighbours

import (
	"log/slog"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/host"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// Of an address that has another owner, or got one, the former is forgotten: in the
// router's and the service's namespace, of both families. What is right, or what
// nothing is known of, is left alone.
func TestFormerOwnersAreForgotten(t *testing.T) {
	hosttest.Need(t, "ip")
	run := func(command string) string {
		t.Helper()
		out, err := exec.Command("sh", "-c", command).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		return string(out)
	}
	mac := func(b byte) weft.MAC { return weft.MAC{2, 0, 0, 0, 0, b} }
	addresses := func(list ...string) (out []host.Address) {
		for _, a := range list {
			out = append(out, host.Address{Prefix: netip.MustParsePrefix(a)})
		}
		return out
	}
	s := &host.State{
		Networks: []host.Network{{ID: "net", DHCP: &host.DHCP{PortID: "dhcp"}, Leases: []host.Lease{
			{MAC: mac(1), Addresses: addresses("10.0.0.1/24", "2001:db8::1/64")}, {MAC: mac(2), Addresses: addresses("10.0.0.2/24")}}}},
		Ports: []host.Port{{NetworkID: "ext", MAC: mac(5), Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.5")}}},
		Routers: []host.Router{{ID: "r", Interfaces: []host.RouterPort{{PortID: "in", NetworkID: "net"}},
			Gateway: &host.RouterPort{PortID: "out", NetworkID: "ext"}}},
	}
	devices := map[string]string{"qdhcp-net": "ns-dhcp", "qrouter-r": "qr-in"}
	for ns, device := range devices {
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		run("ip netns add " + ns + " && ip -n " + ns + " link add " + device + " type veth peer name far && ip -n " + ns + " link set far up && ip -n " + ns + " link set " + device + " up")
	}
	run("ip -n qrouter-r link add qg-out type veth peer name farther && ip -n qrouter-r link set farther up && ip -n qrouter-r link set qg-out up")
	learn := func(ns, device, addr string, b byte) {
		run("ip -n " + ns + " neigh replace " + addr + " lladdr " + mac(b).String() + " dev " + device + " nud stale")
	}
	knows := func(ns string) string {
		var out []string
		for line := range strings.Lines(run("ip -n " + ns + " neigh show nud stale; ip -n " + ns + " -6 neigh show nud stale")) {
			if f := strings.Fields(line); len(f) > 4 && !strings.Contains(strings.Join(out, " "), f[0]+" ") {
				out = append(out, f[0]+" "+f[4][len(f[4])-1:])
			}
		}
		return strings.Join(out, ", ")
	}
	a := New(slog.New(slog.NewTextHandler(t.Output(), nil)))
	converge := func() {
		t.Helper()
		if err := a.Converge(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for ns, device := range devices {
		learn(ns, device, "10.0.0.1", 9)
		learn(ns, device, "2001:db8::1", 9)
		learn(ns, device, "10.0.0.2", 2)
		learn(ns, device, "10.0.0.7", 9)
	}
	learn("qrouter-r", "qg-out", "192.0.2.5", 9)
	converge()
	for ns := range devices {
		got := knows(ns)
		if strings.Contains(got, "10.0.0.1 ") || strings.Contains(got, "2001:db8::1 ") || strings.Contains(got, "192.0.2.5 ") ||
			!strings.Contains(got, "10.0.0.2 2") || !strings.Contains(got, "10.0.0.7 9") {
			t.Errorf("after a start %s knows %s", ns, got)
		}
	}
	// Somebody else says it is his: that is not for us to judge while nothing changes.
	learn("qrouter-r", "qr-in", "10.0.0.1", 8)
	converge()
	if got := knows("qrouter-r"); !strings.Contains(got, "10.0.0.1 8") {
		t.Errorf("what was learned since is forgotten: %s", got)
	}
	s.Networks[0].Leases[0].MAC = mac(3)
	converge()
	if got := knows("qrouter-r"); strings.Contains(got, "10.0.0.1 ") {
		t.Errorf("with another owner the router knows %s", got)
	}
}
