package plug

import (
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/weftnet/weft"
)

// Lease is what a DHCP server told, as it was put in force.
type Lease struct {
	Server   netip.Addr
	Address  netip.Prefix // address and prefix length
	Gateway  netip.Addr   // of the default route; invalid: none
	Routes   []weft.Route // all of them; next hop 0.0.0.0 is "on the link"
	DNS      []netip.Addr
	Domain   string
	Hostname string
	MTU      int           // 0: not told
	Duration time.Duration // negative: for ever
	Resolv   string        // path of the resolv.conf written, if any
}

// newLease reads an acknowledgement. It reports false when that lacks what an
// address needs.
func newLease(ack *dhcpv4.DHCPv4) (Lease, bool) {
	bits, size := ack.SubnetMask().Size()
	addr := address(ack.YourIPAddr)
	if !addr.IsValid() || size != 32 {
		return Lease{}, false
	}
	l := Lease{
		Server:   address(ack.ServerIdentifier()),
		Address:  netip.PrefixFrom(addr, bits),
		Domain:   ack.DomainName(),
		Hostname: ack.HostName(),
		Duration: ack.IPAddressLeaseTime(0),
	}
	for _, ip := range ack.DNS() {
		l.DNS = append(l.DNS, address(ip))
	}
	if mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, ack.Options); err == nil && mtu >= 68 {
		l.MTU = int(mtu)
	}
	if l.Duration == time.Duration(0xffffffff)*time.Second {
		l.Duration = -1
	}
	l.Routes = routes(ack)
	for _, r := range l.Routes {
		if r.Destination.Bits() == 0 {
			l.Gateway = r.NextHop
		}
	}
	return l, true
}

// routes are those of option 121; only without it counts the router of option 3
// (RFC 3442).
func routes(ack *dhcpv4.DHCPv4) []weft.Route {
	var out []weft.Route
	if ack.Options.Has(dhcpv4.OptionClasslessStaticRoute) {
		for _, r := range ack.ClasslessStaticRoute() {
			bits, _ := r.Dest.Mask.Size()
			dest, ok := netip.AddrFromSlice(r.Dest.IP.To4())
			hop, ok2 := netip.AddrFromSlice(r.Router.To4())
			if ok && ok2 {
				out = append(out, weft.Route{Destination: netip.PrefixFrom(dest, bits).Masked(), NextHop: hop})
			}
		}
		return out
	}
	if hops := ack.Router(); len(hops) > 0 {
		any4 := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		out = append(out, weft.Route{Destination: any4, NextHop: address(hops[0])})
	}
	return out
}

// address is ip as a netip.Addr, invalid when there is none or it is 0.0.0.0.
func address(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
