package plug

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/vishvananda/netns"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/dhcp"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/needs"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// bench is a host in a namespace of its own; the test's goroutine is on it.
type bench struct {
	t     *testing.T
	host  string
	guest string
	spec  Spec
}

func newBench(t *testing.T) *bench {
	t.Helper()
	hosttest.Need(t, "ip")
	id := uuid.NewString()
	b := &bench{t: t, host: "wt-h" + id[:8], guest: "wt-g" + id[:8]}
	b.spec = Spec{PortID: id, MAC: weft.MAC{0xfa, 0x16, 0x3e, 0, 0, 5}, MTU: 1450, Namespace: b.guest}
	t.Cleanup(func() {
		for _, ns := range []string{b.guest, b.host} {
			exec.Command("ip", "netns", "del", ns).Run()
		}
	})
	b.run("ip netns add " + b.host)
	runtime.LockOSThread() // for good: the thread ends with the test
	ns, err := netns.GetFromName(b.host)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) run(command string) string {
	b.t.Helper()
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func (b *bench) attach() {
	b.t.Helper()
	if err := Attach(b.t.Context(), b.spec); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) tap() string { return host.TapName(b.spec.PortID) }

func (b *bench) has(command string, want ...string) {
	b.t.Helper()
	out := b.run(command)
	for _, w := range want {
		if !strings.Contains(out, w) {
			b.t.Errorf("%s: no %q in\n%s", command, w, out)
		}
	}
}

func TestAttachIsIdempotent(t *testing.T) {
	b := newBench(t)
	b.attach()
	look := func() string {
		return b.run("(ip -o link show " + b.tap() + "; ip -n " + b.guest + " -o link) | cut -d '<' -f 1")
	}
	b.has("ip -o link show "+b.tap(), "mtu 1450", ",UP", "alias weft:plug:"+b.spec.PortID)
	b.has("ip -n "+b.guest+" -o link", "eth0@", "mtu 1450", "fa:16:3e:00:00:05", "alias weft:netns")
	before := look()
	b.attach()
	if diff := cmp.Diff(before, look()); diff != "" {
		t.Errorf("attaching again changed something: -before +after\n%s", diff)
	}
	if strings.Contains(b.run("ip -o addr show "+b.tap()), "inet6") {
		t.Error("the host end has an address")
	}
	b.spec.MAC[5], b.spec.MTU = 6, 1400
	b.attach()
	b.has("ip -n "+b.guest+" -o link show eth0", "mtu 1400", "fa:16:3e:00:00:06")
	for range 2 {
		if err := Detach(t.Context(), Spec{PortID: b.spec.PortID, Namespace: b.guest}); err != nil {
			t.Fatal(err)
		}
	}
	b.has("ip -o link show "+b.tap()+" 2>&1 || true", "does not exist")
	if strings.Contains(b.run("ip netns"), b.guest) {
		t.Error("the namespace that Attach made is still there")
	}
}

func TestAttachMoves(t *testing.T) {
	b := newBench(t)
	b.attach()
	other := "wt-o" + b.spec.PortID[:8]
	t.Cleanup(func() { exec.Command("ip", "netns", "del", other).Run() })
	b.spec.Namespace, b.spec.Device = other, "net0"
	b.attach()
	b.has("ip -n "+other+" -o link", "net0@")
	if out := b.run("ip -n " + b.guest + " -o link"); strings.Contains(out, "eth0") {
		t.Errorf("the old end is still there:\n%s", out)
	}
}

func TestForeignThingsAreSpared(t *testing.T) {
	b := newBench(t)
	b.run("ip netns add " + b.guest)
	b.attach()
	if err := Detach(t.Context(), Spec{PortID: b.spec.PortID, Namespace: b.guest}); err != nil {
		t.Fatal(err)
	}
	b.has("ip netns", b.guest)

	b.run("ip -n " + b.guest + " link add eth0 type veth peer name other")
	if err := Attach(t.Context(), b.spec); err == nil || !strings.Contains(err.Error(), "has an interface eth0 already") {
		t.Errorf("a foreign eth0: %v", err)
	}
	b.run("ip -n " + b.guest + " link del eth0")
	b.run("ip link add " + b.tap() + " type veth peer name other")
	if err := Attach(t.Context(), b.spec); err == nil || !strings.Contains(err.Error(), "not a plug of ours") {
		t.Errorf("a foreign tap: %v", err)
	}
	if err := Detach(t.Context(), Spec{PortID: b.spec.PortID, Namespace: b.guest}); err == nil {
		t.Error("a foreign tap was detached")
	}
}

func TestSharedNamespaceStays(t *testing.T) {
	b := newBench(t)
	b.attach()
	second := b.spec
	second.PortID, second.Device, second.MAC = uuid.NewString(), "eth1", weft.MAC{0xfa, 0x16, 0x3e, 0, 0, 6}
	if err := Attach(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if err := Detach(t.Context(), Spec{PortID: b.spec.PortID, Namespace: b.guest}); err != nil {
		t.Fatal(err)
	}
	b.has("ip -n "+b.guest+" -o link", "eth1@")
	if err := Detach(t.Context(), Spec{PortID: second.PortID, Namespace: b.guest}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.run("ip netns"), b.guest) {
		t.Error("the empty namespace is still there")
	}
}

func TestTap(t *testing.T) {
	tun, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		needs.Missing(t, "needs /dev/net/tun: %v", err)
	}
	tun.Close()
	b := newBench(t)
	b.spec = Spec{PortID: b.spec.PortID, MTU: 1450, Tap: true}
	b.attach()
	b.attach()
	b.has("ip -d -o link show "+b.tap(), "mtu 1450", "tun type tap", "persist on", "alias weft:plug:"+b.spec.PortID, "UP")
	if err := Detach(t.Context(), Spec{PortID: b.spec.PortID, Namespace: ""}); err != nil {
		t.Fatal(err)
	}
	b.has("ip -o link show "+b.tap()+" 2>&1 || true", "does not exist")
}

func TestSpecIsChecked(t *testing.T) {
	mac := weft.MAC{2}
	for _, s := range []Spec{
		{MAC: mac, Namespace: "x"},
		{PortID: "p", MAC: mac},
		{PortID: "p", Namespace: "x"},
		{PortID: "p", MAC: mac, Namespace: "../x"},
		{PortID: "p", MAC: mac, Namespace: ".."},
		{PortID: "p", Namespace: "x", Tap: true},
	} {
		if err := Attach(t.Context(), s); err == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
}

// network is what the DHCP agent of the bench serves.
func (b *bench) network() *host.State {
	subnet := func(s string) []host.Address {
		return []host.Address{{SubnetID: "s", Prefix: netip.MustParsePrefix(s)}}
	}
	n := host.Network{
		ID: b.spec.PortID, MTU: 1400,
		Subnets: []host.Subnet{{
			ID: "s", CIDR: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1"), Routed: true, EnableDHCP: true,
			DNS:    []netip.Addr{netip.MustParseAddr("9.9.9.9")},
			Routes: []weft.Route{route("192.168.0.0/16", "10.0.0.9")},
		}, {ID: "s2", CIDR: netip.MustParsePrefix("11.0.0.0/24")}},
		DHCP:   &host.DHCP{PortID: uuid.NewString(), MAC: weft.MAC{0xfa, 0x16, 0x3e, 0, 0, 1}, Domain: "openstacklocal", Addresses: subnet("10.0.0.2/24")},
		Leases: []host.Lease{{PortID: b.spec.PortID, MAC: b.spec.MAC, Addresses: subnet("10.0.0.5/24")}},
	}
	b.t.Cleanup(func() { exec.Command("ip", "netns", "del", host.DHCPNamespace(n.ID)).Run() })
	return &host.State{Networks: []host.Network{n}}
}

// TestDHCP asks before anybody answers: the bridge and the server come later.
func TestDHCP(t *testing.T) {
	b := newBench(t)
	b.attach()
	type outcome struct {
		lease Lease
		err   error
	}
	got := make(chan outcome, 1)
	go func() {
		l, err := DHCP(t.Context(), b.guest, "eth0")
		got <- outcome{l, err}
	}()
	state := b.network()
	bridge := host.BridgeName(state.Networks[0].ID)
	b.run("ip link add " + bridge + " type bridge forward_delay 0")
	b.run("ip link set " + bridge + " up && ip link set " + b.tap() + " master " + bridge)
	agent := dhcp.New(slog.New(slog.DiscardHandler), dhcp.Settings{})
	defer agent.Close()
	if _, err := agent.Converge(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	o := <-got
	if o.err != nil {
		t.Fatal(o.err)
	}
	want := Lease{
		Server: netip.MustParseAddr("10.0.0.2"), Address: netip.MustParsePrefix("10.0.0.5/24"), Gateway: netip.MustParseAddr("10.0.0.1"),
		Routes: []weft.Route{route("11.0.0.0/24", "0.0.0.0"), route("192.168.0.0/16", "10.0.0.9"), route("169.254.169.254/32", "10.0.0.1"), route("0.0.0.0/0", "10.0.0.1")},
		DNS:    []netip.Addr{netip.MustParseAddr("9.9.9.9")}, Domain: "openstacklocal", Hostname: "host-10-0-0-5", MTU: 1400, Duration: 24 * time.Hour,
		Resolv: "/etc/netns/" + b.guest + "/resolv.conf",
	}
	if os.MkdirAll(filepath.Dir(want.Resolv), 0o755) != nil {
		want.Resolv = "" // an /etc that cannot be written is no error
	}
	same := cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if diff := cmp.Diff(want, o.lease, same); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if want.Resolv != "" {
		b.has("ip netns exec "+b.guest+" cat /etc/resolv.conf", "nameserver 9.9.9.9\n", "search openstacklocal")
	}
	b.has("ip -n "+b.guest+" -o addr show eth0", "10.0.0.5/24")
	b.has("ip -n "+b.guest+" link show eth0", "mtu 1400")
	b.has("ip -n "+b.guest+" route", "default via 10.0.0.1", "11.0.0.0/24 dev eth0", "192.168.0.0/16 via 10.0.0.9", "169.254.169.254 via 10.0.0.1")

	state.Networks[0].Leases[0].Addresses[0].Prefix = netip.MustParsePrefix("10.0.0.6/24")
	state.Networks[0].Subnets[0].Routes = nil
	if _, err := agent.Converge(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if _, err := DHCP(t.Context(), b.guest, "eth0"); err != nil {
		t.Fatal(err)
	}
	b.has("ip -n "+b.guest+" -o addr show eth0", "10.0.0.6/24")
	for _, gone := range []string{"10.0.0.5", "192.168.0.0"} {
		if out := b.run("ip -n " + b.guest + " addr; ip -n " + b.guest + " route"); strings.Contains(out, gone) {
			t.Errorf("%s is still there:\n%s", gone, out)
		}
	}
	if err := Detach(t.Context(), Spec{PortID: b.spec.PortID, Namespace: b.guest}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/etc/netns/" + b.guest); !os.IsNotExist(err) {
		t.Errorf("/etc/netns/%s: %v", b.guest, err)
	}
}

func TestDHCPEndsWithItsContext(t *testing.T) {
	b := newBench(t)
	b.attach()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := DHCP(ctx, b.guest, "eth0"); err == nil {
		t.Error("an address from nobody")
	}
	if _, err := DHCP(t.Context(), b.guest, "eth7"); err == nil {
		t.Error("an address on no device")
	}
}
