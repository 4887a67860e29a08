package l3

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/netns"
)

// outdated matches connections that are translated as they no longer would be.
type outdated struct {
	gone  map[netip.Addr]bool       // addresses that the router loses
	pairs map[netip.Addr]netip.Addr // floating IP -> fixed address
}

func (o outdated) empty() bool { return len(o.gone) == 0 && len(o.pairs) == 0 }

// MatchConntrackFlow implements netlink.CustomConntrackFilter. A connection came to
// the destination of its first packet, and goes out under the destination of its
// answers.
func (o outdated) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	came, behind := address(f.Forward.DstIP), address(f.Reverse.SrcIP)
	inside, under := address(f.Forward.SrcIP), address(f.Reverse.DstIP)
	if o.gone[came] || o.gone[under] {
		return true
	}
	if fixed, ok := o.pairs[came]; ok && behind != fixed {
		return true
	}
	fixed, ok := o.pairs[under]
	return ok && inside != fixed
}

func address(ip []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// forget ends outdated connections and returns how many.
func forget(ns *netns.NS, o outdated) (n uint, err error) {
	if o.empty() {
		return 0, nil
	}
	err = ns.Do(func() error {
		h, err := netlink.NewHandle(unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		defer h.Close()
		n, err = h.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, o)
		return err
	})
	if err != nil {
		return n, fmt.Errorf("forgetting connections: %w", err)
	}
	return n, nil
}
