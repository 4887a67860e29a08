package firewall

import (
	"net/netip"

	"github.com/google/nftables"

	"github.com/weftnet/weft/internal/dataplane/nft"
)

// ICMPv6 types that matter to the filter.
const (
	mldQuery         = 130
	mldReport        = 131
	routerAdvert     = 134
	neighbourSolicit = 135
	neighbourAdvert  = 136
	mldReport2       = 143
)

// metadata is where guests ask who they are.
var metadata = netip.MustParseAddr("169.254.169.254")

// baseChains are what the kernel calls for bridged packets, in the order of their
// way.
func baseChains() []nft.Chain {
	clearMark := nft.Rule{tagged, nft.SetMark(0)}
	fromPort := nft.InSet("filtered", nft.IIF)
	toPort := nft.InSet("filtered", nft.OIF)
	return []nft.Chain{
		{Name: "pre", Hook: hook(nftables.ChainHookPrerouting, beforeInet), Rules: []nft.Rule{
			// The metadata service knows who asks by his address.
			{nft.L3Proto.Eq(etherIPv4), nft.IPDaddr.Is(nft.Addr(metadata)), nft.InSet("taps", nft.IIF),
				nft.NotInSet("askers", nft.IIF, nft.EtherSaddr, nft.IPSaddr), nft.Drop},
			// Of several tags the receiver takes off those without a VLAN, and we could
			// not see what is behind.
			{nft.L3Proto.Eq(etherVLAN), nft.VLANTag.LastBits(12, 0), nft.InSet("taps", nft.IIF), nft.Drop},
			{nft.L3Proto.Eq(etherSVLAN), nft.VLANTag.LastBits(12, 0), nft.InSet("taps", nft.IIF), nft.Drop},
			{nft.SetMarkFrom("zones", nft.IIF)},
			// What goes to the host, or through it, is the host's to track: its own
			// rules and translations look in its own zone.
			{nft.InSet("tohost", nft.IIF, nft.EtherDaddr), nft.MarkReplace(markZone|markTracked, markTracked)},
			// An answer of a port without state to one with.
			{hasBits(markStateless), nft.InSet("stateful", nft.EtherDaddr), nft.MarkOr(markTracked)},
			// And what comes to one without: the answer to what was not tracked.
			{nft.InSet("tostateless", nft.IIF, nft.EtherDaddr), nft.MarkOr(markStateless)},
			{fromPort, nft.Jump("spoof")}}},
		// To the host itself, and nobody else's rules to ask.
		{Name: "input", Hook: hook(nftables.ChainHookInput, atFilter), Rules: []nft.Rule{
			{nft.InSet("nohost", nft.IIF), nft.Drop},
			{fromPort, nft.Jump("egress")}, clearMark}},
		{Name: "forward", Hook: hook(nftables.ChainHookForward, atFilter), Rules: []nft.Rule{
			// A tap that its maker puts on a bridge before we know whose port it is.
			{nft.IIF.IfPrefix("tap"), nft.NotInSet("taps", nft.IIF), nft.InSet("taps", nft.OIF), nft.Drop},
			{nft.IIF.IfPrefix("tap"), nft.NotInSet("taps", nft.IIF), nft.InSet("uplinks", nft.OIF), nft.Drop},
			{nft.OIF.IfPrefix("tap"), nft.NotInSet("taps", nft.OIF), nft.InSet("taps", nft.IIF), nft.Drop},
			{nft.OIF.IfPrefix("tap"), nft.NotInSet("taps", nft.OIF), nft.InSet("uplinks", nft.IIF), nft.Drop},
			{fromPort, nft.Jump("egress")},
			{toPort, nft.Jump("ingress")}}},
		{Name: "post", Hook: hook(nftables.ChainHookPostrouting, beforeLeaving), Rules: []nft.Rule{clearMark}},
	}
}

