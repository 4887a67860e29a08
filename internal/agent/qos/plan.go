package qos

import (
	"math"
	"net/netip"

	"github.com/google/nftables"

	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// tableName is the bridge table of limits.
const tableName = "weft-qos"

// Priorities in the bridge family: false senders are dropped at -310, br_netfilter
// takes packets out at 0, and the firewall clears its marks at 300.
const (
	afterSpoofing = -305
	beforeMarks   = 250
)

// Priorities in a router's namespace, where addresses are those of the outside:
// before destinations are translated (-100), after sources are (100).
const (
	beforeDNAT = -250
	afterSNAT  = 150
)

// Values of ether type.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
)

// largest is what the largest packet takes of a bucket: guests hand over segments
// of up to 64 KiB, and one that is larger than the bucket would never pass.
const largest = 65536 + 256

// flows are chains of limits, by what they are found by in two maps.
type flows struct {
	out, in nft.Set
	chains  []nft.Chain
}

func newFlows(out, in string, key nft.Kind) *flows {
	verdict := nft.Verdict
	set := func(name string) nft.Set { return nft.Set{Name: name, Key: []nft.Kind{key}, Value: &verdict} }
	return &flows{out: set(out), in: set(in)}
}

// add puts rules in a chain that is found by a key; no rules need none.
func (f *flows) add(m *nft.Set, chain string, key nft.Datum, rules []nft.Rule) {
	if len(rules) == 0 {
		return
	}
	verdict := nft.Goto(chain)
	m.Elements = append(m.Elements, nft.Element{Key: []nft.Datum{key}, Value: &verdict})
	f.chains = append(f.chains, nft.Chain{Name: chain, Rules: rules})
}

// empty reports whether there is nothing to limit or mark.
func (f *flows) empty() bool { return len(f.chains) == 0 }

// ports is the table of the ports of a State; false if there is nothing in it.
func ports(s *host.State) (nft.Table, bool) {
	f := newFlows("out", "in", nft.IfName)
	add := func(port string, q *host.QoS) {
		tap := host.TapName(port)
		f.add(&f.out, "out-"+tap, nft.Name(tap), append(marks(q), limits(q.Egress)...))
		f.add(&f.in, "in-"+tap, nft.Name(tap), limits(q.Ingress))
	}
	for i := range s.Ports {
		add(s.Ports[i].ID, &s.Ports[i].QoS)
	}
	for i := range s.Routers {
		for j := range s.Routers[i].Interfaces {
			add(s.Routers[i].Interfaces[j].PortID, &s.Routers[i].Interfaces[j].QoS)
		}
		for _, g := range s.Routers[i].Gateways() {
			add(g.PortID, &g.QoS)
		}
	}
	t := nft.Table{Family: nft.Bridge, Name: tableName, Sets: []nft.Set{f.out, f.in}}
	t.Chains = append(f.chains,
		base("pre", nftables.ChainHookPrerouting, afterSpoofing, nft.Rule{nft.VMap("out", nft.IIF)}),
		base("post", nftables.ChainHookPostrouting, beforeMarks, nft.Rule{nft.VMap("in", nft.OIF)}))
	return t, !f.empty()
}

// Limit adds to the table of a router's namespace the limits of its gateway's
// addresses and of its floating IPs. Their policies mark nothing, as in Neutron.
func Limit(t *nft.Table, r *host.Router) {
	if r.Gateway == nil || !r.AdminUp {
		return
	}
	f := newFlows("limited-out", "limited-in", nft.IPv4)
	seen := map[netip.Addr]bool{}
	add := func(a netip.Addr, q host.QoS) {
		if !a.Is4() || seen[a] {
			return
		}
		seen[a] = true
		f.add(&f.out, "out-"+a.String(), nft.Addr(a), limits(q.Egress))
		f.add(&f.in, "in-"+a.String(), nft.Addr(a), limits(q.Ingress))
	}
	for _, a := range r.Gateway.Addresses {
		add(a.Prefix.Addr(), r.GatewayQoS)
	}
	for _, fip := range r.FloatingIPs {
		add(fip.Floating, fip.QoS)
	}
	if f.empty() {
		return
	}
	var in, out []nft.Rule
	for _, g := range r.Gateways() {
		device := nft.Name(host.GatewayDevice(g.PortID))
		in = append(in, nft.Rule{nft.IIF.Is(device), nft.VMap("limited-in", nft.IPDaddr)})
		out = append(out, nft.Rule{nft.OIF.Is(device), nft.VMap("limited-out", nft.IPSaddr)})
	}
	t.Sets = append(t.Sets, f.out, f.in)
	t.Chains = append(append(t.Chains, f.chains...),
		base("limit-in", nftables.ChainHookPrerouting, beforeDNAT, in...),
		base("limit-out", nftables.ChainHookPostrouting, afterSNAT, out...))
}

func base(name string, hook *nftables.ChainHook, priority int32, rules ...nft.Rule) nft.Chain {
	return nft.Chain{Name: name, Hook: &nft.Hook{Type: nftables.ChainTypeFilter, Num: hook, Priority: priority}, Rules: rules}
}

// marks are the rules that mark what a port sends.
func marks(q *host.QoS) []nft.Rule {
	if !q.Marked {
		return nil
	}
	return []nft.Rule{
		{nft.EtherType.Eq(etherIPv4), nft.SetDSCP4(q.DSCP)},
		{nft.EtherType.Eq(etherIPv6), nft.SetDSCP6(q.DSCP)},
	}
}

// limits are the rules that drop what is beyond limits.
func limits(l host.Limits) []nft.Rule {
	var rules []nft.Rule
	if l.Kbps > 0 {
		rules = append(rules, nft.Rule{nft.BytesOver(bytesOf(l)), nft.Drop})
	}
	if l.Kpps > 0 {
		rules = append(rules, nft.Rule{nft.PacketsOver(packetsOf(l)), nft.Drop})
	}
	return rules
}

// bytesOf is a limit of bandwidth for the kernel, whose bucket holds what the rate
// gives in a second and the burst on top of it: a bucket can be no smaller. Without
// a burst it is Neutron's usual one, 80 % of the rate, that the bucket has to hold.
func bytesOf(l host.Limits) (rate uint64, burst uint32) {
	const kbit = 1000 / 8
	r := l.Kbps * kbit
	bucket := l.BurstKbit * kbit
	if bucket == 0 {
		bucket = r * 8 / 10
	}
	return uint64(r), atMost32(max(bucket, largest) - r)
}

// packetsOf is a limit of packets for the kernel, whose bucket is the burst.
func packetsOf(l host.Limits) (rate uint64, burst uint32) {
	bucket := l.BurstKpkt * 1000
	if bucket == 0 {
		bucket = l.Kpps * 800
	}
	return uint64(l.Kpps * 1000), atMost32(bucket)
}

func atMost32(n int64) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) }
