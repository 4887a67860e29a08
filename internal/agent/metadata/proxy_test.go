package metadata

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
)

const secret = "s3cret"

func state() *host.State {
	addr := func(s, subnet string) []host.Address {
		return []host.Address{{SubnetID: subnet, Prefix: netip.MustParsePrefix(s)}}
	}
	return &host.State{
		Host: "h1",
		Networks: []host.Network{
			{
				ID: "net-a", MTU: 1450, DHCP: &host.DHCP{PortID: "dhcp-a", Domain: "openstacklocal"},
				Subnets: []host.Subnet{{ID: "sa", CIDR: netip.MustParsePrefix("10.0.0.0/24"), EnableDHCP: true}},
				Leases: []host.Lease{
					{PortID: "port-a1", DeviceID: "inst-1", ProjectID: "proj-1", MAC: weft.MAC{2, 0, 0, 0, 0, 1}, Hostname: "web", Addresses: addr("10.0.0.5/24", "sa")},
					{PortID: "port-a2", DeviceID: "inst-2", ProjectID: "proj-2", MAC: weft.MAC{2, 0, 0, 0, 0, 2}, Addresses: addr("10.0.0.6/24", "sa")},
					{PortID: "port-a3", DeviceID: "", ProjectID: "proj-2", MAC: weft.MAC{2, 0, 0, 0, 0, 3}, Addresses: addr("10.0.0.7/24", "sa")},
				},
			},
			{
				ID: "net-b", MTU: 1500,
				Subnets: []host.Subnet{{ID: "sb", CIDR: netip.MustParsePrefix("20.0.0.0/24"), Gateway: netip.MustParseAddr("20.0.0.1")}},
				Leases: []host.Lease{
					{PortID: "port-b1", DeviceID: "inst-1", ProjectID: "proj-1", MAC: weft.MAC{2, 0, 0, 0, 1, 1}, Addresses: addr("20.0.0.5/24", "sb")},
					{PortID: "port-b2", DeviceID: "r1", ProjectID: "proj-1", Owner: weft.OwnerRouterInterface, MAC: weft.MAC{2, 0, 0, 0, 1, 2}, Addresses: addr("20.0.0.1/24", "sb")},
				},
			},
		},
		Routers: []host.Router{{ID: "r1", ProjectID: "proj-1",
			Interfaces: []host.RouterPort{interfaceOn("port-b2", "net-b", "sb", "20.0.0.1/24", "20.0.0.1")}}},
	}
}

// interfaceOn is a router's interface in a subnet with a gateway.
func interfaceOn(port, network, subnet, addr, gateway string) host.RouterPort {
	p := netip.MustParsePrefix(addr)
	return host.RouterPort{PortID: port, NetworkID: network, Addresses: []host.Address{{SubnetID: subnet, Prefix: p}},
		Subnets: []host.Subnet{{ID: subnet, CIDR: p.Masked(), Gateway: netip.MustParseAddr(gateway)}}}
}

var (
	dhcpDoor   = door{"qdhcp-net-a", "ns-dhcp-a"}
	routerDoor = door{"qrouter-r1", "qr-port-b2"}
)

// newProxy serves a door of a state, from next.
func newProxy(next http.Handler, s *host.State, at door) *proxy {
	p := &proxy{log: slog.New(slog.DiscardHandler), secret: secret, next: next}
	known := endpoints(s)[at].known
	p.known.Store(&known)
	return p
}

