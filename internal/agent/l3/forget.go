package l3

import (
	"fmt"
	"net/netip"

	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

// outdated tells connections that are translated as they no longer would be.
type outdated struct {
	gone  map[netip.Addr]bool       // addresses that the router loses
	pairs map[netip.Addr]netip.Addr // floating IP -> fixed address
	ports map[socket]socket         // forwarded ports
	split map[netip.Addr]bool       // floating IPs of which ports are forwarded
}

// inForce is the translations that connections have to agree with.
func inForce(r *host.Router) outdated {
	o := outdated{pairs: pairsOf(r), ports: map[socket]socket{}, split: map[netip.Addr]bool{}}
	for _, f := range forwards(r) {
		o.ports[f.from] = f.to
		o.split[f.from.addr] = true
	}
	return o
}

// match reports whether a connection is outdated. It came to the destination of its
// first packet, and goes out under the destination of its answers.
func (o outdated) match(f conntrack.Flow) bool {
	came, under := f.Orig.Dst, f.Reply.Dst
	if o.gone[came] || o.gone[under] {
		return true
	}
	if o.split[came] && o.misdirected(f) {
		return true
	}
	if fixed, ok := o.pairs[came]; ok && (f.Reply.Src != fixed || f.Reply.SPort != f.Orig.DPort) {
		return true
	}
	fixed, ok := o.pairs[under]
	return ok && f.Orig.Src != fixed
}

// misdirected reports whether a connection to a floating IP is not forwarded as its
// port is.
func (o outdated) misdirected(f conntrack.Flow) bool {
	to, ok := o.ports[socket{f.Orig.Dst, f.Orig.Protocol, f.Orig.DPort}]
	if !ok {
		return f.Reply.Src != f.Orig.Dst
	}
	return f.Reply.Src != to.addr || f.Reply.SPort != to.port
}

// forget ends outdated connections and returns how many. It takes some 10 ms
// whatever their number, because the kernel's table is one for all namespaces.
func forget(ns *netns.NS, o outdated) (int, error) {
	if len(o.gone) == 0 && len(o.pairs) == 0 && len(o.ports) == 0 {
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
func onlyMore(was, is outdated) bool {
	more := len(is.pairs)+len(is.ports) > len(was.pairs)+len(was.ports)
	return more && within(was.pairs, is.pairs) && within(was.ports, is.ports)
}

func within[K, V comparable](was, is map[K]V) bool {
	for k, v := range was {
		if is[k] != v {
			return false
		}
	}
	return true
}
