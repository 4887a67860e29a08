package ipam

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/weftnet/weft"
)

func TestGatewayAndPools(t *testing.T) {
	for _, tc := range []struct{ cidr, gateway, pools string }{
		{"10.0.0.0/24", "10.0.0.1", "10.0.0.2-10.0.0.254"},
		{"10.0.0.0/30", "10.0.0.1", "10.0.0.2-10.0.0.2"},
		{"10.0.0.0/31", "10.0.0.1", "10.0.0.0-10.0.0.0"},
		{"10.0.0.7/32", "10.0.0.8", "10.0.0.7-10.0.0.7"},
		{"2001:db8::/64", "2001:db8::", "2001:db8::1-2001:db8::ffff:ffff:ffff:ffff"},
		{"2001:db8::8/126", "2001:db8::8", "2001:db8::9-2001:db8::b"},
	} {
		cidr := netip.MustParsePrefix(tc.cidr)
		gw := Gateway(cidr)
		if gw.String() != tc.gateway {
			t.Errorf("%s: gateway %s, want %s", tc.cidr, gw, tc.gateway)
		}
		if got := text(Pools(cidr, gw)); got != tc.pools {
			t.Errorf("%s: pools %s, want %s", tc.cidr, got, tc.pools)
		}
	}
	cidr := netip.MustParsePrefix("10.0.0.0/24")
	if got := text(Pools(cidr, netip.MustParseAddr("10.0.0.9"))); got != "10.0.0.1-10.0.0.8 10.0.0.10-10.0.0.254" {
		t.Errorf("a gateway in the middle leaves %s", got)
	}
	if got := text(Pools(cidr, netip.MustParseAddr("192.0.2.1"))); got != "10.0.0.1-10.0.0.254" {
		t.Errorf("a gateway elsewhere leaves %s", got)
	}
	if got := text(Pools(cidr, netip.Addr{})); got != "10.0.0.1-10.0.0.254" {
		t.Errorf("no gateway leaves %s", got)
	}
}

func text(pools []weft.AllocationPool) string {
	var out []string
	for _, p := range pools {
		out = append(out, poolText(p))
	}
	return strings.Join(out, " ")
}

func TestAssignable(t *testing.T) {
	for _, tc := range []struct {
		cidr, addr   string
		port, router bool
	}{
		{"10.0.0.0/24", "10.0.0.1", true, true},
		{"10.0.0.0/24", "10.0.0.0", false, false},
		{"10.0.0.0/24", "10.0.0.255", false, false},
		{"10.0.0.0/24", "10.0.1.1", false, false},
		{"10.0.0.0/31", "10.0.0.0", true, true},
		{"2001:db8::/64", "2001:db8::", false, true},
		{"2001:db8::/64", "2001:db8::1", true, true},
		{"2001:db8::/64", "10.0.0.1", false, false},
	} {
		cidr, a := netip.MustParsePrefix(tc.cidr), netip.MustParseAddr(tc.addr)
		if got := Assignable(cidr, a, false); got != tc.port {
			t.Errorf("%s on %s: %v", a, cidr, got)
		}
		if got := Assignable(cidr, a, true); got != tc.router {
			t.Errorf("%s on %s for a router: %v", a, cidr, got)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tc := range []struct {
		from string
		n    uint64
		to   string
	}{
		{"10.0.0.250", 10, "10.0.1.4"},
		{"2001:db8::ffff", 1, "2001:db8::1:0"},
		{"2001:db8:0:0:ffff:ffff:ffff:ffff", 1, "2001:db8:0:1::"},
	} {
		from, to := netip.MustParseAddr(tc.from), netip.MustParseAddr(tc.to)
		if got := add(from, tc.n); got != to {
			t.Errorf("%s + %d = %s", from, tc.n, got)
		}
		if got := count(from, to); got != tc.n+1 {
			t.Errorf("from %s to %s are %d", from, to, got)
		}
	}
	if got := count(netip.MustParseAddr("2001:db8::"), netip.MustParseAddr("2001:db9::")); got != unbounded {
		t.Errorf("a /32 counts %d", got)
	}
	if got := count(netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.1")); got != 0 {
		t.Errorf("nothing counts %d", got)
	}
	s := spanOf([]weft.AllocationPool{
		{Start: netip.MustParseAddr("10.0.0.1"), End: netip.MustParseAddr("10.0.0.3")},
		{Start: netip.MustParseAddr("10.0.0.9"), End: netip.MustParseAddr("10.0.0.9")}})
	if s.size != 4 || s.at(2).String() != "10.0.0.3" || s.at(3).String() != "10.0.0.9" {
		t.Errorf("span of %d: %s %s", s.size, s.at(2), s.at(3))
	}
}
