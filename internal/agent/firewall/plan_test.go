package firewall

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

var update = flag.Bool("update", false, "write testdata anew")

// typical is a host with everything on it once.
func typical() *host.State {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	mac := func(n byte) weft.MAC { return weft.MAC{0xfa, 0x16, 0x3e, 0, 0, n} }
	return &host.State{
		Networks: []host.Network{
			{ID: "11111111-1111", Segment: host.Segment{Type: weft.TypeVXLAN, ID: 10}, DHCP: &host.DHCP{PortID: "dhcp1111-1111"}},
			{ID: "22222222-2222", Segment: host.Segment{Type: weft.TypeFlat, PhysicalNetwork: "provider"}},
			{ID: "33333333-3333", Segment: host.Segment{Type: weft.TypeVLAN, PhysicalNetwork: "provider", ID: 7}},
			{ID: "44444444-4444", Segment: host.Segment{Type: weft.TypeVXLAN, ID: 11}},
		},
		Ports: []host.Port{
			{ID: "aaaaaaaa-aaaa", NetworkID: "11111111-1111", MAC: mac(1), Addresses: []netip.Addr{addr("10.0.0.1"), addr("2001:db8::1")}, PortSecurity: true, Groups: []string{"default", "web"}},
			{ID: "bbbbbbbb-bbbb", NetworkID: "22222222-2222", MAC: mac(2), PortSecurity: true, Groups: []string{"raw"}},
			{ID: "cccccccc-cccc", NetworkID: "33333333-3333", MAC: mac(3), Addresses: []netip.Addr{addr("10.3.0.1")}, PortSecurity: true,
				Pairs: []host.AllowedPair{{MAC: mac(9), Prefix: prefix("10.3.0.9/32")}, {MAC: mac(3), Prefix: prefix("10.4.0.0/16")}, {MAC: mac(3), Prefix: prefix("2001:db8:4::/48")}, {MAC: mac(3), Prefix: prefix("0.0.0.0/0")}}},
			{ID: "dddddddd-dddd", NetworkID: "33333333-3333", MAC: mac(4), Addresses: []netip.Addr{addr("10.3.0.4")}},
			{ID: "eeeeeeee-eeee", NetworkID: "44444444-4444", MAC: mac(5), PortSecurity: true, Trusted: true},
		},
		Groups: []host.Group{
			{ID: "default", Stateful: true, Rules: append(anyEgress(),
				host.Rule{ID: "d4", Ingress: true, Protocol: -1, Min: -1, Max: -1, RemoteGroup: "default"},
				host.Rule{ID: "d6", Ingress: true, IPv6: true, Protocol: -1, Min: -1, Max: -1, RemoteGroup: "default"})},
			{ID: "raw", Rules: []host.Rule{
				{ID: "o", IPv6: true, Protocol: 17, Min: 1, Max: 9, Remote: prefix("2001:db8::/32")},
				{ID: "p", Ingress: true, Protocol: 1, Min: 8, Max: 0, Remote: prefix("0.0.0.0/0")},
				{ID: "q", Ingress: true, IPv6: true, Protocol: 1, Min: 128, Max: -1}}},
			{ID: "web", Stateful: true, Rules: []host.Rule{
				{ID: "w", Ingress: true, Protocol: 6, Min: 80, Max: 80, Remote: prefix("192.0.2.0/24")},
				{ID: "x", Ingress: true, Protocol: 6, Min: 8000, Max: 8999},
				{ID: "y", Ingress: true, Protocol: 6, Min: 8000, Max: 8999}, // says the same
				{ID: "z", Ingress: true, Protocol: 112, Min: -1, Max: -1}}},
		},
		Members: map[string][]netip.Prefix{"default": {prefix("10.0.0.1/32"), prefix("10.0.0.2/32"), prefix("10.5.0.0/24"), prefix("2001:db8::1/128")}},
		Routers: []host.Router{{ID: "r", Interfaces: []host.RouterPort{{PortID: "qr111111-1111", NetworkID: "11111111-1111"}, {PortID: "qr444444-4444", NetworkID: "44444444-4444"}},
			Gateway: &host.RouterPort{PortID: "qg222222-2222", NetworkID: "22222222-2222"}}},
	}
}

