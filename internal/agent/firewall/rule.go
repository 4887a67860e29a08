package firewall

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// Numbers of protocols.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoDCCP   = 33
	protoICMPv6 = 58
	protoSCTP   = 132
	protoUDPL   = 136

	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd

	etherVLAN  = 0x8100
	etherSVLAN = 0x88a8
)

func hasPorts(protocol int) bool {
	return slices.Contains([]int{protoTCP, protoUDP, protoDCCP, protoSCTP, protoUDPL}, protocol)
}

// protocol is the rule's, with ICMP as the family calls it.
func protocol(r *host.Rule) int {
	if r.IPv6 && r.Protocol == protoICMP {
		return protoICMPv6
	}
	return r.Protocol
}

// comboName names the chains of ports that have the same groups.
func comboName(groups []string) string {
	sum := sha256.Sum256([]byte(strings.Join(groups, " ")))
	return hex.EncodeToString(sum[:8])
}

// memberSet names the set of a remote group's members that are prefixes of a length.
// Addresses are the longest.
func memberSet(ipv6 bool, group string, bits int) string {
	name, longest := "m4-"+group, 32
	if ipv6 {
		name, longest = "m6-"+group, 128
	}
	if bits < longest {
		name += "-" + strconv.Itoa(bits)
	}
	return name
}

// compiler makes chains of groups.
type compiler struct {
	groups  map[string]*host.Group
	members map[string][]netip.Prefix
}

func newCompiler(s *host.State) *compiler {
	c := &compiler{make(map[string]*host.Group, len(s.Groups)), s.Members}
	for i := range s.Groups {
		c.groups[s.Groups[i].ID] = &s.Groups[i]
	}
	return c
}

// chain is what the groups admit in one direction, and nothing else. Rules that
// say the same appear once.
func (c *compiler) chain(name string, groups []string, ingress bool) nft.Chain {
	out := nft.Chain{Name: name}
	seen := map[string]bool{}
	c.each(groups, func(r *host.Rule) {
		if r.Ingress != ingress {
			return
		}
		for _, rule := range c.compile(r) {
			if text := rule.String(); !seen[text] {
				seen[text] = true
				out.Rules = append(out.Rules, rule)
			}
		}
	})
	out.Rules = append(out.Rules, nft.Rule{nft.Drop})
	return out
}

func (c *compiler) each(groups []string, f func(*host.Rule)) {
	for _, id := range groups {
		g := c.groups[id]
		if g == nil {
			continue
		}
		for i := range g.Rules {
			f(&g.Rules[i])
		}
	}
}

// compile is a rule for the kernel: one, and one more for each length that members of
// its remote group have as prefixes. So one more member is an element of a set, unless
// it is the first of its length.
func (c *compiler) compile(r *host.Rule) []nft.Rule {
	verdict := nft.Return // the receiver's rules come next
	if r.Ingress {
		verdict = nft.Accept
	}
	with := func(remote ...nft.Part) nft.Rule {
		return append(append(matchProtocol(r), remote...), verdict)
	}
	remote := remoteField(r)
	if r.RemoteGroup == "" {
		if r.Remote.IsValid() && r.Remote.Bits() > 0 {
			return []nft.Rule{with(remote.In(r.Remote))}
		}
		return []nft.Rule{with()}
	}
	rules := []nft.Rule{with(nft.InSet(memberSet(r.IPv6, r.RemoteGroup, remote.Bits()), remote))}
	for _, bits := range c.lengths(r) {
		if bits == 0 {
			rules = append(rules, with())
		} else {
			rules = append(rules, with(nft.PrefixInSet(memberSet(r.IPv6, r.RemoteGroup, bits), remote, bits)))
		}
	}
	return rules
}

// lengths are those of the members of a rule's remote group that are no single
// addresses, in order.
func (c *compiler) lengths(r *host.Rule) []int {
	var out []int
	for _, m := range c.members[r.RemoteGroup] {
		if m.Addr().Is6() == r.IPv6 && !m.IsSingleIP() && !slices.Contains(out, m.Bits()) {
			out = append(out, m.Bits())
		}
	}
	slices.Sort(out)
	return out
}

// remoteField is where the address of the other side stands.
func remoteField(r *host.Rule) nft.Field {
	switch {
	case r.IPv6 && r.Ingress:
		return nft.IP6Saddr
	case r.IPv6:
		return nft.IP6Daddr
	case r.Ingress:
		return nft.IPSaddr
	}
	return nft.IPDaddr
}

func matchProtocol(r *host.Rule) nft.Rule {
	out := nft.Rule{nft.EtherType.Eq(etherIPv4)}
	if r.IPv6 {
		out = nft.Rule{nft.EtherType.Eq(etherIPv6)}
	}
	p := protocol(r)
	if p < 0 {
		return out
	}
	out = append(out, nft.L4Proto.Eq(p))
	switch {
	case hasPorts(p) && (r.Min >= 0 || r.Max >= 0):
		lo, hi := portRange(r)
		out = append(out, nft.DPort.Between(lo, hi))
	case p == protoICMP || p == protoICMPv6:
		if r.Min >= 0 {
			out = append(out, nft.ICMPType.Eq(r.Min))
		}
		if r.Max >= 0 {
			out = append(out, nft.ICMPCode.Eq(r.Max))
		}
	}
	return out
}

func portRange(r *host.Rule) (lo, hi int) {
	lo, hi = max(r.Min, 0), r.Max
	if hi < 0 {
		hi = 65535
	}
	return lo, hi
}
