package feed

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/store"
)

// translations completes the routers with what they do beside floating IPs that lead
// to one address each.
func (c *computation) translations(fips []*weft.FloatingIP) error {
	routers := map[string]*host.Router{}
	for i := range c.out.Routers {
		routers[c.out.Routers[i].ID] = &c.out.Routers[i]
	}
	for _, step := range []func(map[string]*host.Router) error{
		func(r map[string]*host.Router) error { return c.forwardings(r, fips) }, c.helpers, c.proxies,
	} {
		if err := step(routers); err != nil {
			return err
		}
	}
	return nil
}

func (c *computation) forwardings(routers map[string]*host.Router, fips []*weft.FloatingIP) error {
	split := map[string]*weft.FloatingIP{}
	for _, f := range fips {
		if f.PortID == "" { // it is on the router for its forwardings
			split[f.ID] = f
			r := routers[string(f.RouterID)]
			r.FloatingIPs = append(r.FloatingIPs, floatingIP(f))
		}
	}
	list, err := store.PortForwardings.Find(c.tx, store.In("floatingip_id", keysOf(split)...))
	for _, f := range list {
		fip := split[f.FloatingIPID]
		r := routers[string(fip.RouterID)]
		r.Forwardings = append(r.Forwardings, host.Forwarding{Floating: fip.FloatingIPAddress.Addr, Protocol: protocol(f.Protocol),
			External: f.ExternalPortRange, Fixed: f.InternalIPAddress.Addr, Internal: f.InternalPortRange})
	}
	for _, r := range routers {
		slices.SortFunc(r.FloatingIPs, func(a, b host.FloatingIP) int { return a.Floating.Compare(b.Floating) })
		slices.SortFunc(r.Forwardings, func(a, b host.Forwarding) int {
			return cmp.Or(a.Floating.Compare(b.Floating), a.Protocol-b.Protocol, a.External.First-b.External.First)
		})
	}
	return err
}

func (c *computation) helpers(routers map[string]*host.Router) error {
	list, err := store.ConntrackHelpers.Find(c.tx, store.In("router_id", keysOf(routers)...))
	for _, h := range list {
		r := routers[h.RouterID]
		r.Helpers = append(r.Helpers, host.Helper{Helper: h.Helper, Protocol: protocol(h.Protocol), Port: h.Port})
	}
	for _, r := range routers {
		slices.SortFunc(r.Helpers, func(a, b host.Helper) int {
			return cmp.Or(cmp.Compare(a.Helper, b.Helper), a.Protocol-b.Protocol, a.Port-b.Port)
		})
	}
	return err
}

// proxies are those of routers on which they are switched on.
func (c *computation) proxies(routers map[string]*host.Router) error {
	on := map[string]*host.Router{}
	for id, r := range routers {
		if r.NDPProxy {
			on[id] = r
		}
	}
	list, err := store.NDPProxies.Find(c.tx, store.In("router_id", keysOf(on)...))
	for _, p := range list {
		on[p.RouterID].Published = append(on[p.RouterID].Published, p.IPAddress.Addr)
	}
	for _, r := range on {
		slices.SortFunc(r.Published, netip.Addr.Compare)
	}
	return err
}

// The interest in what translations are of.

func (in interest) forwarding(doc []byte) bool {
	f := decode[weft.PortForwarding](doc)
	return f == nil || in.floating[f.FloatingIPID]
}

func (in interest) helper(doc []byte) bool {
	h := decode[weft.ConntrackHelper](doc)
	return h == nil || in.routers[h.RouterID]
}

func (in interest) proxy(doc []byte) bool {
	p := decode[weft.NDPProxy](doc)
	return p == nil || in.routers[p.RouterID]
}