func TestPlanGolden(t *testing.T) {
	at := somewhere(typical(), map[string]string{"provider": "eth1"})
	at.bridges = map[string]weft.MAC{"22222222-2222": {0x52, 0x54, 0, 0, 0, 1}}
	var got string
	for _, table := range plan(typical(), at, inetTracker{}) {
		got += table.String()
	}
	const file = "testdata/typical.nft"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

// The kernel takes everything that can be in a plan, and a restart finds it right.
func TestTypicalOnKernel(t *testing.T) {
	hosttest.Need(t)
	f := quiet()
	t.Cleanup(func() { f.Cleanup(context.Background()) })
	if err := f.Converge(t.Context(), typical()); err != nil {
		t.Fatal(err)
	}
	filter := plan(typical(), somewhere(typical(), nil), inetTracker{})[1]
	// eth1, three times, and twice eth1.7 are of the physical network
	if ops, err := nft.Open(0).Converge(t.Context(), filter); err != nil || len(ops) != 5 {
		t.Errorf("another process: %v, %v", ops, err)
	}
	if err := f.Cleanup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ours, err := f.nft.Ours(); err != nil || len(ours) > 0 {
		t.Errorf("after Cleanup: %v, %v", ours, err)
	}
}

func TestZones(t *testing.T) {
	var networks []host.Network
	for i := range 5000 {
		networks = append(networks, host.Network{ID: fmt.Sprintf("network-%05d", i)})
	}
	seen := map[uint16]bool{}
	all := zones(networks, nil)
	for id, z := range all {
		if z == 0 || seen[z] {
			t.Fatalf("zone %d of %s", z, id)
		}
		seen[z] = true
	}
	for id, z := range zones(networks[2500:], all) {
		if z != all[id] {
			t.Errorf("%s: zone %d, and %d after others went", id, all[id], z)
		}
	}
	for id, z := range zones(networks, zones(networks[2500:], all)) {
		if id >= "network-02500" && z != all[id] {
			t.Errorf("%s: zone %d, and %d after others came", id, all[id], z)
		}
	}
}

func TestClosed(t *testing.T) {
	ip := netip.MustParseAddr("10.0.0.1")
	rule := rule
	base := func() *host.State {
		return &host.State{
			Networks: []host.Network{{ID: netA}},
			Ports:    []host.Port{{ID: "p", NetworkID: netA, Addresses: []netip.Addr{ip}, PortSecurity: true, Groups: []string{"g"}}},
			Groups:   []host.Group{group("g", rule(6, 80), host.Rule{ID: "m", Ingress: true, Protocol: -1, RemoteGroup: "o"}), group("h", rule(6, 81))},
			Members:  map[string][]netip.Prefix{"o": {netip.MustParsePrefix("10.0.0.2/32")}},
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*host.State)
		want   string
	}{
		{"nothing", func(s *host.State) {}, "none"},
		{"a rule comes", func(s *host.State) { s.Groups[0].Rules = append(s.Groups[0].Rules, rule(6, 443)) }, "none"},
		{"a group comes", func(s *host.State) { s.Ports[0].Groups = []string{"g", "h"} }, "none"},
		{"a member comes", func(s *host.State) { s.Members["o"] = append(s.Members["o"], netip.MustParsePrefix("10.0.0.3/32")) }, "none"},
		{"a rule has another id", func(s *host.State) { s.Groups[0].Rules[2].ID = "zz" }, "none"},
		{"port security goes", func(s *host.State) { s.Ports[0].PortSecurity = false }, "none"},
		{"a rule goes", func(s *host.State) { s.Groups[0].Rules = s.Groups[0].Rules[:2] }, "judged"},
		{"a group goes", func(s *host.State) { s.Ports[0].Groups = nil }, "judged"},
		{"a member goes", func(s *host.State) { s.Members["o"] = nil }, "judged"},
		{"an address goes", func(s *host.State) { s.Ports[0].Addresses = nil }, "gone"},
		{"the port goes", func(s *host.State) { s.Ports = nil }, "gone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := base()
			tc.change(s)
			got := changes(base(), s)
			result := "none"
			switch {
			case len(got.left) > 0:
				result = "gone"
			case got.closed["p"]:
				result = "judged"
			}
			if result != tc.want || got.empty() != (tc.want == "none") {
				t.Errorf("%s (%v), want %s", result, got, tc.want)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	s := typical()
	j := judge{compiler: newCompiler(s)}
	port := &s.Ports[0]
	tuple := func(src string, proto uint8, dport uint16) *conntrack.Tuple {
		return &conntrack.Tuple{Src: netip.MustParseAddr(src), Dst: port.Addresses[0], Protocol: proto, DPort: dport}
	}
	for _, tc := range []struct {
		tuple *conntrack.Tuple
		want  bool
	}{
		{tuple("192.0.2.9", 6, 80), true},
		{tuple("192.0.3.9", 6, 80), false},
		{tuple("192.0.3.9", 6, 8500), true},
		{tuple("192.0.3.9", 17, 8500), false},
		{tuple("10.0.0.2", 17, 8500), true},
		{tuple("10.5.0.2", 17, 8500), true},
		{tuple("192.0.3.9", 112, 0), true},
		{&conntrack.Tuple{Src: netip.MustParseAddr("2001:db8::1"), Dst: port.Addresses[1], Protocol: 58, Type: 128}, true},
		{&conntrack.Tuple{Src: netip.MustParseAddr("2001:db8::2"), Dst: port.Addresses[1], Protocol: 58, Type: 128}, false},
	} {
		if got := j.admits(port, true, tc.tuple); got != tc.want {
			t.Errorf("%+v admitted: %v", tc.tuple, got)
		}
	}
	ping := &conntrack.Tuple{Src: netip.MustParseAddr("192.0.2.1"), Protocol: 1, Type: 8}
	if !j.admits(&s.Ports[1], true, ping) {
		t.Error("echo request refused")
	}
	ping.Type = 13
	if j.admits(&s.Ports[1], true, ping) {
		t.Error("timestamp request admitted")
	}
}

// crowd is a host with n ports in one group that admits itself.
func crowd(n int) *host.State {
	s := &host.State{Networks: []host.Network{{ID: netA}}, Members: map[string][]netip.Prefix{}}
	s.Groups = []host.Group{group("default", host.Rule{ID: "r", Ingress: true, Protocol: -1, Min: -1, Max: -1, RemoteGroup: "default"}), group("web", rule(6, 80), rule(6, 443))}
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		s.Ports = append(s.Ports, host.Port{ID: fmt.Sprintf("%08x-%02x", i, i%256), NetworkID: netA, MAC: weft.MAC{0xfa, 0x16, 0x3e, 0, byte(i >> 8), byte(i)},
			Addresses: []netip.Addr{a}, PortSecurity: true, Groups: []string{"default", "web"}})
		s.Members["default"] = append(s.Members["default"], netip.PrefixFrom(a, 32))
	}
	return s
}

// somewhere is a host that has seen no network before, and is on none itself.
func somewhere(s *host.State, physnets map[string]string) site {
	return site{physnets: physnets, zones: zones(s.Networks, nil)}
}

func quiet() *Firewall {
	return New(slog.New(slog.DiscardHandler), map[string]string{"provider": "eth1"})
}

// One more port is elements only.
func TestOneMorePort(t *testing.T) {
	hosttest.Need(t)
	f := quiet()
	t.Cleanup(func() { f.Cleanup(context.Background()) })
	if err := f.Converge(t.Context(), crowd(1000)); err != nil {
		t.Fatal(err)
	}
	tables := plan(crowd(1001), somewhere(crowd(1), nil), inetTracker{})
	if ops, err := f.nft.Converge(t.Context(), tables[0]); err != nil || len(ops) > 0 {
		t.Errorf("table of tracking: %v, %v", ops, err)
	}
	ops, err := f.nft.Converge(t.Context(), tables[1])
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`add element taps { "tap000003e8-e8" }`,
		`add element askers { "tap000003e8-e8" . fa:16:3e:00:03:e8 . 10.1.3.232 }`,
		`add element zones { "tap000003e8-e8" : 0x7700e36c }`,
		`add element nohost { "tap000003e8-e8" }`,
		`add element filtered { "tap000003e8-e8" }`,
		`add element stateful { fa:16:3e:00:03:e8 }`,
		`add element macs { "tap000003e8-e8" . fa:16:3e:00:03:e8 }`,
		`add element senders4 { "tap000003e8-e8" . fa:16:3e:00:03:e8 . 10.1.3.232 }`,
		`add element senders6 { "tap000003e8-e8" . fa:16:3e:00:03:e8 . fe80::f816:3eff:fe00:3e8 }`,
		`add element out { "tap000003e8-e8" : goto go-25e6ac4c3d17b260 }`,
		`add element in { "tap000003e8-e8" : goto gi-25e6ac4c3d17b260 }`,
		`add element m4-default { 10.1.3.232 }`,
	}
	if diff := cmp.Diff(want, ops); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

// One more prefix of an address group is one element.
func TestOneMorePrefix(t *testing.T) {
	hosttest.Need(t)
	f := quiet()
	t.Cleanup(func() { f.Cleanup(context.Background()) })
	with := func(prefixes ...string) *host.State {
		s := crowd(1)
		s.Groups[1].Rules = append(s.Groups[1].Rules, host.Rule{ID: "a", Ingress: true, IPv6: true, Protocol: -1, Min: -1, Max: -1, RemoteGroup: "addresses"})
		for _, p := range prefixes {
			s.Members["addresses"] = append(s.Members["addresses"], netip.MustParsePrefix(p))
		}
		return s
	}
	if err := f.Converge(t.Context(), with("2001:db8::/32", "2001:db8:1::/48")); err != nil {
		t.Fatal(err)
	}
	tables := plan(with("2001:db8::/32", "2001:db8:1::/48", "2001:db8:2::/48", "10.0.0.0/8"), somewhere(crowd(1), nil), inetTracker{})
	ops, err := f.nft.Converge(t.Context(), tables[1])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"add element m6-addresses-48 { 2001:db8:2:: }"}, ops); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

func BenchmarkThousandPorts(b *testing.B) {
	hosttest.Need(b)
	f, s := quiet(), crowd(1000)
	for b.Loop() {
		if err := f.Converge(b.Context(), s); err != nil {
			b.Fatal(err)
		}
		f.Cleanup(b.Context())
	}
}

func BenchmarkRestartWithThousandPorts(b *testing.B) {
	hosttest.Need(b)
	s := crowd(1000)
	for b.Loop() {
		if err := quiet().Converge(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
	quiet().Cleanup(b.Context())
}

// The way back, which also looks for connections to end, is not counted.
func benchmarkAdding(b *testing.B, s, more *host.State) {
	hosttest.Need(b)
	f := quiet()
	for b.Loop() {
		b.StopTimer()
		if err := f.Converge(b.Context(), s); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := f.Converge(b.Context(), more); err != nil {
			b.Fatal(err)
		}
	}
	f.Cleanup(b.Context())
}

func BenchmarkOneMorePort(b *testing.B) { benchmarkAdding(b, crowd(1000), crowd(1001)) }

func BenchmarkOneMoreMember(b *testing.B) {
	more := crowd(1000)
	more.Members["default"] = crowd(1001).Members["default"]
	benchmarkAdding(b, crowd(1000), more)
}

func BenchmarkOneMemberLess(b *testing.B) {
	less := crowd(1000)
	less.Members["default"] = crowd(999).Members["default"]
	benchmarkAdding(b, crowd(1000), less)
}
