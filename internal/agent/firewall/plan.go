package firewall

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// Names of the tables.
const (
	trackTable  = "weft-ct"
	filterTable = "weft"
)

// Priorities. Zones must be known before fragments are put together (-400), or
// those of two networks would meet; marks must be set before br_netfilter shows
// the packet to the inet family (0 in the bridge family).
const (
	beforeDefrag  = -450
	afterTracking = -150
	beforeInet    = -310
	// After br_netfilter, which takes an IP packet out at -1 and puts it back behind
	// everything up to 0: a chain at 0 would see ARP only.
	atFilter      = 10
	beforeLeaving = 300
)

func hook(num *nftables.ChainHook, priority int32) *nft.Hook {
	return &nft.Hook{Type: nftables.ChainTypeFilter, Num: num, Priority: priority}
}

var (
	lookupMark    = nft.Mark
	lookupVerdict = nft.Verdict

	tagged = nft.MarkBits(markTagMask, markTag)
	udp    = nft.L4Proto.Eq(protoUDP)
	icmpv6 = nft.L4Proto.Eq(protoICMPv6)
	isARP  = nft.EtherType.Eq(etherARP)
	isIPv4 = nft.EtherType.Eq(etherIPv4)
	isIPv6 = nft.EtherType.Eq(etherIPv6)
)

func hasBits(bits uint32) nft.Part {
	return nft.MarkBits(markTagMask|bits, markTag|bits)
}

// site is what a plan needs to know beside the State.
type site struct {
	physnets map[string]string   // physical network -> interface
	zones    map[string]uint16   // of every network
	bridges  map[string]weft.MAC // of the networks on which the host itself may be
}

// plan is the tables of a host in a State, in the order in which they are to be in
// force.
func plan(s *host.State, at site, t tracker) []nft.Table {
	return t.add(planFilter(s, at))
}

func planFilter(s *host.State, at site) nft.Table {
	f := newFilter(s)
	for _, d := range devices(s, at.physnets) {
		f.zones.put(d.mark(at.zones), nft.Name(d.name))
		if mac, ok := at.bridges[d.network]; ok {
			f.tohost.add(nft.Name(d.name), nft.MAC(mac))
		}
	}
	for _, d := range closedDevices(s, at.physnets) {
		f.nohost.add(nft.Name(d.name))
	}
	for _, d := range taps(s) {
		f.taps.add(nft.Name(d.name))
	}
	for i := range s.Networks {
		if name := uplink(s.Networks[i].Segment, at.physnets); name != "" {
			f.uplinks.add(nft.Name(name))
		}
	}
	stateless, macs := statelessGroups(s), map[string][]weft.MAC{} // by network
	for i := range s.Ports {
		p := &s.Ports[i]
		f.asker(p)
		if !filtered(p) {
			continue
		}
		f.port(p, anyOf(p.Groups, stateless))
		if anyOf(p.Groups, stateless) {
			macs[p.NetworkID] = append(macs[p.NetworkID], p.MAC)
		}
	}
	for _, d := range devices(s, at.physnets) {
		for _, mac := range macs[d.network] {
			if !d.port {
				f.tostateless.add(nft.Name(d.name), nft.MAC(mac))
			}
		}
	}
	f.chains()
	t := nft.Table{Family: nft.Bridge, Name: filterTable, Chains: append(baseChains(), spoofChains()...)}
	t.Chains = append(t.Chains, f.arp, f.nd, f.ip4, f.ip6, egress(), ingress())
	t.Chains = append(t.Chains, f.combo...)
	for _, s := range []*set{
		&f.uplinks, &f.taps, &f.askers, &f.zones, &f.tohost, &f.tostateless, &f.nohost, &f.filtered, &f.stateful, &f.stateless,
		&f.macs, &f.macOnly, &f.senders4, &f.senders6, &f.out, &f.in,
	} {
		t.Sets = append(t.Sets, s.Set)
	}
	t.Sets = append(t.Sets, f.members...)
	return t
}