func ask(h http.Handler, method, path, from string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = from
	for k, v := range header {
		r.Header[http.CanonicalHeaderKey(k)] = v
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestProxyVouchesForTheCallerOnly(t *testing.T) {
	var got http.Header
	seen := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header })
	forged := http.Header{
		headerInstance: {"inst-2"}, headerTenant: {"proj-2"}, headerForwarded: {"10.0.0.6"},
		headerSignature: {Sign("guess", "inst-2")}, "X-Metadata-Provider": {"p"},
		"x-instance-id": {"inst-2"}, "Accept": {"text/plain"},
	}
	ask(newProxy(seen, state(), dhcpDoor), "GET", "/latest", "10.0.0.5:40000", forged)
	want := http.Header{}
	want.Set("Accept", "text/plain")
	want.Set("X-Forwarded-For", "10.0.0.5")
	want.Set("X-Instance-ID", "inst-1")
	want.Set("X-Tenant-ID", "proj-1")
	// printf inst-1 | openssl dgst -sha256 -hmac s3cret
	want.Set("X-Instance-ID-Signature", "0423ac5ab426fe85654f33cf6ebc38df4ce8ffe5bf842017ce9f21a5bd299eae")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestProxyKnowsExactlyOne(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get(headerInstance)) })
	twice, elsewhere := state(), state()
	n := &twice.Networks[0]
	n.Leases = append(n.Leases, n.Leases[0])
	elsewhere.Networks[1].Leases[0].Addresses[0].SubnetID = "another"
	tests := []struct {
		name  string
		state *host.State
		at    door
		from  string
		want  int
	}{
		{"an instance", state(), dhcpDoor, "10.0.0.5:1", 200},
		{"mapped address", state(), dhcpDoor, "[::ffff:10.0.0.5]:1", 200},
		{"nobody", state(), dhcpDoor, "10.0.0.99:1", 404},
		{"port without device", state(), dhcpDoor, "10.0.0.7:1", 404},
		{"instance of another network", state(), routerDoor, "10.0.0.5:1", 404},
		{"two ports with the address", twice, dhcpDoor, "10.0.0.5:1", 404},
		{"behind a router", state(), routerDoor, "20.0.0.5:1", 200},
		{"the router itself", state(), routerDoor, "20.0.0.1:1", 404},
		{"in a subnet that the router is not in", elsewhere, routerDoor, "20.0.0.5:1", 404},
	}
	for _, tt := range tests {
		if got := ask(newProxy(ok, tt.state, tt.at), "GET", "/", tt.from, nil).Code; got != tt.want {
			t.Errorf("%s: status %d, want %d", tt.name, got, tt.want)
		}
	}
}

// A router answers those whose gateway it is. Of others that are in a subnet with it
// it knows only its own project's: anybody may attach his router to a shared network.
func TestRouterBesideTheGateway(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})
	for _, tt := range []struct {
		address, project string
		want             int
	}{
		{"20.0.0.1/24", "proj-1", 200},
		{"20.0.0.1/24", "thief", 200}, // gateway of all there
		{"20.0.0.50/24", "proj-1", 200},
		{"20.0.0.50/24", "thief", 404},
		{"20.0.0.50/24", "", 404},
	} {
		s := state()
		s.Routers[0].ProjectID = tt.project
		s.Routers[0].Interfaces[0] = interfaceOn("port-b2", "net-b", "sb", tt.address, "20.0.0.1")
		if got := ask(newProxy(ok, s, routerDoor), "GET", "/", "20.0.0.5:1", nil).Code; got != tt.want {
			t.Errorf("a router of %q at %s: status %d, want %d", tt.project, tt.address, got, tt.want)
		}
	}
}

// A port that names another project's instance as its device is neither that instance
// nor a part of it.
func TestDeviceOfAnotherProject(t *testing.T) {
	s := state()
	n := &s.Networks[0]
	n.Leases = append([]host.Lease{{PortID: "port-a0", DeviceID: "inst-2", ProjectID: "thief", Hostname: "thief",
		Addresses: []host.Address{{SubnetID: "sa", Prefix: netip.MustParsePrefix("10.0.0.9/24")}}}}, n.Leases...)
	b := NewBackend(secret)
	b.Update(s)
	get := func(from, path string) string {
		w := ask(newProxy(b, s, dhcpDoor), "GET", path, from, nil)
		return w.Header().Get(headerTenant) + " " + w.Body.String()
	}
	if got, want := get("10.0.0.6:1", "/latest/meta-data/hostname"), "proj-2 host-10-0-0-6.openstacklocal"; got != want {
		t.Errorf("the instance is told %q, want %q", got, want)
	}
	if got, want := get("10.0.0.6:1", "/latest/meta-data/network/interfaces/macs/"), "proj-2 02:00:00:00:00:02/"; got != want {
		t.Errorf("the instance's ports are %q, want %q", got, want)
	}
	if got, want := get("10.0.0.9:1", "/latest/meta-data/hostname"), "thief thief.openstacklocal"; got != want {
		t.Errorf("the other is told %q, want %q", got, want)
	}
}

