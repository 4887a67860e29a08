package secgroup_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/quota"
	"github.com/weftnet/weft/internal/secgroup"
	"github.com/weftnet/weft/internal/store"
)

// spec is a rule as "protocol min max", where "-" is absent.
func spec(etherType, protocol string, minmax ...int) *weft.SecurityGroupRule {
	r := &weft.SecurityGroupRule{Direction: weft.Ingress, EtherType: etherType, Protocol: weft.ID(protocol)}
	if len(minmax) > 0 && minmax[0] != absent {
		r.PortRangeMin = &minmax[0]
	}
	if len(minmax) > 1 && minmax[1] != absent {
		r.PortRangeMax = &minmax[1]
	}
	return r
}

const absent = -1

func TestCanonical(t *testing.T) {
	for _, c := range []struct {
		name     string
		in, want *weft.SecurityGroupRule
	}{
		{"ether type in any case", spec("ipv6", "TCP", 80, 80), spec(weft.IPv6, "tcp", 80, 80)},
		{"any protocol", spec(weft.IPv4, "any"), spec(weft.IPv4, "")},
		{"a number", spec(weft.IPv4, "006", 22, 23), spec(weft.IPv4, "6", 22, 23)},
		{"every port", spec(weft.IPv4, "udp", 1, 65535), spec(weft.IPv4, "udp")},
		{"every port of no protocol", spec(weft.IPv4, "", 1, 65535), spec(weft.IPv4, "")},
		{"icmp of IPv6", spec(weft.IPv6, "icmp", 128, absent), spec(weft.IPv6, "ipv6-icmp", 128, absent)},
		{"icmpv6", spec(weft.IPv6, "icmpv6"), spec(weft.IPv6, "ipv6-icmp")},
		{"1 of IPv6", spec(weft.IPv6, "1"), spec(weft.IPv6, "58")},
		{"icmp type and code", spec(weft.IPv4, "icmp", 0, 0), spec(weft.IPv4, "icmp", 0, 0)},
		{"an address", prefixed(weft.IPv4, "10.0.0.5", ""), prefixed(weft.IPv4, "10.0.0.5/32", "10.0.0.5/32")},
		{"bits beyond the prefix", prefixed(weft.IPv6, "2001:DB8::1/64", ""), prefixed(weft.IPv6, "2001:db8::1/64", "2001:db8::/64")},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := secgroup.Canonical(c.in)
			if diff := cmp.Diff(c.want, c.in); diff != "" || err != nil {
				t.Errorf("error %v, (-want +got):\n%s", err, diff)
			}
		})
	}
}

func prefixed(etherType, prefix, normal string) *weft.SecurityGroupRule {
	r := spec(etherType, "")
	r.RemoteIPPrefix, r.NormalizedCIDR = weft.ID(prefix), weft.ID(normal)
	return r
}

