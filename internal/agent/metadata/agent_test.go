package metadata

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

func TestEndpoints(t *testing.T) {
	s := state()
	s.Routers[0].Interfaces = append(s.Routers[0].Interfaces, interfaceOn("port-a9", "net-a", "sa", "10.0.0.1/24", "10.0.0.1"),
		interfaceOn("port-c", "unknown", "sc", "30.0.0.1/24", "30.0.0.1"))
	one, two := caller{"inst-1", "proj-1"}, caller{"inst-2", "proj-2"}
	a := callers{netip.MustParseAddr("10.0.0.5"): one, netip.MustParseAddr("10.0.0.6"): two}
	want := map[door]endpoint{
		dhcpDoor:                     {"169.254.169.254:80", a},
		{"qrouter-r1", "qr-port-a9"}: {"0.0.0.0:9697", a},
		routerDoor:                   {"0.0.0.0:9697", callers{netip.MustParseAddr("20.0.0.5"): one}},
		{"qrouter-r1", "qr-port-c"}:  {"0.0.0.0:9697", callers{}},
	}
	if diff := cmp.Diff(want, endpoints(s), cmp.AllowUnexported(endpoint{}, caller{}),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// bench is a host with the two namespaces of state(), and a guest on each.
type bench struct {
	t     *testing.T
	state *host.State
	ns    map[string]string // short name -> namespace
}

func newBench(t *testing.T) *bench {
	t.Helper()
	hosttest.Need(t, "ip")
	s := state()
	s.Networks[0].ID = uuid.NewString()
	s.Routers[0].ID = uuid.NewString()
	b := &bench{t: t, state: s, ns: map[string]string{
		"qdhcp": host.DHCPNamespace(s.Networks[0].ID), "qrouter": host.RouterNamespace(s.Routers[0].ID),
		"guest-a": "wt-a" + s.Networks[0].ID[:8], "guest-b": "wt-b" + s.Networks[0].ID[:8],
	}}
	t.Cleanup(func() {
		for _, ns := range b.ns {
			exec.Command("ip", "netns", "del", ns).Run()
		}
	})
	b.join("qdhcp", "ns-dhcp-a", "10.0.0.2/24", "guest-a", "10.0.0.5/24")
	b.run("ip -n " + b.ns["qdhcp"] + " addr add 169.254.169.254/32 dev ns-dhcp-a")
	b.run("ip -n " + b.ns["guest-a"] + " route add 169.254.169.254 dev eth0")
	b.join("qrouter", "qr-port-b2", "20.0.0.1/24", "guest-b", "20.0.0.5/24")
	return b
}

// join connects a device of a service to a guest.
func (b *bench) join(service, device, addr, guest, guestAddr string) {
	b.t.Helper()
	s, g := b.ns[service], b.ns[guest]
	for _, ns := range []string{s, g} {
		b.run("ip netns list | grep -q " + ns + " || ip netns add " + ns)
	}
	b.run("ip -n " + s + " link add " + device + " type veth peer name eth0 netns " + g)
	b.run("ip -n " + s + " addr add " + addr + " dev " + device + " && ip -n " + s + " link set " + device + " up")
	b.run("ip -n " + g + " addr add " + guestAddr + " dev eth0 && ip -n " + g + " link set eth0 up")
}

func (b *bench) run(command string) {
	b.t.Helper()
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		b.t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

func (b *bench) agent(c Config) *Agent {
	b.t.Helper()
	a, err := New(slog.New(slog.NewTextHandler(b.t.Output(), nil)), c)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(a.Close)
	return a
}

func (b *bench) converge(a *Agent) {
	b.t.Helper()
	if err := a.Converge(b.t.Context(), b.state); err != nil {
		b.t.Fatal(err)
	}
}

// get asks from within a guest: the status, and the instance the answer is for.
func (b *bench) get(guest, address, path string) string {
	b.t.Helper()
	var conn net.Conn
	err := netns.Do(b.ns[guest], func() (err error) {
		conn, err = net.DialTimeout("tcp4", address, 2*time.Second)
		return err
	})
	if err != nil {
		return "no connection"
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nX-Instance-ID: forged\r\n\r\n", path)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	return strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", resp.Header.Get(headerInstance)))
}

const meta = "/openstack/latest/meta_data.json"

func TestGuestsAreAnswered(t *testing.T) {
	b := newBench(t)
	a := b.agent(Config{Secret: secret})
	b.converge(a)
	if got := b.get("guest-a", "169.254.169.254:80", meta); got != "200 inst-1" {
		t.Errorf("by the DHCP namespace: %s", got)
	}
	if got := b.get("guest-b", "20.0.0.1:9697", meta); got != "200 inst-1" {
		t.Errorf("by the router: %s", got)
	}
	// Another port takes the address: the open listener knows at once.
	b.state.Networks[0].Leases[0].DeviceID = "inst-9"
	b.converge(a)
	if got := b.get("guest-a", "169.254.169.254:80", meta); got != "200 inst-9" {
		t.Errorf("after the change: %s", got)
	}
	b.state.Networks[0].DHCP = nil
	b.converge(a)
	if got := b.get("guest-a", "169.254.169.254:80", meta); got != "no connection" {
		t.Errorf("after the end: %s", got)
	}
	if got := b.get("guest-b", "20.0.0.1:9697", meta); got != "200 inst-1" {
		t.Errorf("the router meanwhile: %s", got)
	}
}

func TestNewNamespaceOfOldName(t *testing.T) {
	b := newBench(t)
	a := b.agent(Config{Secret: secret})
	b.converge(a)
	b.run("ip netns del " + b.ns["qrouter"])
	if err := a.Converge(t.Context(), b.state); err == nil {
		t.Error("a namespace is missing and nobody says so")
	}
	b.run("ip netns del " + b.ns["guest-b"])
	b.join("qrouter", "qr-port-b2", "20.0.0.1/24", "guest-b", "20.0.0.5/24")
	b.converge(a)
	if got := b.get("guest-b", "20.0.0.1:9697", meta); got != "200 inst-1" {
		t.Errorf("in the new namespace: %s", got)
	}
}

func TestNewDeviceOfOldName(t *testing.T) {
	b := newBench(t)
	a := b.agent(Config{Secret: secret})
	b.converge(a)
	b.run("ip -n " + b.ns["qrouter"] + " link del qr-port-b2")
	if err := a.Converge(t.Context(), b.state); err == nil {
		t.Error("a device is missing and nobody says so")
	}
	b.join("qrouter", "qr-port-b2", "20.0.0.1/24", "guest-b", "20.0.0.5/24")
	b.converge(a)
	if got := b.get("guest-b", "20.0.0.1:9697", meta); got != "200 inst-1" {
		t.Errorf("by the new device: %s", got)
	}
}

// A member attaches his router to a shared network and leads a route for somebody's
// address there to a machine of his own, which has that address: neither does that
// machine get the answers, nor answers that the victim asked for.
func TestAddressByAnotherWay(t *testing.T) {
	b := newBench(t)
	b.ns["thief"] = "wt-t" + b.state.Networks[0].ID[:8]
	b.join("qrouter", "qr-port-c", "30.0.0.1/24", "thief", "30.0.0.7/24")
	b.run("ip -n " + b.ns["thief"] + " addr add 20.0.0.5/32 dev eth0")
	b.run("ip -n " + b.ns["thief"] + " route add 20.0.0.1 dev eth0 src 20.0.0.5")
	b.run("ip -n " + b.ns["qrouter"] + " route add 20.0.0.5/32 via 30.0.0.7")
	b.run("ip netns exec " + b.ns["qrouter"] + " sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.qr-port-c.rp_filter=0 net.ipv4.conf.qr-port-b2.rp_filter=0")
	b.state.Networks = append(b.state.Networks, host.Network{ID: "net-c",
		Leases: []host.Lease{{PortID: "port-c9", DeviceID: "thief", ProjectID: "thief",
			Addresses: []host.Address{{SubnetID: "sc", Prefix: netip.MustParsePrefix("30.0.0.7/24")}}}}})
	r := &b.state.Routers[0]
	r.Interfaces = append(r.Interfaces, interfaceOn("port-c", "net-c", "sc", "30.0.0.1/24", "30.0.0.1"))
	b.converge(b.agent(Config{Secret: secret}))
	if got := b.get("thief", "20.0.0.1:9697", meta); got == "200 inst-1" {
		t.Errorf("the thief is told of %s", got)
	}
	if got := b.get("thief", "30.0.0.1:9697", meta); got != "200 thief" {
		t.Errorf("the thief is told of itself %s", got)
	}
	if got := b.get("guest-b", "20.0.0.1:9697", meta); got != "200 inst-1" {
		t.Errorf("the victim is told %s", got)
	}
}

// Two networks of one range on one router, which its API refuses: each guest is its
// own network's.
func TestSameRangeTwice(t *testing.T) {
	b := newBench(t)
	b.ns["twin"] = "wt-t" + b.state.Networks[0].ID[:8]
	b.join("qrouter", "qr-port-c", "20.0.0.2/24", "twin", "20.0.0.5/24")
	b.run("ip netns exec " + b.ns["qrouter"] + " sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.all.arp_ignore=1")
	b.state.Networks = append(b.state.Networks, host.Network{ID: "net-c",
		Leases: []host.Lease{{PortID: "port-c9", DeviceID: "twin", ProjectID: "p",
			Addresses: []host.Address{{SubnetID: "sc", Prefix: netip.MustParsePrefix("20.0.0.5/24")}}}}})
	r := &b.state.Routers[0]
	r.Interfaces = append(r.Interfaces, interfaceOn("port-c", "net-c", "sc", "20.0.0.2/24", "20.0.0.2"))
	b.converge(b.agent(Config{Secret: secret}))
	if got := b.get("twin", "20.0.0.2:9697", meta); got != "200 twin" {
		t.Errorf("the one is told %s", got)
	}
	if got := b.get("guest-b", "20.0.0.1:9697", meta); got != "200 inst-1" {
		t.Errorf("the other is told %s", got)
	}
}

func TestRestartListensAgain(t *testing.T) {
	b := newBench(t)
	first := b.agent(Config{Secret: secret})
	b.converge(first)
	first.Close()
	b.converge(b.agent(Config{Secret: secret}))
	if got := b.get("guest-a", "169.254.169.254:80", meta); got != "200 inst-1" {
		t.Errorf("after the restart: %s", got)
	}
}

func TestNovaIsAsked(t *testing.T) {
	b := newBench(t)
	nova := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(headerInstance)
		if r.Header.Get(headerSignature) != Sign(secret, id) || r.Header.Get(headerForwarded) != "10.0.0.5" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if id != "inst-1" || r.Header.Get(headerTenant) != "proj-1" || r.URL.Path != meta {
			w.WriteHeader(http.StatusConflict)
		}
	}))
	defer nova.Close()
	b.converge(b.agent(Config{Secret: secret, NovaURL: nova.URL}))
	if got := b.get("guest-a", "169.254.169.254:80", meta); got != "200" {
		t.Errorf("Nova's answer: %s", got)
	}
}

// TestConnectionsAreLimited fills a listener and sees it recover.
func TestConnectionsAreLimited(t *testing.T) {
	sock, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newLimited(sock, 1, 1)
	dial := func() net.Conn {
		c, err := net.Dial("tcp4", sock.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	defer dial().Close()
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer dial().Close()
	second := make(chan error)
	go func() {
		c, err := l.Accept()
		if err == nil {
			c.Close()
		}
		second <- err
	}()
	select {
	case <-second:
		t.Fatal("more connections than slots")
	default:
	}
	first.Close()
	first.Close() // frees its slot once
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	l.slots <- struct{}{}
	go func() { l.Close() }()
	if _, err := l.Accept(); err == nil {
		t.Error("accepted after close")
	}
}
