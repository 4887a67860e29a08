package l3

import (
	"net/netip"

	"github.com/google/nftables"

	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

const (
	metadataAddress = "169.254.169.254"
	metadataPort    = 9697 // where the metadata proxy listens in the namespace
)

// Priorities of nat chains, and of filters.
const (
	dstNAT = -100
	srcNAT = 100
	filter = 0
)

// natTable is the translation of a router:
//   - the metadata address leads to the proxy in the namespace, and nothing else
//     does;
//   - floating IPs are translated one to one by two maps, so that adding one is an
//     element each; a fixed address that reaches its floating IP from inside is
//     turned around with the router's address as source, so that answers come back
//     this way;
//   - what leaves by the gateway and has no floating IP gets the router's address.
//
// Traffic between internal networks passes as it is.
func natTable(r *host.Router) nft.Table {
	ip := nft.IPv4
	dnat := nft.Set{Name: "floating", Key: []nft.Kind{nft.IPv4}, Value: &ip}
	snat := nft.Set{Name: "fixed", Key: []nft.Kind{nft.IPv4}, Value: &ip}
	for _, f := range r.FloatingIPs {
		if !f.Floating.Is4() || !f.Fixed.Is4() {
			continue
		}
		floating, fixed := nft.Addr(f.Floating), nft.Addr(f.Fixed)
		dnat.Elements = append(dnat.Elements, nft.Element{Key: []nft.Datum{floating}, Value: &fixed})
		snat.Elements = append(snat.Elements, nft.Element{Key: []nft.Datum{fixed}, Value: &floating})
	}
	metadata := nft.Rule{nft.IIF.IfPrefix("qr-"), nft.IPDaddr.Is(nft.Addr(netip.MustParseAddr(metadataAddress))), nft.L4Proto.Eq(6), nft.DPort.Eq(80), nft.Redirect(metadataPort)}
	return nft.Table{Family: nft.IP, Name: "weft", Sets: []nft.Set{dnat, snat}, Chains: []nft.Chain{
		{Name: "prerouting", Hook: &nft.Hook{Type: nftables.ChainTypeNAT, Num: nftables.ChainHookPrerouting, Priority: dstNAT},
			Rules: []nft.Rule{metadata, {nft.DNATFrom("floating")}}},
		{Name: "output", Hook: &nft.Hook{Type: nftables.ChainTypeNAT, Num: nftables.ChainHookOutput, Priority: dstNAT},
			Rules: []nft.Rule{{nft.DNATFrom("floating")}}},
		{Name: "postrouting", Hook: &nft.Hook{Type: nftables.ChainTypeNAT, Num: nftables.ChainHookPostrouting, Priority: srcNAT}, Rules: postrouting(r)},
		// The proxy is for redirected questions only: those were to another port.
		{Name: "input", Hook: &nft.Hook{Type: nftables.ChainTypeFilter, Num: nftables.ChainHookInput, Priority: filter},
			Rules: []nft.Rule{{nft.L4Proto.Eq(6), nft.DPort.Eq(metadataPort), nft.Translated(false), nft.Drop}}},
	}}
}

func postrouting(r *host.Router) []nft.Rule {
	if r.Gateway == nil {
		return nil
	}
	out := nft.Name(host.GatewayDevice(r.Gateway.PortID))
	rules := []nft.Rule{
		// Between internal networks nothing is translated, except what came by a
		// floating IP from inside.
		{nft.OIF.IsNot(out), nft.Translated(false), nft.Accept},
		{nft.OIF.Is(out), nft.SNATFrom("fixed")},
	}
	gw := gatewayAddress(r)
	if !gw.IsValid() {
		return rules
	}
	if r.SNAT {
		rules = append(rules, nft.Rule{nft.OIF.Is(out), nft.SNAT(gw)})
	}
	// Turned around: from an internal network to a floating IP and back inside. The
	// answer must come by the router, which untranslates it.
	return append(rules, nft.Rule{nft.OIF.IsNot(out), nft.IIF.IsNot(out), nft.Translated(true), nft.SNAT(gw)})
}

func gatewayAddress(r *host.Router) netip.Addr {
	for _, a := range r.Gateway.Addresses {
		if a.Prefix.Addr().Is4() {
			return a.Prefix.Addr()
		}
	}
	return netip.Addr{}
}