// set is a set being filled.
type set struct{ nft.Set }

func newSet(name string, key ...nft.Kind) set { return set{nft.Set{Name: name, Key: key}} }

func newMap(name string, value *nft.Kind) set {
	return set{nft.Set{Name: name, Key: []nft.Kind{nft.IfName}, Value: value}}
}

func (s *set) add(key ...nft.Datum) { s.Elements = append(s.Elements, nft.Element{Key: key}) }

func (s *set) put(value nft.Datum, key ...nft.Datum) {
	s.Elements = append(s.Elements, nft.Element{Key: key, Value: &value})
}

// filter is what of the bridge table depends on ports.
type filter struct {
	state    *host.State
	compiler *compiler

	uplinks, taps, askers, zones, tohost, tostateless, nohost, filtered, stateful, stateless set
	macs, macOnly, senders4, senders6, out, in                                               set

	arp, nd, ip4, ip6 nft.Chain // senders that are prefixes

	combos  map[string][]string // name -> groups
	combo   []nft.Chain
	members []nft.Set
}

func newFilter(s *host.State) *filter {
	return &filter{
		state: s, compiler: newCompiler(s), combos: map[string][]string{},
		uplinks:     newSet("uplinks", nft.IfName),
		taps:        newSet("taps", nft.IfName),
		askers:      newSet("askers", nft.IfName, nft.Ether, nft.IPv4),
		zones:       newMap("zones", &lookupMark),
		tohost:      newSet("tohost", nft.IfName, nft.Ether),
		tostateless: newSet("tostateless", nft.IfName, nft.Ether),
		nohost:      newSet("nohost", nft.IfName),
		filtered:    newSet("filtered", nft.IfName),
		stateful:    newSet("stateful", nft.Ether),
		stateless:   newSet("stateless", nft.IfName),
		macs:        newSet("macs", nft.IfName, nft.Ether),
		macOnly:     newSet("maconly", nft.IfName),
		senders4:    newSet("senders4", nft.IfName, nft.Ether, nft.IPv4),
		senders6:    newSet("senders6", nft.IfName, nft.Ether, nft.IPv6),
		out:         newMap("out", &lookupVerdict),
		in:          newMap("in", &lookupVerdict),
		arp:         nft.Chain{Name: "pairs-arp"},
		nd:          nft.Chain{Name: "pairs-nd"},
		ip4:         nft.Chain{Name: "pairs-ip4"},
		ip6:         nft.Chain{Name: "pairs-ip6"},
	}
}

// asker lets a port ask for metadata: under its own addresses and no others that it
// may send from, and so also where it is not filtered.
func (f *filter) asker(p *host.Port) {
	for _, a := range p.Addresses {
		if a.Is4() {
			f.askers.add(nft.Name(host.TapName(p.ID)), nft.MAC(p.MAC), nft.Addr(a))
		}
	}
}

func (f *filter) port(p *host.Port, stateless bool) {
	tap := nft.Name(host.TapName(p.ID))
	f.filtered.add(tap)
	if stateless {
		f.stateless.add(tap)
	}
	if len(p.Addresses) == 0 {
		f.macOnly.add(tap)
	}
	macs := map[weft.MAC]bool{}
	sender := func(mac weft.MAC) {
		if !macs[mac] {
			macs[mac] = true
			f.sender(tap, mac, stateless)
		}
	}
	sender(p.MAC)
	for _, a := range p.Addresses {
		f.address(tap, p.MAC, a)
	}
	for _, pair := range p.Pairs {
		mac := pair.MAC
		if mac.IsZero() {
			mac = p.MAC
		}
		sender(mac)
		if pair.Prefix.IsSingleIP() {
			f.address(tap, mac, pair.Prefix.Addr())
		} else {
			f.pair(tap, mac, pair.Prefix)
		}
	}
	if len(p.Groups) == 0 {
		return // nothing is admitted
	}
	groups := slices.Sorted(slices.Values(p.Groups))
	name := comboName(groups)
	f.combos[name] = groups
	f.out.put(nft.Goto("go-"+name), tap)
	f.in.put(nft.Goto("gi-"+name), tap)
}

