package firewall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"

	"github.com/google/nftables"

	"github.com/weftnet/weft/internal/dataplane/link"
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

// trackChains choose the zone at the given priority, which is before tracking.
func trackChains(priority int32) []nft.Chain {
	untracked := nft.MarkBits(markTagMask|markStateless|markTracked, markTag|markStateless)
	return []nft.Chain{
		{Name: "raw", Hook: hook(nftables.ChainHookPrerouting, priority), Rules: []nft.Rule{
			{untracked, nft.NoTrack, nft.Return},
			{tagged, nft.ZoneFromMark()}}},
		{Name: "state", Hook: hook(nftables.ChainHookPrerouting, afterTracking), Rules: []nft.Rule{
			{tagged, nft.CtState(nft.Established | nft.Related), nft.CtMarkIsNot(cutMark), nft.MarkOr(markEstablished)},
			{tagged, nft.CtState(nft.Invalid), nft.MarkOr(markInvalid)}}},
	}
}

// errNoTracking is that replies could never be told from anything else.
var errNoTracking = errors.New("the kernel has neither br_netfilter nor nf_conntrack_bridge: connections on bridges cannot be tracked (modprobe br_netfilter)")

// probe finds the tracker that works here. br_netfilter is preferred, being in
// every kernel; it is loaded if need be.
func probe(ctx context.Context, h *link.Handle, c *nft.Conn) (tracker, error) {
	const callTables = "net/bridge/bridge-nf-call-"
	if _, err := h.Sysctl(callTables + "iptables"); err == nil {
		return inetTracker{}, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for br_netfilter: %w", err)
	}
	if exec.CommandContext(ctx, "modprobe", "br_netfilter").Run() == nil {
		// It begins with all bridges of the host; ours ask for it themselves.
		var errs []error
		for _, family := range []string{"iptables", "ip6tables", "arptables"} {
			errs = append(errs, h.SetSysctl(callTables+family, "0"))
		}
		return inetTracker{}, errors.Join(errs...)
	}
	test := nft.Table{Family: nft.Bridge, Name: "weft-probe", Chains: trackChains(beforeInet)}
	if _, err := c.Converge(ctx, test); err != nil {
		return nil, errNoTracking
	}
	return bridgeTracker{}, c.Delete(test)
}
