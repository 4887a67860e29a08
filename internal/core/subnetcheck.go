package core

import (
	"fmt"
	"net/netip"

	"github.com/weftnet/weft"
)

// checkSubnet refuses what cannot be a subnet, whatever else exists. A prefix that
// is not chosen yet is not checked.
func (s *Service) checkSubnet(sn *weft.Subnet, given weft.Given) error {
	for _, check := range []func(*weft.Subnet, weft.Given) error{checkCIDR, checkGateway, s.checkDNS, s.checkRoutes, checkModes} {
		if err := check(sn, given); err != nil {
			return err
		}
	}
	return nil
}

func version(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

func sameVersion(sn *weft.Subnet, name string, a netip.Addr, text fmt.Stringer) error {
	if version(a) != sn.IPVersion {
		return weft.Invalid("%s '%s' does not match the ip_version '%d'", name, text, sn.IPVersion)
	}
	return nil
}

func checkCIDR(sn *weft.Subnet, _ weft.Given) error {
	if !sn.CIDR.IsValid() {
		return nil
	}
	first := sn.CIDR.Masked().Addr()
	if err := sameVersion(sn, "cidr", first, sn.CIDR); err != nil {
		return err
	}
	if first.Is6() && first.IsUnspecified() && sn.SubnetPoolID != delegated {
		return weft.Invalid("IPv6 subnet '::' is not supported")
	}
	if !sn.EnableDHCP {
		return nil
	}
	switch {
	case first.Is4() && sn.CIDR.Bits() > 30, first.Is6() && sn.CIDR.Bits() > 126:
		return weft.Invalid("Subnet has a prefix length that is incompatible with DHCP service enabled")
	case first.IsMulticast():
		return weft.Invalid("Multicast IP subnet is not supported if enable_dhcp is True")
	case first.IsLoopback():
		return weft.Invalid("Loopback IP subnet is not supported if enable_dhcp is True")
	case first.Is4() && first.IsUnspecified():
		return weft.Invalid("First IP '0.0.0.0' of network is not supported if enable_dhcp is True.")
	}
	return nil
}

// checkGateway lets a gateway lie outside the subnet: it is then reached by an
// on-link route.
func checkGateway(sn *weft.Subnet, _ weft.Given) error {
	gw := sn.GatewayIP.Addr
	if !gw.IsValid() {
		return nil
	}
	if err := sameVersion(sn, "gateway_ip", gw, gw); err != nil {
		return err
	}
	if !sn.CIDR.IsValid() || gw.Is6() || sn.CIDR.Bits() >= 31 || !sn.CIDR.Contains(gw) {
		return nil
	}
	if gw == sn.CIDR.Masked().Addr() || !sn.CIDR.Contains(gw.Next()) {
		return weft.Invalid("Gateway is not valid on subnet")
	}
	return nil
}

func (s *Service) checkDNS(sn *weft.Subnet, given weft.Given) error {
	if len(sn.DNSNameservers) > s.cfg.MaxDNSServers {
		return weft.Errorf(weft.BadRequest, "DNSNameServersExhausted",
			"Unable to complete operation for %s. The number of DNS nameservers exceeds the limit %d.", idOr(sn, "new subnet"), s.cfg.MaxDNSServers)
	}
	for _, a := range sn.DNSNameservers {
		if err := sameVersion(sn, "dns_nameserver", a, a); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) checkRoutes(sn *weft.Subnet, given weft.Given) error {
	if len(sn.HostRoutes) > s.cfg.MaxHostRoutes {
		return weft.Errorf(weft.BadRequest, "HostRoutesExhausted",
			"Unable to complete operation for %s. The number of host routes exceeds the limit %d.", idOr(sn, "new subnet"), s.cfg.MaxHostRoutes)
	}
	for _, r := range sn.HostRoutes {
		if err := sameVersion(sn, "nexthop", r.NextHop, r.NextHop); err != nil {
			return err
		}
		if err := sameVersion(sn, "destination", r.Destination.Addr(), r.Destination); err != nil {
			return err
		}
	}
	return nil
}

func idOr(sn *weft.Subnet, otherwise string) string {
	if sn.ID == "" {
		return otherwise
	}
	return sn.ID
}

func checkModes(sn *weft.Subnet, given weft.Given) error {
	ra, addr := sn.IPv6RAMode, sn.IPv6AddressMode
	switch {
	case ra == "" && addr == "":
		return nil
	case sn.IPVersion == 4 && ra != "":
		return weft.Invalid("ipv6_ra_mode is not valid when ip_version is 4")
	case sn.IPVersion == 4:
		return weft.Invalid("ipv6_address_mode is not valid when ip_version is 4")
	case !sn.EnableDHCP && given["enable_dhcp"] && sn.ID == "":
		return weft.Invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
	case ra != "" && addr != "" && ra != addr:
		return weft.Invalid("ipv6_ra_mode set to '%s' with ipv6_address_mode set to '%s' is not valid. "+
			"If both attributes are set, they must be the same value", ra, addr)
	case sn.AutoAddress() && sn.CIDR.IsValid() && sn.CIDR.Bits() != 64:
		return weft.Invalid("Invalid CIDR %s for IPv6 address mode. OpenStack uses the EUI-64 address format, "+
			"which requires the prefix to be /64", sn.CIDR)
	}
	return nil
}
