package l3

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"

	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// Tables beside the translation's, each there only if there is something in it: a
// kernel that lacks what one needs still translates, and has the others.
const (
	helperTables  = "weft-helper-" // one for each helper
	publishTable  = "weft-published"
	publishedSet  = "published"
	furtherTables = "nft" // in place of a device, for what goes wrong with them
)

// beforeNAT is after connection tracking has seen a packet and before it is
// translated.
const beforeNAT = -150

// keepFurther brings the tables beside the translation's to what they must be. What
// a process before this one left is looked for once.
func (p *pass) keepFurther(ctx context.Context) error {
	if p.further == nil {
		if err := p.findFurther(); err != nil {
			return err
		}
	}
	var errs []error
	wanted := furtherOf(p.want)
	for _, t := range wanted {
		p.further[t.Name] = t
		changes, err := p.nft.Converge(ctx, t)
		errs = append(errs, err)
		for _, c := range changes {
			p.done = append(p.done, "nft "+c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.further)) {
		if slices.ContainsFunc(wanted, func(w nft.Table) bool { return w.Name == name }) {
			continue
		}
		if err := p.nft.Delete(p.further[name]); err != nil {
			errs = append(errs, err)
			continue
		}
		p.done = append(p.done, "nft delete table "+name)
		delete(p.further, name)
	}
	return errors.Join(errs...)
}

func (p *pass) findFurther() error {
	p.further = map[string]nft.Table{}
	if !p.have.Exists {
		return nil
	}
	tables, err := p.nft.Ours()
	if err != nil {
		p.further = nil
		return err
	}
	for _, t := range tables {
		if strings.HasPrefix(t.Name, helperTables) || t.Name == publishTable {
			p.further[t.Name] = t
		}
	}
	return nil
}

func furtherOf(r *host.Router) (out []nft.Table) {
	if !r.AdminUp {
		return nil
	}
	out = helpersOf(r)
	if r.NDPProxy && r.Gateway != nil {
		out = append(out, publishedOf(r))
	}
	return out
}

// helpersOf gives connections through the router their helpers.
func helpersOf(r *host.Router) (out []nft.Table) {
	for _, h := range r.Helpers {
		i := slices.IndexFunc(out, func(t nft.Table) bool { return t.Name == helperTables+h.Helper })
		if i < 0 {
			hook := &nft.Hook{Type: nftables.ChainTypeFilter, Num: nftables.ChainHookPrerouting, Priority: beforeNAT}
			i, out = len(out), append(out, nft.Table{Family: nft.Inet, Name: helperTables + h.Helper, Chains: []nft.Chain{{Name: "prerouting", Hook: hook}}})
		}
		t, name := &out[i], fmt.Sprintf("%s-%d", h.Helper, h.Protocol)
		if !slices.ContainsFunc(t.Helpers, func(x nft.Helper) bool { return x.Name == name }) {
			t.Helpers = append(t.Helpers, nft.Helper{Name: name, Type: kernelHelper(h), Protocol: h.Protocol})
		}
		t.Chains[0].Rules = append(t.Chains[0].Rules, nft.Rule{nft.L4Proto.Eq(h.Protocol), nft.DPort.Eq(h.Port), nft.SetHelper(name)})
	}
	return out
}

// kernelHelper is the kernel's name: what Neutron calls h323 has several there.
func kernelHelper(h host.Helper) string {
	switch {
	case h.Helper != "h323":
		return h.Helper
	case h.Protocol == udp:
		return "RAS"
	}
	return "Q.931"
}

// publishedOf keeps out what comes by the gateway for addresses inside that are not
// published.
func publishedOf(r *host.Router) nft.Table {
	set := nft.Set{Name: publishedSet, Key: []nft.Kind{nft.IPv6}}
	for _, a := range r.Published {
		set.Elements = append(set.Elements, nft.Element{Key: []nft.Datum{nft.Addr(a)}})
	}
	c := nft.Chain{Name: "forward", Hook: &nft.Hook{Type: nftables.ChainTypeFilter, Num: nftables.ChainHookForward, Priority: int32(*nftables.ChainPriorityFilter)}}
	for _, g := range r.Gateways() {
		device := nft.Name(host.GatewayDevice(g.PortID))
		for _, cidr := range inside(r) {
			c.Rules = append(c.Rules, nft.Rule{nft.IIF.Is(device), nft.IP6Daddr.In(cidr), nft.NotInSet(publishedSet, nft.IP6Daddr), nft.Drop})
		}
	}
	return nft.Table{Family: nft.IP6, Name: publishTable, Sets: []nft.Set{set}, Chains: []nft.Chain{c}}
}

// inside is the IPv6 subnets of the router's interfaces.
func inside(r *host.Router) (out []netip.Prefix) {
	for i := range r.Interfaces {
		for _, a := range r.Interfaces[i].Addresses {
			if cidr := a.Prefix.Masked(); a.Prefix.Addr().Is6() && !slices.Contains(out, cidr) {
				out = append(out, cidr)
			}
		}
	}
	return out
}