func TestNovaStatuses(t *testing.T) {
	for from, want := range map[int]int{200: 200, 400: 400, 403: 403, 404: 404, 409: 409, 500: 500, 301: 500, 401: 500, 503: 500} {
		upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RequestURI() != "/openstack/latest/a%2Fb?x=1" || r.Method != "POST" {
				t.Errorf("Nova was asked %s %s", r.Method, r.URL)
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Set-Cookie", "no")
			w.WriteHeader(from)
			io.WriteString(w, "secret of Nova")
		}))
		n, err := newNova(slog.New(slog.DiscardHandler), upstream.URL)
		if err != nil {
			t.Fatal(err)
		}
		w := ask(newProxy(n, state(), dhcpDoor), "POST", "/openstack/latest/a%2Fb?x=1", "10.0.0.5:1", nil)
		upstream.Close()
		if w.Code != want {
			t.Errorf("Nova's %d became %d, want %d", from, w.Code, want)
		}
		if hidden := !strings.Contains(w.Body.String(), "secret of Nova"); hidden != (want == 500) || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("Nova's %d: body %q, header %v", from, w.Body, w.Header())
		}
	}
}

func TestNovaNotReached(t *testing.T) {
	n, err := newNova(slog.New(slog.DiscardHandler), "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(newProxy(n, state(), dhcpDoor), "GET", "/", "10.0.0.5:1", nil).Code; got != 500 {
		t.Errorf("status %d", got)
	}
	for _, bad := range []string{"", "nova:8775", "ftp://x", "http://", "http://%zz"} {
		if _, err := newNova(slog.New(slog.DiscardHandler), bad); err == nil {
			t.Errorf("URL %q was accepted", bad)
		}
	}
}

// A guest that says no more, as nc does, is still answered.
func TestNovaAnswersWhoOnlyListens(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		io.WriteString(w, "i-1")
	}))
	defer up.Close()
	n, err := newNova(slog.New(slog.DiscardHandler), up.URL)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	n.ServeHTTP(w, httptest.NewRequest("GET", "/latest/meta-data/instance-id", nil).WithContext(ctx))
	if w.Code != http.StatusOK || w.Body.String() != "i-1" {
		t.Errorf("status %d, body %q", w.Code, w.Body)
	}
}

