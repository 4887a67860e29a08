package firewall

import (
	"context"

	"github.com/google/nftables"

	"github.com/weftnet/weft/internal/dataplane/nft"
)

// A tracker has the kernel track bridged packets in the zone that their mark says,
// and write into the mark whether their connection is established.
type tracker interface {
	// add is the filter with what the tracker adds to it, and further tables; they
	// are to be in force in this order.
	add(filter nft.Table) []nft.Table
}

// inetTracker tracks in the inet family, to which br_netfilter shows the packets
// of bridges.
type inetTracker struct{}

// The inet table is first: until a packet has a mark it does nothing.
func (inetTracker) add(filter nft.Table) []nft.Table {
	return []nft.Table{{Family: nft.Inet, Name: trackTable, Chains: trackChains(beforeDefrag)}, filter}
}

// bridgeTracker tracks in the bridge family itself, by nf_conntrack_bridge.
type bridgeTracker struct{}

func (bridgeTracker) add(filter nft.Table) []nft.Table {
	filter.Chains = append(filter.Chains, trackChains(beforeInet+5)...)
	return []nft.Table{filter}
}

// trackChains choose the zone at the given priority, which is before tracking. Without
// state nothing is tracked but fragments: it is tracking that has them put together,
// each zone its own, and else only the first would have the ports that rules are about.
func trackChains(priority int32) []nft.Chain {
	untracked := nft.MarkBits(markTagMask|markStateless|markTracked, markTag|markStateless)
	return []nft.Chain{
		{Name: "raw", Hook: hook(nftables.ChainHookPrerouting, priority), Rules: []nft.Rule{
			{untracked, nft.L3Proto.Eq(etherIPv4), nft.IPFragment.LastBits(14, 0), nft.NoTrack, nft.Return},
			{untracked, nft.L3Proto.Eq(etherIPv6), nft.IP6Whole, nft.NoTrack, nft.Return},
			{tagged, nft.ZoneFromMark()}}},
		{Name: "state", Hook: hook(nftables.ChainHookPrerouting, afterTracking), Rules: []nft.Rule{
			{tagged, nft.CtState(nft.Established | nft.Related), nft.CtMarkIsNot(cutMark), nft.MarkOr(markEstablished)},
			{tagged, nft.CtState(nft.Invalid), nft.MarkOr(markInvalid)}}},
	}
}

// probe finds the tracker that works here. br_netfilter is preferred, being in
// every kernel; the error of loading it is the one to tell if nothing works.
func probe(ctx context.Context, c *nft.Conn) (tracker, error) {
	missing := Load(ctx)
	if missing == nil {
		return inetTracker{}, nil
	}
	test := nft.Table{Family: nft.Bridge, Name: "weft-probe", Chains: trackChains(beforeInet)}
	if _, err := c.Converge(ctx, test); err != nil {
		return nil, missing
	}
	return bridgeTracker{}, c.Delete(test)
}
