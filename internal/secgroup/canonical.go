package secgroup

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/weftnet/weft"
)

// protocols are the names a rule may give its protocol, and their numbers. What
// is not in it can be given as a number.
var protocols = map[string]int{
	"ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "igmp": 2, "ip": 0, "ipip": 4,
	"ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
	"ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}

// Protocol numbers that mean something to a rule.
const (
	protoICMP   = 1
	protoICMPv6 = 58
)

// withPorts are the protocols that have ports.
var withPorts = []int{protocols["dccp"], protocols["sctp"], protocols["tcp"], protocols["udp"], protocols["udplite"]}

// onlyIPv6 are the protocols that do not occur in IPv4, by name and by number.
var onlyIPv6 = []string{"ipv6-encap", "ipv6-frag", "ipv6-icmp", "icmpv6", "ipv6-nonxt", "ipv6-opts", "ipv6-route",
	"41", "44", "58", "59", "60", "43"}

// number is the number of a protocol in canonical form.
func number(protocol weft.ID) int {
	if n, ok := protocols[string(protocol)]; ok {
		return n
	}
	n, err := strconv.Atoi(string(protocol))
	if err != nil {
		return -1
	}
	return n
}

// spellings are the two forms of a protocol that mean the same in a comparison of
// rules: its name and its number. Of the names for 0 it is "ip" that stands for
// the number, of those for 58 "ipv6-icmp", as in Neutron.
func spellings(protocol weft.ID) [2]string {
	p := string(protocol)
	if p == "" {
		return [2]string{}
	}
	if n, named := protocols[p]; named {
		if p == "hopopt" || p == "icmpv6" {
			return [2]string{p, p}
		}
		return [2]string{p, strconv.Itoa(n)}
	}
	for name, n := range protocols {
		if strconv.Itoa(n) == p && name != "hopopt" && name != "icmpv6" {
			return [2]string{name, p}
		}
	}
	return [2]string{p, p}
}

// Protocol brings a protocol into canonical form: a known name in lower case or a
// number from 0 to 255; "any" is the empty one. The error is
// SecurityGroupRuleInvalidProtocol.
func Protocol(p weft.ID) (weft.ID, error) {
	if p == "" || p == "any" {
		return "", nil
	}
	if n, err := strconv.Atoi(string(p)); err == nil {
		if n >= 0 && n <= 255 {
			return weft.ID(strconv.Itoa(n)), nil
		}
	} else if lower := strings.ToLower(string(p)); lower == "any" {
		return "", nil
	} else if _, ok := protocols[lower]; ok {
		return weft.ID(lower), nil
	}
	names := slices.SortedFunc(maps.Keys(protocols), func(a, b string) int { return strings.Compare(listed(a), listed(b)) })
	return "", weft.Errorf(weft.BadRequest, "SecurityGroupRuleInvalidProtocol",
		"Security group rule protocol %s not supported. Only protocol values [None, '%s'] and integer representations [0 to 255] are supported.",
		p, strings.Join(names, "', '"))
}

// listed is where Neutron's list of protocols has a name: the other name of
// ipv6-icmp comes after that.
func listed(name string) string {
	if name == "icmpv6" {
		return "ipv6-icmpv6"
	}
	return name
}

// EtherType brings an ether type into canonical form. The error is
// SecurityGroupRuleInvalidEtherType.
func EtherType(t string) (string, error) {
	for _, known := range []string{weft.IPv4, weft.IPv6} {
		if strings.EqualFold(t, known) {
			return known, nil
		}
	}
	return "", weft.Errorf(weft.BadRequest, "SecurityGroupRuleInvalidEtherType",
		"Security group rule for ethertype '%s' not supported. Allowed values are ['IPv4', 'IPv6'].", t)
}

// Canonical checks all of a rule that can be checked without looking at others,
// and brings it into the form in which it is kept: one spelling of ICMPv6, no port
// range where it is the whole of it, a prefix that always has a length. The errors
// are those of api.md, in Neutron's order.
func Canonical(r *weft.SecurityGroupRule) error {
	var err error
	if r.EtherType, err = EtherType(r.EtherType); err != nil {
		return err
	}
	if r.Protocol, err = Protocol(r.Protocol); err != nil {
		return err
	}
	if r.EtherType == weft.IPv6 {
		switch r.Protocol {
		case "icmp", "icmpv6":
			r.Protocol = "ipv6-icmp"
		case "1":
			r.Protocol = "58"
		}
	}
	if r.PortRangeMin != nil && r.PortRangeMax != nil && *r.PortRangeMin == 1 && *r.PortRangeMax == 65535 {
		r.PortRangeMin, r.PortRangeMax = nil, nil
	}
	for _, check := range []func(*weft.SecurityGroupRule) error{checkPorts, checkPrefix, checkFamily, checkRemotes} {
		if err := check(r); err != nil {
			return err
		}
	}
	return nil
}

// checkPorts checks the port range, which for ICMP is a type and a code.
func checkPorts(r *weft.SecurityGroupRule) error {
	lo, hi := r.PortRangeMin, r.PortRangeMax
	if lo == nil && hi == nil {
		return nil
	}
	for _, port := range []*int{lo, hi} {
		if port != nil && (*port < 0 || *port > 65535) {
			return badPort(*port)
		}
	}
	if r.Protocol == "" {
		return weft.Errorf(weft.BadRequest, "SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range is given.")
	}
	switch n := number(r.Protocol); {
	case slices.Contains(withPorts, n):
		return checkRange(lo, hi)
	case n == protoICMP, n == protoICMPv6:
		return checkICMP(lo, hi)
	default:
		return weft.Errorf(weft.BadRequest, "SecurityGroupInvalidProtocolForPort",
			"Ports cannot be specified for protocol %d. Ports are only supported for DCCP, SCTP, TCP, UDP, UDPLITE.", n)
	}
}

func badPort(port int) error {
	return weft.Errorf(weft.BadRequest, "SecurityGroupInvalidPortValue", "Invalid value for port %d", port)
}

func checkRange(lo, hi *int) error {
	switch {
	case lo != nil && *lo == 0, hi != nil && *hi == 0:
		return badPort(0)
	case lo == nil, hi == nil, *lo > *hi:
		return weft.Errorf(weft.BadRequest, "SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= port_range_max")
	}
	return nil
}

func checkICMP(kind, code *int) error {
	for _, v := range []struct {
		field, attr string
		value       *int
	}{{"type", "port_range_min", kind}, {"code", "port_range_max", code}} {
		if v.value != nil && *v.value > 255 {
			return weft.Errorf(weft.BadRequest, "SecurityGroupInvalidIcmpValue",
				"Invalid value for ICMP %s (%s) %d. It must be 0 to 255.", v.field, v.attr, *v.value)
		}
	}
	if kind == nil {
		return weft.Errorf(weft.BadRequest, "SecurityGroupMissingIcmpType",
			"ICMP code (port-range-max) %d is provided but ICMP type (port-range-min) is missing.", *code)
	}
	return nil
}

// checkPrefix gives the remote prefix a length and the rule its network. Bits
// beyond the length stay as they were given.
func checkPrefix(r *weft.SecurityGroupRule) error {
	r.NormalizedCIDR = ""
	if r.RemoteIPPrefix == "" {
		return nil
	}
	p, err := parsePrefix(string(r.RemoteIPPrefix))
	if err != nil {
		return weft.Errorf(weft.BadRequest, "InvalidCIDR", "Invalid CIDR %s given as IP prefix.", r.RemoteIPPrefix)
	}
	if is4 := r.EtherType == weft.IPv4; p.Addr().Is4() != is4 {
		return weft.Errorf(weft.BadRequest, "SecurityGroupRuleParameterConflict",
			"Conflicting value ethertype %s for CIDR %s", r.EtherType, p)
	}
	r.RemoteIPPrefix, r.NormalizedCIDR = weft.ID(p.String()), weft.ID(p.Masked().String())
	return nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		return netip.ParsePrefix(s)
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%s has a zone", a)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func checkFamily(r *weft.SecurityGroupRule) error {
	if r.EtherType == weft.IPv4 && slices.Contains(onlyIPv6, string(r.Protocol)) {
		return weft.Errorf(weft.BadRequest, "SecurityGroupEthertypeConflictWithProtocol",
			"Invalid ethertype %s for protocol %s.", r.EtherType, r.Protocol)
	}
	return nil
}

func checkRemotes(r *weft.SecurityGroupRule) error {
	n := 0
	for _, remote := range []weft.ID{r.RemoteIPPrefix, r.RemoteGroupID, r.RemoteAddressGroupID} {
		if remote != "" {
			n++
		}
	}
	if n > 1 {
		return weft.Errorf(weft.BadRequest, "SecurityGroupMultipleRemoteEntites",
			"Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.")
	}
	return nil
}
