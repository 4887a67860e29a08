package availability

import (
	"net/netip"
	"testing"

	"github.com/weftnet/weft"
)

func TestAddresses(t *testing.T) {
	pool := func(start, end string) weft.AllocationPool {
		return weft.AllocationPool{Start: netip.MustParseAddr(start), End: netip.MustParseAddr(end)}
	}
	for _, c := range []struct {
		cidr  string
		pools []weft.AllocationPool
		want  string
	}{
		{"10.0.0.0/24", nil, "256"},
		{"10.0.0.0/24", []weft.AllocationPool{pool("10.0.0.2", "10.0.0.254")}, "253"},
		{"10.0.0.0/24", []weft.AllocationPool{pool("10.0.0.5", "10.0.0.5"), pool("10.0.0.10", "10.0.0.19")}, "11"},
		{"2001:db8::/64", []weft.AllocationPool{pool("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff")}, "18446744073709551615"},
		{"2001:db8::/32", nil, "79228162514264337593543950336"},
	} {
		s := &weft.Subnet{CIDR: netip.MustParsePrefix(c.cidr), AllocationPools: c.pools}
		if got := Addresses(s).String(); got != c.want {
			t.Errorf("%s %v: %s, want %s", c.cidr, c.pools, got, c.want)
		}
	}
}
