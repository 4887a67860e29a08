package l3

import (
	"fmt"
	"net/netip"

	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// outdated tells connections that are translated as they no longer would be.
type outdated struct {
	gone  map[netip.Addr]bool       // addresses that the router loses
	pairs map[netip.Addr]netip.Addr // floating IP -> fixed address
}

// match reports whether a connection is outdated. It came to the destination of its
// first packet, and goes out under the destination of its answers.
func (o outdated) match(f conntrack.Flow) bool {
	came, under := f.Orig.Dst, f.Reply.Dst
	if o.gone[came] || o.gone[under] {
		return true
	}
	if fixed, ok := o.pairs[came]; ok && f.Reply.Src != fixed {
		return true
	}
	fixed, ok := o.pairs[under]
	return ok && f.Orig.Src != fixed
}

// forget ends outdated connections and returns how many. It takes some 10 ms
// whatever their number, because the kernel's table is one for all namespaces.
func forget(ns *netns.NS, o outdated) (int, error) {
	if len(o.gone) == 0 && len(o.pairs) == 0 {
		return 0, nil
	}
	n, err := conntrack.Open(ns.FD()).Delete(0, o.match)
	if err != nil {
		return n, fmt.Errorf("forgetting connections: %w", err)
	}
	return n, nil
}

// onlyMore reports whether all that was is still so, and there is more: then no
// connection is outdated.
func onlyMore(was, is map[netip.Addr]netip.Addr) bool {
	for floating, fixed := range was {
		if is[floating] != fixed {
			return false
		}
	}
	return len(is) > len(was)
}