var linkLocal = netip.MustParsePrefix("fe80::/64")

// sender lets a tap send from a MAC, and from the link-local address that belongs
// to it.
func (f *filter) sender(tap nft.Datum, mac weft.MAC, stateless bool) {
	if !stateless {
		f.stateful.add(nft.MAC(mac))
	}
	f.macs.add(tap, nft.MAC(mac))
	f.address(tap, mac, weft.EUI64(linkLocal, mac))
}

func (f *filter) address(tap nft.Datum, mac weft.MAC, a netip.Addr) {
	if a.Is4() {
		f.senders4.add(tap, nft.MAC(mac), nft.Addr(a))
	} else {
		f.senders6.add(tap, nft.MAC(mac), nft.Addr(a))
	}
}

// pair lets a tap send from a MAC and a whole prefix.
func (f *filter) pair(tap nft.Datum, mac weft.MAC, p netip.Prefix) {
	rule := func(hw, addr nft.Field, verdict nft.Part) nft.Rule {
		r := nft.Rule{nft.IIF.Is(tap), hw.Is(nft.MAC(mac))}
		if p.Bits() > 0 {
			r = append(r, addr.In(p))
		}
		return append(r, verdict)
	}
	if p.Addr().Is4() {
		f.arp.Rules = append(f.arp.Rules, rule(nft.ARPSHA, nft.ARPSPA, nft.Return))
		f.ip4.Rules = append(f.ip4.Rules, rule(nft.EtherSaddr, nft.IPSaddr, nft.Return))
		return
	}
	f.nd.Rules = append(f.nd.Rules, rule(nft.EtherSaddr, nft.NDTarget, nft.GotoChain("spoof-source6")))
	f.ip6.Rules = append(f.ip6.Rules, rule(nft.EtherSaddr, nft.IP6Saddr, nft.Return))
}

// chains closes what has been collected: the chains of prefixes, those of each
// combination of groups, and the sets they look into.
func (f *filter) chains() {
	for _, c := range []*nft.Chain{&f.arp, &f.nd, &f.ip4, &f.ip6} {
		c.Rules = append(c.Rules, nft.Rule{nft.Drop})
	}
	remotes := map[string]nft.Set{}
	for _, name := range slices.Sorted(maps.Keys(f.combos)) {
		groups := f.combos[name]
		f.combo = append(f.combo, f.compiler.chain("go-"+name, groups, false), f.compiler.chain("gi-"+name, groups, true))
		f.compiler.each(groups, func(r *host.Rule) {
			if r.RemoteGroup == "" {
				return
			}
			f.memberSets(r, remotes)
		})
	}
	for _, name := range slices.Sorted(maps.Keys(remotes)) {
		f.members = append(f.members, remotes[name])
	}
}

// memberSets adds the sets of a rule's remote group: of its addresses, and of its
// prefixes by their length.
func (f *filter) memberSets(r *host.Rule, sets map[string]nft.Set) {
	kind, longest := nft.IPv4, 32
	if r.IPv6 {
		kind, longest = nft.IPv6, 128
	}
	if sets[memberSet(r.IPv6, r.RemoteGroup, longest)].Name != "" {
		return
	}
	for _, bits := range append(f.compiler.lengths(r), longest) {
		if bits == 0 {
			continue // all addresses are no set
		}
		s := newSet(memberSet(r.IPv6, r.RemoteGroup, bits), kind)
		for _, m := range f.state.Members[r.RemoteGroup] {
			if m.Bits() == bits && m.Addr().Is6() == r.IPv6 {
				s.add(nft.Addr(m.Masked().Addr()))
			}
		}
		sets[s.Name] = s.Set
	}
}