// spoofChains return what a port sends under its own name and drop the rest.
func spoofChains() []nft.Chain {
	zero, any6 := nft.Addr(netip.IPv4Unspecified()), nft.Addr(netip.IPv6Unspecified())
	macOnly := nft.Rule{nft.InSet("maconly", nft.IIF), nft.Return}
	unspecified := func(typ int) nft.Rule {
		return nft.Rule{nft.IP6Saddr.Is(any6), icmpv6, nft.ICMPType.Eq(typ), nft.Return}
	}
	return []nft.Chain{
		{Name: "spoof", Rules: []nft.Rule{
			{nft.NotInSet("macs", nft.IIF, nft.EtherSaddr), nft.Drop},
			{isARP, nft.GotoChain("spoof-arp")},
			{isIPv4, nft.GotoChain("spoof-ip4")},
			{isIPv6, nft.GotoChain("spoof-ip6")},
			{nft.Drop}}},
		{Name: "spoof-arp", Rules: []nft.Rule{
			{nft.ARPFormat.IsNot(nft.Bytes(0, 1, 8, 0, 6, 4)), nft.Drop}, // or the addresses are elsewhere
			{nft.InSet("senders4", nft.IIF, nft.ARPSHA, nft.ARPSPA), nft.Return},
			{nft.NotInSet("macs", nft.IIF, nft.ARPSHA), nft.Drop},
			{nft.ARPSPA.Is(zero), nft.Return}, // a probe, RFC 5227
			macOnly,
			{nft.GotoChain("pairs-arp")}}},
		{Name: "spoof-ip4", Rules: []nft.Rule{
			{nft.InSet("senders4", nft.IIF, nft.EtherSaddr, nft.IPSaddr), nft.Return},
			{nft.IPSaddr.Is(zero), nft.IPDaddr.Is(nft.Addr(netip.AddrFrom4([4]byte{255, 255, 255, 255}))), udp, nft.SPort.Eq(68), nft.DPort.Eq(67), nft.Return},
			macOnly,
			{nft.GotoChain("pairs-ip4")}}},
		{Name: "spoof-ip6", Rules: []nft.Rule{
			{icmpv6, nft.ICMPType.Eq(neighbourAdvert), nft.NotInSet("senders6", nft.IIF, nft.EtherSaddr, nft.NDTarget), nft.NotInSet("maconly", nft.IIF), nft.GotoChain("pairs-nd")},
			{nft.GotoChain("spoof-source6")}}},
		{Name: "spoof-source6", Rules: []nft.Rule{
			{nft.InSet("senders6", nft.IIF, nft.EtherSaddr, nft.IP6Saddr), nft.Return},
			unspecified(mldReport), unspecified(neighbourSolicit), unspecified(mldReport2),
			macOnly,
			{nft.GotoChain("pairs-ip6")}}},
	}
}

// egress returns what a port may send. What only servers and routers may say is
// looked at here, where fragments have been put together.
func egress() nft.Chain {
	established := nft.MarkBits(markTagMask|markEstablished|markStateless, markTag|markEstablished)
	return nft.Chain{Name: "egress", Rules: []nft.Rule{
		{established, nft.L4Proto.Eq(protoTCP), nft.Return}, // most packets
		{isARP, nft.Return},
		{isIPv4, udp, nft.SPort.Eq(67), nft.DPort.Eq(68), nft.Drop},
		{isIPv4, udp, nft.SPort.Eq(68), nft.DPort.Eq(67), nft.Return},
		{isIPv6, icmpv6, nft.ICMPType.Eq(routerAdvert), nft.Drop},
		{isIPv6, icmpv6, nft.Return},
		{isIPv6, udp, nft.SPort.Eq(547), nft.DPort.Eq(546), nft.Drop},
		{isIPv6, udp, nft.SPort.Eq(546), nft.DPort.Eq(547), nft.Return},
		{established, nft.Return},
		{hasBits(markInvalid), nft.NotInSet("stateless", nft.IIF), nft.Drop},
		{nft.VMap("out", nft.IIF)},
		{nft.Drop}}}
}

// ingress accepts what a port may receive.
func ingress() nft.Chain {
	icmp := func(typ int) nft.Rule { return nft.Rule{isIPv6, icmpv6, nft.ICMPType.Eq(typ), nft.Accept} }
	return nft.Chain{Name: "ingress", Rules: []nft.Rule{
		{hasBits(markEstablished), nft.NotInSet("stateless", nft.OIF), nft.Accept},
		{isARP, nft.Accept},
		icmp(mldQuery), icmp(routerAdvert), icmp(neighbourSolicit), icmp(neighbourAdvert),
		{isIPv4, udp, nft.SPort.Eq(67), nft.DPort.Eq(68), nft.Accept},
		{isIPv6, udp, nft.SPort.Eq(547), nft.DPort.Eq(546), nft.Accept},
		{hasBits(markInvalid), nft.NotInSet("stateless", nft.OIF), nft.Drop},
		{nft.VMap("in", nft.OIF)},
		{nft.Drop}}}
}
