package dhcp

import (
	"bytes"
	"fmt"
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
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/vishvananda/netns"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/host"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// bench is a host in a namespace of its own, with the bridge of one network and
// a client on it. The test's goroutine is on the host.
type bench struct {
	t       *testing.T
	host    string // namespace
	guest   string // namespace, with eth0
	state   *host.State
	network *host.Network
	set     Settings
}

func newBench(t *testing.T) *bench {
	t.Helper()
	hosttest.Need(t, "ip")
	n := network()
	n.ID = uuid.NewString()
	n.DHCP.PortID = uuid.NewString()
	b := &bench{t: t, host: "wt-h" + n.ID[:8], guest: "wt-g" + n.ID[:8], state: &host.State{Networks: []host.Network{*n}}}
	b.network = &b.state.Networks[0]
	bridge := host.BridgeName(n.ID)
	t.Cleanup(func() {
		for _, ns := range []string{b.guest, host.DHCPNamespace(n.ID), b.host} {
			exec.Command("ip", "netns", "del", ns).Run()
		}
	})
	b.run("ip netns add " + b.host)
	b.run("ip netns add " + b.guest)
	b.enter()
	b.run("ip link add " + bridge + " type bridge forward_delay 0")
	b.run("ip link set " + bridge + " addrgenmode none up")
	b.run("ip link add tapguest master " + bridge + " type veth peer name eth0 address fa:16:3e:00:00:05 netns " + b.guest)
	b.run("ip link set tapguest up")
	b.inGuest("ip link set eth0 up")
	return b
}

// enter puts the test on the host for good: its thread ends with the test.
func (b *bench) enter() {
	b.t.Helper()
	runtime.LockOSThread()
	ns, err := netns.GetFromName(b.host)
	if err != nil {
		b.t.Fatal(err)
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) run(command string) string {
	b.t.Helper()
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func (b *bench) inGuest(command string) string {
	b.t.Helper()
	return b.run("ip netns exec " + b.guest + " " + command)
}

func (b *bench) inService(command string) string {
	b.t.Helper()
	return b.run("ip netns exec " + host.DHCPNamespace(b.network.ID) + " " + command)
}

func (b *bench) agent() *Agent {
	a := New(slog.New(slog.NewTextHandler(b.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})), b.set)
	b.t.Cleanup(a.Close)
	return a
}

// converge returns what was done, with ids cut out.
func (b *bench) converge(a *Agent) []string {
	b.t.Helper()
	results, err := a.Converge(b.t.Context(), b.state)
	if err != nil {
		b.t.Fatal(err)
	}
	var done []string
	for _, r := range results {
		done = append(done, r.Done...)
	}
	return b.anonymous(done)
}

func (b *bench) anonymous(done []string) []string {
	names := strings.NewReplacer(host.DHCPNamespace(b.network.ID), "QDHCP", host.BridgeName(b.network.ID), "BRQ",
		host.TapName(b.network.DHCP.PortID), "TAP", host.DHCPDevice(b.network.DHCP.PortID), "NS", b.network.DHCP.PortID, "PORT")
	for i := range done {
		done[i] = names.Replace(done[i])
	}
	return done
}

// udhcpc asks for an address with busybox's client and returns what its script
// was told.
func (b *bench) udhcpc() map[string]string {
	b.t.Helper()
	hosttest.Need(b.t, "udhcpc")
	script := filepath.Join(b.t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ \"$1\" = bound ] && env\nexit 0\n"), 0o755); err != nil {
		b.t.Fatal(err)
	}
	out := b.inGuest("udhcpc -f -n -q -t 5 -T 1 -i eth0 -O mtu -O staticroutes -s " + script)
	told := map[string]string{}
	for _, line := range strings.Split(out, "\n") {
		k, v, _ := strings.Cut(line, "=")
		switch k {
		case "ip", "subnet", "router", "dns", "domain", "hostname", "mtu", "staticroutes", "serverid", "lease", "broadcast",
			"siaddr", "boot_file":
			told[k] = strings.TrimSpace(v)
		}
	}
	return told
}

func made() []string {
	return []string{
		"ip netns add QDHCP",
		"ip link add TAP mtu 1450 alias weft:port:PORT addrgenmode none up master BRQ type veth peer name NS address fa:16:3e:00:00:01 netns QDHCP",
		"ip -n QDHCP link set NS up",
		"ip -n QDHCP addr add 10.0.0.2/24 dev NS",
		"ip -n QDHCP addr add 11.0.0.2/20 dev NS",
		"ip -n QDHCP addr add 169.254.169.254/32 dev NS",
		"ip -n QDHCP route replace default via 10.0.0.1 onlink dev NS",
		"listen on NS in QDHCP",
	}
}

func TestBusyboxClient(t *testing.T) {
	b := newBench(t)
	if diff := cmp.Diff(made(), b.converge(b.agent())); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	want := map[string]string{
		"ip": "10.0.0.5", "subnet": "255.255.255.0", "router": "10.0.0.1", "dns": "8.8.8.8 8.8.4.4",
		"domain": "openstacklocal", "hostname": "host-10-0-0-5", "mtu": "1450", "serverid": "10.0.0.2", "siaddr": "10.0.0.2",
		"lease": "86400", "broadcast": "10.0.0.255",
		"staticroutes": "11.0.0.0/20 0.0.0.0 192.168.0.0/16 10.0.0.9 169.254.169.254/32 10.0.0.1 0.0.0.0/0 10.0.0.1",
	}
	if diff := cmp.Diff(want, b.udhcpc()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestISCClient(t *testing.T) {
	hosttest.Need(t, "dhclient")
	b := newBench(t)
	b.converge(b.agent())
	dir := t.TempDir()
	script, leases := filepath.Join(dir, "script"), filepath.Join(dir, "leases")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.inGuest(fmt.Sprintf("dhclient -4 -1 -n -d -sf %s -lf %s -pf %s/pid -cf /dev/null eth0 2>&1 || true", script, leases, dir))
	b.inGuest(fmt.Sprintf("timeout 20 dhclient -4 -1 -sf %s -lf %s -pf %s/pid -cf /dev/null eth0", script, leases, dir))
	b.run("kill $(cat " + dir + "/pid)")
	lease, err := os.ReadFile(leases)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"fixed-address 10.0.0.5;", "option subnet-mask 255.255.255.0;", "option routers 10.0.0.1;",
		"option domain-name-servers 8.8.8.8,8.8.4.4;", "option domain-name \"openstacklocal\";",
		"option dhcp-lease-time 86400;", "option dhcp-server-identifier 10.0.0.2;", "option interface-mtu 1450;",
	} {
		if !strings.Contains(string(lease), want) {
			t.Errorf("no %q in\n%s", want, lease)
		}
	}
}

// TestRestart has a second agent take over from the first: nothing in the kernel
// is touched but the socket.
func TestRestart(t *testing.T) {
	b := newBench(t)
	first := b.agent()
	b.converge(first)
	look := func() string {
		all := b.run("ip -o link show "+host.TapName(b.network.DHCP.PortID)) + b.inService("ip -o link") +
			b.inService("ip -o addr") + b.inService("ip route")
		return strings.ReplaceAll(all, "tentative ", "") // which passes with time
	}
	before := look()
	first.Close()
	second := b.agent()
	if diff := cmp.Diff([]string{"listen on NS in QDHCP"}, b.converge(second)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff(before, look()); diff != "" {
		t.Errorf("the restart changed the kernel: -before +after\n%s", diff)
	}
	if got := b.udhcpc()["ip"]; got != "10.0.0.5" {
		t.Errorf("address %q after the restart", got)
	}
	if done := b.converge(second); done != nil {
		t.Errorf("a second look changed something: %q", done)
	}
}

// TestOddOptionsAreToldOnce converges again and again on a network with options that
// cannot be sent.
func TestOddOptionsAreToldOnce(t *testing.T) {
	b := newBench(t)
	var said bytes.Buffer
	a := New(slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn})), Settings{})
	t.Cleanup(a.Close)
	for range 3 {
		b.converge(a)
	}
	if n := strings.Count(said.String(), "options left out"); n != 1 {
		t.Errorf("told %d times: %s", n, said.String())
	}
}

