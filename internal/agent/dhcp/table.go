package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
)

// metadataAddr is where guests look for the metadata service.
const metadataAddr = "169.254.169.254"

// table is everything one network's server knows. It is immutable: a change of
// the network makes a new one.
type table struct {
	servers []netip.Addr // our own IPv4 addresses on the network
	leases  map[weft.MAC]*lease
	names   zone
	project string // whose the network is
	odd     string // what was left out of it, and why
}

// lease is one known client.
type lease struct {
	portID string
	offers []offer // in the order they are preferred; never empty
	extras []extra // of several with one code that are meant for a client the last counts
}

// offer is one address a client may have.
type offer struct {
	addr     netip.Addr
	hostname []byte
	subnet   *subnet
}

// subnet is what all clients of a subnet are told.
type subnet struct {
	id      string
	server  netip.Addr // our address in it
	options dhcpv4.Options
}

// Settings are what all networks of a host have in common.
type Settings struct {
	LeaseTime time.Duration // negative: forever; zero: a day
	// Resolvers answer names that are not the network's own; if there are none,
	// those in ResolvConf. None there, too: such questions are refused, as Neutron
	// does by default.
	Resolvers  []netip.AddrPort
	ResolvConf string // "": none
}

func (s Settings) leaseSeconds() uint32 {
	switch {
	case s.LeaseTime < 0:
		return 0xffffffff
	case s.LeaseTime == 0:
		return 86400
	}
	return uint32(s.LeaseTime / time.Second)
}

// newTable compiles a network whose DHCP is not nil. The errors name options of
// ports that had to be left out; the table is usable whatever they are.
func newTable(n *host.Network, s Settings) (*table, error) {
	t := &table{project: n.ProjectID, leases: make(map[weft.MAC]*lease, len(n.Leases))}
	subnets := make(map[string]*subnet, len(n.Subnets))
	for _, a := range n.DHCP.Addresses {
		server := a.Prefix.Addr()
		i := slices.IndexFunc(n.Subnets, func(s host.Subnet) bool { return s.ID == a.SubnetID })
		if i < 0 || !server.Is4() || !n.Subnets[i].EnableDHCP {
			continue
		}
		t.servers = append(t.servers, server)
		subnets[a.SubnetID] = newSubnet(n, &n.Subnets[i], server, s)
	}
	opts := newOptionTable()
	var errs []error
	for i := range n.Leases {
		l, err := newLease(&n.Leases[i], subnets, opts)
		if err != nil {
			errs = append(errs, err)
		}
		if _, dup := t.leases[n.Leases[i].MAC]; l != nil && !dup {
			t.leases[n.Leases[i].MAC] = l
		}
	}
	t.names = newZone(n)
	return t, some(errs)
}

// some is the first few of errors of which users decide how many there are.
func some(errs []error) error {
	const few = 3
	if len(errs) > few {
		errs = append(errs[:few:few], fmt.Errorf("and %d more", len(errs)-few))
	}
	return errors.Join(errs...)
}

// newLease is nil for a port that has no address to be told.
func newLease(l *host.Lease, subnets map[string]*subnet, opts optionTable) (*lease, error) {
	if !served(l.Owner) {
		return nil, nil
	}
	out := &lease{portID: l.PortID}
	for _, a := range l.Addresses {
		if sn := subnets[a.SubnetID]; sn != nil && a.Prefix.Addr().Is4() {
			name := []byte(hostname(l, a.Prefix.Addr()))
			out.offers = append(out.offers, offer{addr: a.Prefix.Addr(), hostname: name, subnet: sn})
		}
	}
	if len(out.offers) == 0 {
		return nil, nil
	}
	extras, errs := opts.extras(l.Options)
	if out.extras = withTwins(extras); len(errs) > 0 {
		return out, fmt.Errorf("port %s: %w", l.PortID, some(errs))
	}
	return out, nil
}

// codeMicrosoftRoutes is option 121 as old clients of Microsoft ask for it.
const codeMicrosoftRoutes = 249

// withTwins has a port's own routes, or its wish for none, hold for both options that
// carry them, unless it says otherwise.
func withTwins(extras []extra) []extra {
	if slices.ContainsFunc(extras, func(e extra) bool { return e.code == codeMicrosoftRoutes }) {
		return extras
	}
	out := extras
	for _, e := range extras {
		if e.code == dhcpv4.OptionClasslessStaticRoute.Code() {
			e.code = codeMicrosoftRoutes
			out = append(out, e)
		}
	}
	return out
}

// served tells the ports that ask for an address from those that are given
// theirs by an agent.
func served(owner string) bool {
	switch owner {
	case weft.OwnerDHCP, weft.OwnerFloatingIP, "network:router_ha_interface", "network:distributed":
		return false
	}
	return true
}