func TestBackendDocuments(t *testing.T) {
	b := NewBackend(secret)
	b.Update(state())
	tests := []struct{ from, path, want string }{
		{"10.0.0.5:1", "/latest/meta-data/instance-id", "inst-1"},
		{"10.0.0.5:1", "/latest/meta-data/local-ipv4", "10.0.0.5"},
		{"10.0.0.5:1", "/2009-04-04/meta-data/hostname", "web.openstacklocal"},
		{"10.0.0.6:1", "/latest/meta-data/hostname", "host-10-0-0-6.openstacklocal"},
		{"10.0.0.5:1", "/latest/meta-data/mac", "02:00:00:00:00:01"},
		{"10.0.0.5:1", "/latest", "meta-data/"},
		{"10.0.0.6:1", "/latest/meta-data/", "ami-launch-index\nhostname\ninstance-action\ninstance-id\nlocal-hostname\nlocal-ipv4\nmac\nnetwork/\nplacement/\npublic-hostname"},
		{"10.0.0.6:1", "/latest/meta-data/network/interfaces/macs/", "02:00:00:00:00:02/"},
		{"10.0.0.5:1", "/latest/meta-data/network/interfaces/macs/02:00:00:00:01:01/local-ipv4s", "20.0.0.5"},
		{"10.0.0.5:1", "/openstack/latest", "meta_data.json\nnetwork_data.json\nvendor_data.json"},
		{"10.0.0.6:1", "/openstack/latest/meta_data.json", `{"uuid":"inst-2","project_id":"proj-2","hostname":"host-10-0-0-6.openstacklocal","name":"host-10-0-0-6","launch_index":0,"availability_zone":"nova","devices":[],"meta":{},"dedicated_cpus":[]}`},
		{"10.0.0.6:1", "/openstack/latest/network_data.json", `{"links":[{"id":"tapport-a2","vif_id":"port-a2","type":"bridge","mtu":1450,"ethernet_mac_address":"02:00:00:00:00:02"}],"networks":[{"id":"network0","link":"tapport-a2","type":"ipv4_dhcp","network_id":"net-a"}],"services":[]}`},
	}
	for _, tt := range tests {
		w := ask(newProxy(b, state(), dhcpDoor), "GET", tt.path, tt.from, nil)
		if w.Code != 200 || w.Body.String() != tt.want {
			t.Errorf("%s: %d %q, want %q", tt.path, w.Code, w.Body, tt.want)
		}
		if w.Header().Get(headerInstance) == "" || w.Header().Get(headerTenant) == "" {
			t.Errorf("%s: the answer does not say for whom it is: %v", tt.path, w.Header())
		}
	}
	for _, path := range []string{"/nothing", "/latest/user-data", "/latest/meta-data/x", "/openstack/2000-01-01", "/openstack/latest/meta_data.json/x"} {
		if w := ask(newProxy(b, state(), dhcpDoor), "GET", path, "10.0.0.5:1", nil); w.Code != 404 {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	if w := ask(newProxy(b, state(), dhcpDoor), "GET", "/", "10.0.0.5:1", nil); !strings.HasSuffix(w.Body.String(), "\nlatest") {
		t.Errorf("versions: %q", w.Body)
	}
	if w := ask(newProxy(b, state(), dhcpDoor), "PUT", "/", "10.0.0.5:1", nil); w.Code != 405 {
		t.Errorf("PUT: status %d", w.Code)
	}
}

func TestBackendTrustsNobody(t *testing.T) {
	b := NewBackend(secret)
	b.Update(state())
	set := func(instance, tenant, signature string) http.Header {
		return http.Header{headerInstance: {instance}, headerTenant: {tenant}, headerSignature: {signature}}
	}
	tests := []struct {
		name   string
		header http.Header
		want   int
	}{
		{"good", set("inst-1", "proj-1", Sign(secret, "inst-1")), 200},
		{"no instance", set("", "proj-1", Sign(secret, "")), 400},
		{"no tenant", set("inst-1", "", Sign(secret, "inst-1")), 400},
		{"signature of another", set("inst-1", "proj-1", Sign(secret, "inst-2")), 403},
		{"another secret", set("inst-1", "proj-1", Sign("x", "inst-1")), 403},
		{"another tenant", set("inst-1", "proj-2", Sign(secret, "inst-1")), 404},
		{"a router", set("r1", "proj-1", Sign(secret, "r1")), 404},
	}
	for _, tt := range tests {
		if got := ask(b, "GET", "/openstack", "127.0.0.1:1", tt.header).Code; got != tt.want {
			t.Errorf("%s: status %d, want %d", tt.name, got, tt.want)
		}
	}
}

func FuzzBackend(f *testing.F) {
	for _, s := range []string{"/", "/openstack/latest/meta_data.json", "/latest/meta-data/network/interfaces", "//", "/a/../b", "/openstack//"} {
		f.Add(s)
	}
	b := NewBackend(secret)
	b.Update(state())
	in := (*b.instances.Load())[caller{"inst-1", "proj-1"}]
	f.Fuzz(func(t *testing.T, path string) {
		body, kind, ok := in.document(path, "10.0.0.5")
		if ok && (len(body) == 0 || kind == "") {
			t.Errorf("%q is an empty document", path)
		}
	})
}