// TestNewLeaseKeepsSocket changes what is known while the server runs.
func TestNewLeaseKeepsSocket(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	b.converge(a)
	b.network.Leases[0].Addresses[0].Prefix = prefix("10.0.0.55/24")
	if done := b.converge(a); done != nil {
		t.Errorf("a new lease changed the host: %q", done)
	}
	if got := b.udhcpc()["ip"]; got != "10.0.0.55" {
		t.Errorf("address %q", got)
	}
}

func TestDriftIsRepaired(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	b.converge(a)
	qdhcp, tap, dev := host.DHCPNamespace(b.network.ID), host.TapName(b.network.DHCP.PortID), host.DHCPDevice(b.network.DHCP.PortID)
	veth := append([]string(nil), made()[1:]...)
	tests := []struct {
		name, harm string
		want       []string
	}{
		{"namespace gone", "ip netns del " + qdhcp, nil},
		{"veth gone", "ip link del " + tap, veth},
		{"down and off the bridge", "ip link set " + tap + " nomaster down", []string{
			"ip link set TAP master BRQ", "ip link set TAP addrgenmode none up",
		}},
		{"inner end down", "ip -n " + qdhcp + " link set " + dev + " down", []string{
			"ip -n QDHCP link set NS up", "ip -n QDHCP route replace default via 10.0.0.1 onlink dev NS",
		}},
		{"wrong MAC, MTU and addresses", "ip -n " + qdhcp + " link set " + dev + " address fa:16:3e:00:00:99 mtu 1400 && " +
			"ip -n " + qdhcp + " addr del 11.0.0.2/20 dev " + dev + " && ip -n " + qdhcp + " addr add 12.0.0.2/24 dev " + dev, []string{
			"ip -n QDHCP link set NS address fa:16:3e:00:00:01", "ip -n QDHCP link set NS mtu 1450",
			"ip -n QDHCP addr add 11.0.0.2/20 dev NS", "ip -n QDHCP addr del 12.0.0.2/24 dev NS",
			"ip -n QDHCP route replace default via 10.0.0.1 onlink dev NS",
		}},
		{"a former port's device", "ip -n " + qdhcp + " link add ns-old type veth peer name old2", []string{"ip -n QDHCP link del ns-old"}},
	}
	for _, tt := range tests {
		b.run(tt.harm)
		done := b.converge(a)
		if diff := cmp.Diff(tt.want, done); diff != "" && tt.want != nil {
			t.Errorf("%s: -want +got\n%s", tt.name, diff)
		}
		if done := b.converge(a); done != nil {
			t.Errorf("%s: not repaired at once: %q", tt.name, done)
		}
		if got := b.udhcpc()["ip"]; got != "10.0.0.5" {
			t.Errorf("%s: address %q after the repair", tt.name, got)
		}
	}
}