func TestCanonicalRefuses(t *testing.T) {
	const names = "None, 'ah', 'dccp', 'egp', 'esp', 'gre', 'hopopt', 'icmp', 'igmp', 'ip', 'ipip', 'ipv6-encap', 'ipv6-frag', " +
		"'ipv6-icmp', 'icmpv6', 'ipv6-nonxt', 'ipv6-opts', 'ipv6-route', 'ospf', 'pgm', 'rsvp', 'sctp', 'tcp', 'udp', 'udplite', 'vrrp'"
	remotes := prefixed(weft.IPv4, "10.0.0.0/8", "")
	remotes.RemoteGroupID = "g"
	for _, c := range []struct {
		name string
		in   *weft.SecurityGroupRule
		want string
	}{
		{"ether type", spec("IPv5", ""), "SecurityGroupRuleInvalidEtherType: Security group rule for ethertype 'IPv5' not supported. Allowed values are ['IPv4', 'IPv6']."},
		{"protocol name", spec(weft.IPv4, "foo"), "SecurityGroupRuleInvalidProtocol: Security group rule protocol foo not supported. Only protocol values [" + names + "] and integer representations [0 to 255] are supported."},
		{"protocol number", spec(weft.IPv4, "256"), "SecurityGroupRuleInvalidProtocol: Security group rule protocol 256 not supported. Only protocol values [" + names + "] and integer representations [0 to 255] are supported."},
		{"port beyond", spec(weft.IPv4, "tcp", 80, 65536), "SecurityGroupInvalidPortValue: Invalid value for port 65536"},
		{"port 0", spec(weft.IPv4, "tcp", 0, 80), "SecurityGroupInvalidPortValue: Invalid value for port 0"},
		{"one port only", spec(weft.IPv4, "tcp", 80), "SecurityGroupInvalidPortRange: For TCP/UDP protocols, port_range_min must be <= port_range_max"},
		{"backwards", spec(weft.IPv4, "17", 81, 80), "SecurityGroupInvalidPortRange: For TCP/UDP protocols, port_range_min must be <= port_range_max"},
		{"ports without protocol", spec(weft.IPv4, "", 80, 80), "SecurityGroupProtocolRequiredWithPorts: Must also specify protocol if port range is given."},
		{"ports without ports", spec(weft.IPv4, "gre", 80, 80), "SecurityGroupInvalidProtocolForPort: Ports cannot be specified for protocol 47. Ports are only supported for DCCP, SCTP, TCP, UDP, UDPLITE."},
		{"icmp type", spec(weft.IPv4, "icmp", 256), "SecurityGroupInvalidIcmpValue: Invalid value for ICMP type (port_range_min) 256. It must be 0 to 255."},
		{"icmp code", spec(weft.IPv6, "58", 1, 300), "SecurityGroupInvalidIcmpValue: Invalid value for ICMP code (port_range_max) 300. It must be 0 to 255."},
		{"icmp code alone", spec(weft.IPv4, "icmp", absent, 3), "SecurityGroupMissingIcmpType: ICMP code (port-range-max) 3 is provided but ICMP type (port-range-min) is missing."},
		{"prefix", prefixed(weft.IPv4, "10.0.0.0/33", ""), "InvalidCIDR: Invalid CIDR 10.0.0.0/33 given as IP prefix."},
		{"prefix with a zone", prefixed(weft.IPv6, "fe80::1%eth0", ""), "InvalidCIDR: Invalid CIDR fe80::1%eth0 given as IP prefix."},
		{"prefix of the other family", prefixed(weft.IPv4, "2001:db8::1", ""), "SecurityGroupRuleParameterConflict: Conflicting value ethertype IPv4 for CIDR 2001:db8::1/128"},
		{"protocol of IPv6", spec(weft.IPv4, "ipv6-icmp"), "SecurityGroupEthertypeConflictWithProtocol: Invalid ethertype IPv4 for protocol ipv6-icmp."},
		{"number of IPv6", spec(weft.IPv4, "44"), "SecurityGroupEthertypeConflictWithProtocol: Invalid ethertype IPv4 for protocol 44."},
		{"two remotes", remotes, "SecurityGroupMultipleRemoteEntites: Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided."},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := secgroup.Canonical(c.in)
			if err == nil || err.Error() != c.want {
				t.Errorf("error\n got %v\nwant %s", err, c.want)
			}
			if !weft.IsKind(err, weft.BadRequest) {
				t.Errorf("not a bad request")
			}
		})
	}
}

func TestCreateRuleLooksAround(t *testing.T) {
	w := newWorld(t)
	mine, theirs, shared := w.group("p1", "mine", true), w.group("p2", "theirs", true), w.group("p2", "shared", true)
	w.share(shared.ID, "p1")
	for _, c := range []struct {
		name   string
		caller *weft.Caller
		rule   *weft.SecurityGroupRule
		want   string
	}{
		{"own", member, rule(mine.ID, nil), ""},
		{"no such group", member, rule("none", nil), "SecurityGroupNotFound: Security group none does not exist"},
		{"somebody else's", member, rule(theirs.ID, nil), "SecurityGroupNotFound: Security group " + theirs.ID + " does not exist"},
		{"merely shared", member, rule(shared.ID, nil), "PolicyNotAuthorized: rule:create_security_group_rule is disallowed by policy"},
		{"admin", admin, rule(theirs.ID, nil), ""},
		{"remote: itself", member, rule(mine.ID, func(r *weft.SecurityGroupRule) { r.RemoteGroupID = weft.ID(mine.ID) }), ""},
		{"remote: shared", member, rule(mine.ID, func(r *weft.SecurityGroupRule) { r.RemoteGroupID = weft.ID(shared.ID) }), ""},
		{"remote: no such group", member, rule(mine.ID, func(r *weft.SecurityGroupRule) { r.RemoteGroupID = "none" }), "SecurityGroupNotFound: Security group none does not exist"},
		{"remote: somebody else's", member, rule(mine.ID, func(r *weft.SecurityGroupRule) { r.RemoteGroupID = weft.ID(theirs.ID) }),
			"SecurityGroupNotFound: Security group " + theirs.ID + " does not exist"},
		{"remote: addresses", member, rule(mine.ID, func(r *weft.SecurityGroupRule) { r.RemoteAddressGroupID = "none" }),
			"AddressGroupNotFound: Address group none could not be found."},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.want(w.as(c.caller, func(tx *store.Tx) error { return w.CreateRule(tx, c.rule, nil) }), c.want)
		})
	}
}

