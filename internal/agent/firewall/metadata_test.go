package firewall

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
)

// The metadata service knows its callers by their addresses. So nobody reaches it
// under one that is not his own: not by an address pair, not where he may otherwise
// send under any, and not by the tap of a router.
func TestMetadataIsAskedUnderTheOwnAddress(t *testing.T) {
	w := newWorld(t, netA)
	paired, free := w.vm("a", netA, "10.0.0.1", 1, "g"), w.vm("b", netA, "10.0.0.2", 2)
	service := w.vm("c", netA, "10.0.0.3", 3)
	free.port.PortSecurity, service.port.PortSecurity = false, false
	victim := netip.MustParseAddr("10.0.0.5")
	paired.port.Pairs = []host.AllowedPair{{MAC: paired.mac, Prefix: netip.PrefixFrom(victim, 32)},
		{MAC: paired.mac, Prefix: netip.MustParsePrefix("10.9.0.0/16")}}
	router := w.vm("d", netA, "10.0.0.4", 4)
	w.state.Routers = []host.Router{{ID: "r", Interfaces: []host.RouterPort{{PortID: router.port.ID, NetworkID: netA}}}}
	delete(w.vms, "d") // its port is the router's
	w.converge(group("g"))
	// As TCP is, so that tracking finds nothing to refuse.
	to := func(dst, src netip.Addr) []byte { return ipv4(src, dst, unix.IPPROTO_UDP, udpData(4000, 80, "token")) }
	question := func(src netip.Addr) []byte { return to(metadata, src) }
	tagged := func(tags int, vid byte, ip []byte) []byte {
		var b []byte
		for range tags - 1 {
			b = append(b, 0, vid, 0x81, 0)
		}
		return append(append(b, 0, vid, 8, 0), ip...)
	}
	plain := func(v *vm, src weft.MAC, ip []byte) []byte { return frame(src, service.mac, unix.ETH_P_IP, ip) }
	for _, tc := range []struct {
		name  string
		from  *vm
		frame []byte
		want  bool
	}{
		{"its own", paired, plain(paired, paired.mac, question(paired.addr)), true},
		{"a pair's address", paired, plain(paired, paired.mac, question(victim)), false},
		{"a pair's, not for metadata", paired, plain(paired, paired.mac, to(service.addr, victim)), true},
		{"of a pair's prefix", paired, plain(paired, paired.mac, question(netip.MustParseAddr("10.9.0.5"))), false},
		{"its own, unfiltered", free, plain(free, free.mac, question(free.addr)), true},
		{"another's, unfiltered", free, plain(free, free.mac, question(victim)), false},
		{"another's, unfiltered, not for metadata", free, plain(free, free.mac, to(service.addr, victim)), true},
		{"under another MAC", free, plain(free, weft.MAC{2, 0, 0, 0, 0, 9}, question(free.addr)), false},
		{"another's, by a tag of no VLAN", free, frame(free.mac, service.mac, unix.ETH_P_8021Q, tagged(1, 0, question(victim))), false},
		{"another's, by two tags of no VLAN", free, frame(free.mac, service.mac, unix.ETH_P_8021Q, tagged(2, 0, question(victim))),
			false},
		{"two tags of VLANs", free, frame(free.mac, service.mac, unix.ETH_P_8021Q, tagged(2, 7, to(service.addr, victim))), true},
		{"what a router sends on", router, plain(router, router.mac, question(victim)), false},
		{"what a router sends on, not for metadata", router, plain(router, router.mac, to(service.addr, victim)), true},
	} {
		if got := tc.from.arrives(service, tc.frame, "token"); got != tc.want {
			t.Errorf("%s passes: %v, want %v", tc.name, got, tc.want)
		}
	}
}