// TestServerMoves gives the DHCP port another address of the same subnet.
func TestServerMoves(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	b.converge(a)
	b.network.DHCP.Addresses[0].Prefix = prefix("10.0.0.3/24")
	want := []string{
		"ip -n QDHCP addr add 10.0.0.3/24 dev NS", "ip -n QDHCP addr del 10.0.0.2/24 dev NS",
		"ip -n QDHCP route replace default via 10.0.0.1 onlink dev NS", "listen on NS in QDHCP",
	}
	if diff := cmp.Diff(want, b.converge(a)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if done := b.converge(a); done != nil {
		t.Errorf("not settled: %q", done)
	}
	if got := b.udhcpc()["serverid"]; got != "10.0.0.3" {
		t.Errorf("server %q", got)
	}
}

func TestServiceEnds(t *testing.T) {
	b := newBench(t)
	foreign := "qdhcp-wt-" + b.network.ID[:8]
	b.run("ip netns add " + foreign)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", foreign).Run() })
	a := b.agent()
	b.converge(a)
	b.network.DHCP, b.network = nil, &host.Network{ID: b.network.ID, DHCP: b.network.DHCP}
	var done []string
	results, err := New(slog.Default(), Settings{}).Converge(t.Context(), b.state)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.NetworkID == b.network.ID {
			done = append(done, r.Done...)
		}
	}
	if diff := cmp.Diff([]string{"ip netns del QDHCP"}, b.anonymous(done)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	b.run("ip netns exec " + foreign + " true")
}

// TestForeignThings has somebody else's namespace and device where ours belong.
func TestForeignThings(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	b.run("ip netns add " + host.DHCPNamespace(b.network.ID))
	if _, err := a.Converge(t.Context(), b.state); err == nil || !strings.Contains(err.Error(), "not ours") {
		t.Errorf("a foreign namespace: %v", err)
	}
	b.run("ip netns del " + host.DHCPNamespace(b.network.ID))
	b.run("ip link add " + host.TapName(b.network.DHCP.PortID) + " type veth peer name x")
	b.run("ip link set " + host.TapName(b.network.DHCP.PortID) + " alias other")
	if _, err := a.Converge(t.Context(), b.state); err == nil || !strings.Contains(err.Error(), "not ours") {
		t.Errorf("a foreign device: %v", err)
	}
}

func TestNoBridgeYet(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	bridge := host.BridgeName(b.network.ID)
	b.run("ip link set " + bridge + " name later")
	if _, err := a.Converge(t.Context(), b.state); err == nil || !strings.Contains(err.Error(), "not there") {
		t.Errorf("without a bridge: %v", err)
	}
	b.run("ip link set later name " + bridge)
	if diff := cmp.Diff([]string{"ip link set TAP master BRQ"}, b.converge(a)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := b.udhcpc()["ip"]; got != "10.0.0.5" {
		t.Errorf("address %q", got)
	}
}

func TestNamesAreAnswered(t *testing.T) {
	b := newBench(t)
	b.converge(b.agent())
	b.inGuest("ip addr add 10.0.0.5/24 dev eth0")
	out := b.inGuest("busybox nslookup -type=a host-10-0-0-7.openstacklocal 10.0.0.2")
	if !strings.Contains(out, "10.0.0.7") {
		t.Errorf("nslookup:\n%s", out)
	}
}

// BenchmarkConverge is a look at a host of 100 networks on which all is right,
// with 50 ports each.
func BenchmarkConverge(b *testing.B) {
	hosttest.Need(b, "ip")
	s := &host.State{}
	for i := range 100 {
		n := network()
		n.ID, n.DHCP.PortID = uuid.NewString(), uuid.NewString()
		for j := range 50 {
			n.Leases = append(n.Leases, host.Lease{
				PortID: uuid.NewString(), MAC: weft.MAC{2, 0, 0, 0, byte(i), byte(j)},
				Addresses: []host.Address{{SubnetID: "s2", Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{11, 0, 1, byte(j)}), 20)}},
			})
		}
		s.Networks = append(s.Networks, *n)
		b.Cleanup(func() { exec.Command("ip", "netns", "del", host.DHCPNamespace(n.ID)).Run() })
	}
	a := New(slog.New(slog.DiscardHandler), Settings{})
	defer a.Close()
	start := time.Now()
	a.Converge(b.Context(), s) // the bridges are missing, all the rest is made
	first := time.Since(start)
	for b.Loop() {
		a.Converge(b.Context(), s)
	}
	b.ReportMetric(float64(first.Milliseconds()), "ms/start")
}

// TestGuestsFillNoLog has a guest decline its address without end, and ports with
// options that cannot be.
func TestGuestsFillNoLog(t *testing.T) {
	b := newBench(t)
	var out bytes.Buffer
	a := New(slog.New(slog.NewTextHandler(&out, nil)), Settings{})
	t.Cleanup(a.Close)
	for i := range 100 {
		b.network.Leases[3].Options = append(b.network.Leases[3].Options,
			weft.ExtraDHCPOpt{Name: fmt.Sprint("bad-", i), Value: "x", IPVersion: 4})
	}
	for range 100 {
		b.converge(a)
	}
	decline := message(t, dhcpv4.MessageTypeDecline, "fa:16:3e:00:00:05", requested("10.0.0.5")).ToBytes()
	s := a.servers[b.network.ID]
	for range 10000 {
		s.handle(decline)
	}
	if n := strings.Count(out.String(), "\n"); n == 0 || n > 20 || out.Len() > 20<<10 {
		t.Errorf("%d lines, %d bytes", n, out.Len())
	}
}
