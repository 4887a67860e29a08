package plug

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/weftnet/weft"
)

func route(dest, hop string) weft.Route {
	return weft.Route{Destination: netip.MustParsePrefix(dest), NextHop: netip.MustParseAddr(hop)}
}

func TestNewLease(t *testing.T) {
	base := []dhcpv4.Modifier{
		dhcpv4.WithYourIP(net.IPv4(10, 0, 0, 5)), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 0, 0, 2))), dhcpv4.WithLeaseTime(3600),
		dhcpv4.WithRouter(net.IPv4(10, 0, 0, 1)), dhcpv4.WithDNS(net.IPv4(8, 8, 8, 8)),
	}
	want := Lease{
		Server: netip.MustParseAddr("10.0.0.2"), Address: netip.MustParsePrefix("10.0.0.5/24"), Duration: time.Hour,
		Gateway: netip.MustParseAddr("10.0.0.1"), DNS: []netip.Addr{netip.MustParseAddr("8.8.8.8")},
		Routes: []weft.Route{route("0.0.0.0/0", "10.0.0.1")},
	}
	classless := want
	classless.Routes = []weft.Route{route("11.0.0.0/24", "0.0.0.0"), route("0.0.0.0/0", "10.0.0.9")}
	classless.Gateway = netip.MustParseAddr("10.0.0.9")
	forever := want
	forever.Duration = -1
	tests := []struct {
		name string
		mods []dhcpv4.Modifier
		want Lease
		ok   bool
	}{
		{"router option", nil, want, true},
		{"classless routes take precedence", []dhcpv4.Modifier{dhcpv4.WithGeneric(dhcpv4.OptionClasslessStaticRoute,
			[]byte{24, 11, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9})}, classless, true},
		{"for ever", []dhcpv4.Modifier{dhcpv4.WithLeaseTime(0xffffffff)}, forever, true},
		{"no mask", []dhcpv4.Modifier{dhcpv4.WithoutOption(dhcpv4.OptionSubnetMask)}, Lease{}, false},
		{"no address", []dhcpv4.Modifier{dhcpv4.WithYourIP(net.IPv4zero)}, Lease{}, false},
	}
	for _, tt := range tests {
		ack, err := dhcpv4.New(append(base, tt.mods...)...)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := newLease(ack)
		if ok != tt.ok {
			t.Errorf("%s: ok is %v", tt.name, ok)
		}
		if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.name, diff)
		}
	}
}