func TestRuleExists(t *testing.T) {
	w := newWorld(t)
	g := w.group("p1", "web", true)
	create := func(r *weft.SecurityGroupRule) error {
		r.SecurityGroupID, r.ProjectID = g.ID, "p1"
		return w.as(member, func(tx *store.Tx) error { return w.CreateRule(tx, r, nil) })
	}
	for _, c := range []struct {
		name          string
		first, second *weft.SecurityGroupRule
		same          bool
	}{
		{"the same", spec(weft.IPv4, "tcp", 80, 80), spec(weft.IPv4, "tcp", 80, 80), true},
		{"name and number", spec(weft.IPv4, "tcp", 81, 81), spec(weft.IPv4, "6", 81, 81), true},
		{"number and name", spec(weft.IPv4, "17", 81, 81), spec(weft.IPv4, "udp", 81, 81), true},
		{"a prefix that is any", spec(weft.IPv4, "udp"), prefixedProto(weft.IPv4, "udp", "0.0.0.0/0"), true},
		{"a prefix that was any", prefixedProto(weft.IPv6, "udp", "::/0"), spec(weft.IPv6, "udp", 1, 65535), true},
		{"two names of ICMPv6", spec(weft.IPv6, "icmp"), spec(weft.IPv6, "58"), true},
		{"two names of protocol 0", spec(weft.IPv4, "hopopt"), spec(weft.IPv4, "ip"), false},
		{"other ports", spec(weft.IPv4, "tcp", 82, 82), spec(weft.IPv4, "tcp", 82, 83), false},
		{"other prefixes", prefixedProto(weft.IPv4, "gre", "10.0.0.0/8"), prefixedProto(weft.IPv4, "gre", "10.0.0.0/9"), false},
		{"other families", spec(weft.IPv4, "sctp"), spec(weft.IPv6, "sctp"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.want(create(c.first), "")
			want := ""
			if c.same {
				want = "SecurityGroupRuleExists: Security group rule already exists. Rule id is " + c.first.ID + "."
			}
			w.want(create(c.second), want)
		})
	}
}

func prefixedProto(etherType, protocol, prefix string) *weft.SecurityGroupRule {
	r := prefixed(etherType, prefix, "")
	r.Protocol = weft.ID(protocol)
	return r
}

func TestCheckRules(t *testing.T) {
	port := func(group, project, protocol string, n int) *weft.SecurityGroupRule {
		r := rule(group, func(r *weft.SecurityGroupRule) {
			r.Protocol, r.PortRangeMin, r.PortRangeMax = weft.ID(protocol), &n, &n
		})
		r.ProjectID = project
		return r
	}
	for _, c := range []struct {
		name  string
		rules []*weft.SecurityGroupRule
		want  string
	}{
		{"none", nil, ""},
		{"two groups", []*weft.SecurityGroupRule{port("a", "p", "tcp", 1), port("b", "p", "tcp", 1)},
			"SecurityGroupNotSingleGroupRules: Only allowed to update rules for one security profile at a time"},
		{"two projects", []*weft.SecurityGroupRule{port("a", "p", "tcp", 1), port("a", "q", "tcp", 2)},
			"SecurityGroupRulesNotSingleTenant: Multiple tenant_ids in bulk security group rule create not allowed"},
		{"the same twice", []*weft.SecurityGroupRule{port("a", "p", "tcp", 1), port("a", "p", "6", 1)},
			"DuplicateSecurityGroupRuleInPost: Duplicate Security Group Rule in POST."},
		{"one bad", []*weft.SecurityGroupRule{port("a", "p", "tcp", 1), port("a", "p", "tcp", 0)}, "SecurityGroupInvalidPortValue: Invalid value for port 0"},
		{"three", []*weft.SecurityGroupRule{port("a", "p", "tcp", 1), port("a", "p", "tcp", 2), port("a", "p", "udp", 2)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{T: t}
			w.want(w.CheckRules(nil, c.rules), c.want)
		})
	}
}

func TestRulesRaiseTheirGroup(t *testing.T) {
	w := newWorld(t)
	g := w.group("p1", "a", true)
	r := rule(g.ID, nil)
	w.must(member, func(tx *store.Tx) error { return w.CreateRule(tx, r, nil) })
	if now := w.revision(g.ID); now != 2 {
		t.Errorf("revision %d after a rule came", now)
	}
	w.must(member, func(tx *store.Tx) error {
		r, err := store.SecurityGroupRules.Get(tx, r.ID)
		if err != nil {
			return err
		}
		return w.DeleteRule(tx, r)
	})
	if now := w.revision(g.ID); now != 3 {
		t.Errorf("revision %d after it went", now)
	}
}

func BenchmarkCreateRule(b *testing.B) {
	db, err := store.Open(b.Context(), "sqlite:"+b.TempDir()+"/weft.db", store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	s := secgroup.New(quota.New(map[string]int{"security_group_rule": quota.Unlimited}))
	g := &weft.SecurityGroup{Name: strings.Repeat("x", 8)}
	g.ProjectID = "p1"
	if err := db.Update(b.Context(), admin, func(tx *store.Tx) error { return s.CreateGroup(tx, g, nil) }); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		lo, hi := 1+n%60000, 1+n%60000+n/60000
		r := rule(g.ID, func(r *weft.SecurityGroupRule) { r.Protocol, r.PortRangeMin, r.PortRangeMax = "tcp", &lo, &hi })
		if err := db.Update(b.Context(), member, func(tx *store.Tx) error { return s.CreateRule(tx, r, nil) }); err != nil {
			b.Fatal(err)
		}
	}
}
