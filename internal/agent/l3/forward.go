package l3

import (
	"net/netip"

	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// Maps of the table: one element in each for a forwarded port, since the kernel
// knows no translation of a range into another.
const (
	forwardMap = "forwarded"       // floating IP, protocol, port -> fixed address
	portMap    = "forwarded_ports" // the same -> port there
)

const (
	udp  = 17
	dccp = 33
	sctp = 132
)

// socket is an end of connections.
type socket struct {
	addr     netip.Addr
	protocol uint8
	port     uint16
}

// forward is a forwarded port.
type forward struct{ from, to socket }

// forwards are a router's forwarded ports in force, by port at most one. A floating
// IP that leads to a port as a whole has none.
func forwards(r *host.Router) []forward {
	if r.Gateway == nil || !r.AdminUp || len(r.Forwardings) == 0 {
		return nil
	}
	whole, seen := pairsOf(r), map[socket]bool{}
	var out []forward
	for _, f := range r.Forwardings {
		if !forwardable(f) || whole[f.Floating].IsValid() {
			continue
		}
		for i := range f.External.Size() {
			from := socket{f.Floating, uint8(f.Protocol), uint16(f.External.First + i)}
			to := socket{f.Fixed, uint8(f.Protocol), uint16(f.Internal.First)}
			if f.Internal.Size() > 1 {
				to.port += uint16(i)
			}
			if !seen[from] {
				out = append(out, forward{from, to})
			}
			seen[from] = true
		}
	}
	return out
}

// forwardable reports whether the kernel can do it: what has no ports has nothing to
// forward by, though the API takes it.
func forwardable(f host.Forwarding) bool {
	ported := f.Protocol == tcp || f.Protocol == udp || f.Protocol == dccp || f.Protocol == sctp
	return ported && f.Floating.Is4() && f.Fixed.Is4()
}

// forwardPorts completes a router's table with its forwarded ports. One without any
// has nothing of it.
func forwardPorts(t *nft.Table, r *host.Router) {
	list := forwards(r)
	if len(list) == 0 {
		return
	}
	key, address, port := []nft.Kind{nft.IPv4, nft.Protocol, nft.Service}, nft.IPv4, nft.Service
	addresses := nft.Set{Name: forwardMap, Key: key, Value: &address}
	ports := nft.Set{Name: portMap, Key: key, Value: &port}
	for _, f := range list {
		key := []nft.Datum{nft.Addr(f.from.addr), nft.Proto(int(f.from.protocol)), nft.Port(int(f.from.port))}
		a, p := nft.Addr(f.to.addr), nft.Port(int(f.to.port))
		addresses.Elements = append(addresses.Elements, nft.Element{Key: key, Value: &a})
		ports.Elements = append(ports.Elements, nft.Element{Key: key, Value: &p})
	}
	t.Sets = append(t.Sets, addresses, ports)
	for i := range t.Chains {
		if c := &t.Chains[i]; c.Name == "prerouting" || c.Name == "output" {
			c.Rules = append(c.Rules, nft.Rule{nft.DNATPortFrom(forwardMap, portMap)})
		}
	}
}