// hostname is the port's name, or one made from its address as Neutron makes it.
func hostname(l *host.Lease, a netip.Addr) string {
	if name, _, _ := strings.Cut(l.Hostname, "."); name != "" {
		return name
	}
	return "host-" + strings.NewReplacer(".", "-", ":", "-").Replace(a.String())
}

func newSubnet(n *host.Network, s *host.Subnet, server netip.Addr, set Settings) *subnet {
	o := dhcpv4.Options{}
	put := func(code dhcpv4.OptionCode, b []byte) {
		if len(b) > 0 {
			o[code.Code()] = b
		}
	}
	put(dhcpv4.OptionSubnetMask, mask(s.CIDR.Bits()))
	put(dhcpv4.OptionBroadcastAddress, broadcast(s.CIDR))
	put(dhcpv4.OptionServerIdentifier, server.AsSlice())
	put(dhcpv4.OptionDomainName, []byte(n.DHCP.Domain))
	put(dhcpv4.OptionDomainNameServer, nameservers(s, server))
	if n.MTU > 0 && n.MTU <= 0xffff {
		put(dhcpv4.OptionInterfaceMTU, binary.BigEndian.AppendUint16(nil, uint16(n.MTU)))
	}
	gateway, routes := staticRoutes(n, s, server)
	if gateway.IsValid() {
		put(dhcpv4.OptionRouter, gateway.AsSlice())
	}
	put(dhcpv4.OptionClasslessStaticRoute, routes)
	put(dhcpv4.GenericOptionCode(codeMicrosoftRoutes), routes)
	putTimes(o, set.leaseSeconds())
	return &subnet{id: s.ID, server: server, options: o}
}

func putTimes(o dhcpv4.Options, lease uint32) {
	seconds := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	o[dhcpv4.OptionIPAddressLeaseTime.Code()] = seconds(lease)
	if lease == 0xffffffff {
		return
	}
	o[dhcpv4.OptionRenewTimeValue.Code()] = seconds(lease / 2)
	o[dhcpv4.OptionRebindingTimeValue.Code()] = seconds(uint32(uint64(lease) * 7 / 8))
}

func mask(bits int) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(uint64(0xffffffff)<<(32-bits)))
}

func broadcast(p netip.Prefix) []byte {
	net := binary.BigEndian.Uint32(p.Masked().Addr().AsSlice())
	return binary.BigEndian.AppendUint32(nil, net|uint32(uint64(0xffffffff)>>p.Bits()))
}

// nameservers are the subnet's, or ourselves. The user says "none" by 0.0.0.0.
func nameservers(s *host.Subnet, server netip.Addr) []byte {
	var b []byte
	for _, a := range s.DNS {
		if a.IsUnspecified() {
			return nil
		}
		if a.Is4() {
			b = append(b, a.AsSlice()...)
		}
	}
	if len(s.DNS) == 0 {
		return server.AsSlice()
	}
	return b
}

// staticRoutes are the gateway for option 3 and the body of option 121 (and 249,
// which Windows clients ask for). A client that reads 121 must ignore option 3 (RFC
// 3442), so the default route is repeated there as soon as there is any other.
func staticRoutes(n *host.Network, s *host.Subnet, server netip.Addr) (gateway netip.Addr, body []byte) {
	var routes []weft.Route
	gateway = s.Gateway
	for i := range n.Subnets {
		if o := &n.Subnets[i]; o.CIDR.Addr().Is4() && o.CIDR != s.CIDR {
			routes = append(routes, weft.Route{Destination: o.CIDR.Masked(), NextHop: netip.IPv4Unspecified()})
		}
	}
	for _, r := range s.Routes {
		switch {
		case !r.Destination.Addr().Is4() || !r.NextHop.Is4():
		case r.Destination.Bits() > 0:
			routes = append(routes, r)
		case !gateway.IsValid():
			gateway = r.NextHop
		}
	}
	metadata := netip.PrefixFrom(netip.MustParseAddr(metadataAddr), 32)
	if s.Routed {
		routes = append(routes, weft.Route{Destination: metadata, NextHop: s.Gateway})
	} else {
		routes = append(routes, weft.Route{Destination: metadata, NextHop: server})
	}
	if len(routes) > 0 && gateway.IsValid() {
		any4 := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		routes = append(routes, weft.Route{Destination: any4, NextHop: gateway})
	}
	return gateway, encodeRoutes(routes)
}

// encodeRoutes writes routes as RFC 3442 has them: prefix length, only the
// significant bytes of the destination, next hop.
func encodeRoutes(routes []weft.Route) []byte {
	var b []byte
	for _, r := range routes {
		b = append(b, descriptor(r.Destination)...)
		b = append(b, r.NextHop.AsSlice()...)
	}
	return b
}
