package l3

import (
	"net/netip"
	"strings"

	"github.com/google/nftables"

	"github.com/weftnet/weft/internal/agent/qos"
	"github.com/weftnet/weft/internal/agent/wire"
	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// MetadataPort is where the metadata service listens in a router's namespace.
const MetadataPort = 9697

// metadata is where guests ask for the service.
var metadata = netip.MustParseAddrPort("169.254.169.254:80")

// asked is the mark of packets to there while they are in the router's namespace.
const asked = 0x77000169

// Maps of the table: one element in each for a floating IP.
const (
	tableName = "weft"
	inMap     = "floating" // floating IP -> fixed address
	outMap    = "fixed"    // fixed address -> floating IP; of a further gateway followed by its device
)

const tcp = 6

// translations are a router's floating IPs in force, by fixed address and gateway at
// most one: the API sees to that, and a second one would make the kernel refuse the
// whole table.
func translations(r *host.Router) []host.FloatingIP {
	if r.Gateway == nil || !r.AdminUp {
		return nil
	}
	type end struct {
		gateway string
		addr    netip.Addr
	}
	var out []host.FloatingIP
	seen := map[end]bool{}
	for _, f := range r.FloatingIPs {
		fixed, floating := end{r.GatewayOf(f).PortID, f.Fixed}, end{addr: f.Floating}
		if f.Floating.Is4() && f.Fixed.Is4() && !seen[fixed] && !seen[floating] {
			out = append(out, f)
		}
		seen[fixed], seen[floating] = true, true
	}
	return out
}

// pairsOf is the translations by floating IP.
func pairsOf(r *host.Router) map[netip.Addr]netip.Addr {
	out := map[netip.Addr]netip.Addr{}
	for _, f := range translations(r) {
		out[f.Floating] = f.Fixed
	}
	return out
}

// tableOf is the translation of a router, after the chains that Neutron makes.
func tableOf(r *host.Router) nft.Table {
	address := nft.IPv4
	in := nft.Set{Name: inMap, Key: []nft.Kind{nft.IPv4}, Value: &address}
	sets := []nft.Set{in, {Name: outMap, Key: []nft.Kind{nft.IPv4}, Value: &address}}
	at := map[*host.RouterPort]int{r.Gateway: 1} // in sets
	for i := range r.Further {
		at[&r.Further[i]] = len(sets)
		sets = append(sets, nft.Set{Name: outMapOf(&r.Further[i]), Key: []nft.Kind{nft.IPv4}, Value: &address})
	}
	for _, f := range translations(r) {
		floating, fixed := nft.Addr(f.Floating), nft.Addr(f.Fixed)
		out := &sets[at[r.GatewayOf(f)]]
		sets[0].Elements = append(sets[0].Elements, nft.Element{Key: []nft.Datum{floating}, Value: &fixed})
		out.Elements = append(out.Elements, nft.Element{Key: []nft.Datum{fixed}, Value: &floating})
	}
	nat := func(name string, hook *nftables.ChainHook, priority *nftables.ChainPriority, rules ...nft.Rule) nft.Chain {
		return nft.Chain{Name: name, Hook: &nft.Hook{Type: nftables.ChainTypeNAT, Num: hook, Priority: int32(*priority)}, Rules: rules}
	}
	filter := func(name string, hook *nftables.ChainHook, priority int32, rules ...nft.Rule) nft.Chain {
		return nft.Chain{Name: name, Hook: &nft.Hook{Type: nftables.ChainTypeFilter, Num: hook, Priority: priority}, Rules: rules}
	}
	metadataAddr := nft.IPDaddr.Is(nft.Addr(metadata.Addr()))
	question := nft.Rule{nft.IIF.IfPrefix(internalPrefix), metadataAddr, nft.L4Proto.Eq(tcp), nft.DPort.Eq(int(metadata.Port()))}
	t := nft.Table{Family: nft.IP, Name: tableName, Sets: sets, Chains: []nft.Chain{
		// The service knows who asks by the way there; nobody is to come by another, nor
		// be sent on to somebody else.
		filter("asking", nftables.ChainHookPrerouting, beforeNAT, append(question[:4:4], nft.SetMark(asked))),
		filter("input", nftables.ChainHookInput, int32(*nftables.ChainPriorityFilter),
			nft.Rule{nft.L4Proto.Eq(tcp), nft.DPort.Eq(MetadataPort), nft.MetaMark.IsNot(nft.Number(asked)), nft.Drop}),
		filter("forward", nftables.ChainHookForward, int32(*nftables.ChainPriorityFilter), nft.Rule{metadataAddr, nft.Drop}),
		nat("prerouting", nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest,
			append(question[:4:4], nft.Redirect(MetadataPort)),
			nft.Rule{nft.DNATFrom(inMap)}),
		nat("output", nftables.ChainHookOutput, nftables.ChainPriorityNATDest, nft.Rule{nft.DNATFrom(inMap)}),
		nat("postrouting", nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, sourceRules(r)...),
	}}
	forwardPorts(&t, r)
	qos.Limit(&t, r)
	return t
}

// sourceRules translate sources. The first leaves alone what stays inside, unless
// it was sent to a floating IP: then the answer has to come back by the router,
// which it would not if the sender were a neighbour under its own address.
func sourceRules(r *host.Router) []nft.Rule {
	if r.Gateway == nil {
		return nil
	}
	device := nft.Name(host.GatewayDevice(r.Gateway.PortID))
	var stays, came nft.Rule
	for _, g := range r.Gateways() {
		name := nft.Name(host.GatewayDevice(g.PortID))
		stays, came = append(stays, nft.OIF.IsNot(name)), append(came, nft.IIF.IsNot(name))
	}
	rules := []nft.Rule{append(stays, nft.Translated(false), nft.Accept)}
	for i := range r.Further {
		rules = append(rules, furtherRules(r, &r.Further[i])...)
	}
	rules = append(rules, nft.Rule{nft.SNATFrom(outMap)})
	for i := range r.Further { // from one floating IP to another
		rules = append(rules, nft.Rule{nft.Translated(true), nft.SNATFrom(outMapOf(&r.Further[i]))})
	}
	if gw := gatewayAddr(r.Gateway); r.SNAT && gw.IsValid() {
		rules = append(rules,
			nft.Rule{nft.OIF.Is(device), nft.SNAT(gw)},
			append(came, nft.Translated(true), nft.SNAT(gw)))
	}
	return rules
}

// furtherRules translate what leaves by a further gateway: never to what is of another.
func furtherRules(r *host.Router, g *host.RouterPort) []nft.Rule {
	device := nft.Name(host.GatewayDevice(g.PortID))
	rules := []nft.Rule{{nft.OIF.Is(device), nft.SNATFrom(outMapOf(g))}}
	if gw := gatewayAddr(g); r.SNAT && gw.IsValid() {
		return append(rules, nft.Rule{nft.OIF.Is(device), nft.SNAT(gw)})
	}
	return append(rules, nft.Rule{nft.OIF.Is(device), nft.Accept})
}

// outMapOf is the name of a further gateway's map.
func outMapOf(g *host.RouterPort) string { return outMap + "-" + host.GatewayDevice(g.PortID) }

// gatewayAddr is the IPv4 address that stands for what leaves by a gateway.
func gatewayAddr(g *host.RouterPort) netip.Addr {
	for _, a := range g.Addresses {
		if a.Prefix.Addr().Is4() {
			return a.Prefix.Addr()
		}
	}
	return netip.Addr{}
}

// over are the IPv4 addresses that the gateway's device has and is to lose. An
// address stays on the device until its connections are gone, so that a run cut
// short leaves the next the knowledge of it.
func over(s *wire.Space, have wire.Observed) map[netip.Addr]bool {
	wanted := map[netip.Addr]bool{}
	for _, l := range s.Legs {
		for _, a := range l.Addresses {
			wanted[a.Addr()] = true
		}
	}
	out := map[netip.Addr]bool{}
	for device, addrs := range have.Addresses {
		for _, a := range addrs {
			if strings.HasPrefix(device, gatewayPrefix) && a.Addr().Is4() && !wanted[a.Addr()] {
				out[a.Addr()] = true
			}
		}
	}
	return out
}
