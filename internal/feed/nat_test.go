package feed

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/store"
)

func addrOf(s string) weft.Addr { return weft.AddrOf(netip.MustParseAddr(s)) }

func portForwarding(name, floating, protocol, external, address, internal string) *weft.PortForwarding {
	f := &weft.PortForwarding{Meta: id(name), FloatingIPID: floating, Protocol: protocol, InternalPortID: "a", InternalIPAddress: addrOf(address)}
	out, _ := weft.ParsePortRange(external)
	in, _ := weft.ParsePortRange(internal)
	f.SetExternal(out)
	f.SetInternal(in)
	return f
}

// newNAT is a cloud with a router on h1 that has a gateway and proxies NDP, one on h2,
// and floating IPs for ports on both.
func newNAT(t *testing.T) *cloud {
	c := newCloud(t)
	c.write(t, func(tx *store.Tx) {
		gw := insert(t, tx, store.Ports, port("gw", "h1", weft.OwnerRouterGateway, "10.0.0.7"))
		edit(t, store.Ports, gw.ID, func(p *weft.Port) { p.DeviceID = "r" })(tx)
		insert(t, tx, store.Routers, &weft.Router{Meta: id("r"), HostID: "h1", GatewayPortID: "gw", Gateway: &weft.Gateway{NetworkID: "net"}, EnableNDPProxy: true})
		insert(t, tx, store.Routers, &weft.Router{Meta: id("far-r"), HostID: "h2", EnableNDPProxy: true})
		for name, router := range map[string]weft.ID{"f": "r", "g": "r", "far-f": "far-r"} {
			ip := map[string]string{"f": "10.0.0.82", "g": "10.0.0.81", "far-f": "10.0.0.83"}[name]
			insert(t, tx, store.FloatingIPs, &weft.FloatingIP{Meta: id(name), FloatingNetworkID: "net", RouterID: router, FloatingIPAddress: addrOf(ip)})
		}
		for _, f := range []*weft.PortForwarding{
			portForwarding("1", "f", "tcp", "8000:8002", "10.0.0.5", "80"), portForwarding("2", "f", "tcp", "22", "10.0.0.5", "2200"),
			portForwarding("3", "f", "udp", "22", "10.0.0.5", "53"), portForwarding("4", "g", "tcp", "80:81", "10.0.0.5", "90:91"),
			portForwarding("far-1", "far-f", "tcp", "80", "10.0.0.6", "80"),
		} {
			insert(t, tx, store.PortForwardings, f)
		}
		for _, h := range []*weft.ConntrackHelper{{Meta: id("h1"), RouterID: "r", Protocol: "udp", Port: 69, Helper: "tftp"},
			{Meta: id("h2"), RouterID: "r", Protocol: "tcp", Port: 21, Helper: "ftp"}, {Meta: id("h3"), RouterID: "far-r", Protocol: "tcp", Port: 2121, Helper: "ftp"}} {
			insert(t, tx, store.ConntrackHelpers, h)
		}
		for _, p := range []*weft.NDPProxy{{Meta: id("p1"), PortID: "a", RouterID: "r", IPAddress: addrOf("2001:db8::2")},
			{Meta: id("p2"), PortID: "a", RouterID: "r", IPAddress: addrOf("2001:db8::1")}, {Meta: id("p3"), PortID: "a", RouterID: "far-r", IPAddress: addrOf("2001:db8::3")}} {
			insert(t, tx, store.NDPProxies, p)
		}
	})
	return c
}

func TestTranslations(t *testing.T) {
	c := newNAT(t)
	r := state(t, c.feed("h1")).Routers[0]
	ip := netip.MustParseAddr
	f, g, fixed := ip("10.0.0.82"), ip("10.0.0.81"), ip("10.0.0.5")
	want := host.Router{ID: r.ID, ProjectID: r.ProjectID, Gateway: r.Gateway,
		FloatingIPs: []host.FloatingIP{{ID: "g", NetworkID: "net", Floating: g}, {ID: "f", NetworkID: "net", Floating: f}},
		Forwardings: []host.Forwarding{
			{Floating: g, Protocol: 6, External: weft.PortRange{First: 80, Last: 81}, Fixed: fixed, Internal: weft.PortRange{First: 90, Last: 91}},
			{Floating: f, Protocol: 6, External: weft.OnePort(22), Fixed: fixed, Internal: weft.OnePort(2200)},
			{Floating: f, Protocol: 6, External: weft.PortRange{First: 8000, Last: 8002}, Fixed: fixed, Internal: weft.OnePort(80)},
			{Floating: f, Protocol: 17, External: weft.OnePort(22), Fixed: fixed, Internal: weft.OnePort(53)},
		},
		Helpers:  []host.Helper{{Helper: "ftp", Protocol: 6, Port: 21}, {Helper: "tftp", Protocol: 17, Port: 69}},
		NDPProxy: true, Published: []netip.Addr{ip("2001:db8::1"), ip("2001:db8::2")},
	}
	if diff := cmp.Diff(want, r, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.IgnoreFields(host.Router{}, "SNAT")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	far := state(t, c.feed("h2")).Routers[0]
	if far.NDPProxy || far.Published != nil {
		t.Errorf("a router without a gateway proxies: %+v", far)
	}
	if len(far.Forwardings) != 1 || len(far.Helpers) != 1 {
		t.Errorf("the other host has %+v and %+v", far.Forwardings, far.Helpers)
	}
	edit := edit(t, store.Routers, "r", func(r *weft.Router) { r.EnableNDPProxy = false })
	if feed := c.feed("h1"); !wakes(t, feed, c, edit) || state(t, feed).Routers[0].NDPProxy || state(t, feed).Routers[0].Published != nil {
		t.Error("switched off, the proxies go on")
	}
}

func TestWakesForTranslations(t *testing.T) {
	c := newNAT(t)
	remove := func(what string) func(*store.Tx) {
		return func(tx *store.Tx) {
			f, err := store.PortForwardings.Get(tx, what)
			if err == nil {
				err = store.PortForwardings.Delete(tx, f)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
	for _, x := range []struct {
		what   string
		change func(*store.Tx)
		want   bool
	}{
		{"another forwarding", func(tx *store.Tx) {
			insert(t, tx, store.PortForwardings, portForwarding("5", "f", "tcp", "23", "10.0.0.5", "23"))
		}, true},
		{"a forwarding elsewhere", func(tx *store.Tx) {
			insert(t, tx, store.PortForwardings, portForwarding("far-2", "far-f", "tcp", "23", "10.0.0.6", "23"))
		}, false},
		{"a forwarding to another port", edit(t, store.PortForwardings, "2", func(f *weft.PortForwarding) { f.SetInternal(weft.OnePort(2222)) }), true},
		{"a forwarding elsewhere to another port", edit(t, store.PortForwardings, "far-1", func(f *weft.PortForwarding) { f.SetInternal(weft.OnePort(2222)) }), false},
		{"a forwarding that goes", remove("2"), true},
		{"one that goes elsewhere", remove("far-1"), false},
		{"the first of a floating IP", func(tx *store.Tx) {
			insert(t, tx, store.FloatingIPs, &weft.FloatingIP{Meta: id("new"), FloatingNetworkID: "net", RouterID: "r", FloatingIPAddress: addrOf("10.0.0.84")})
			insert(t, tx, store.PortForwardings, portForwarding("6", "new", "tcp", "23", "10.0.0.5", "24"))
		}, true},
		{"a helper", func(tx *store.Tx) {
			insert(t, tx, store.ConntrackHelpers, &weft.ConntrackHelper{Meta: id("h5"), RouterID: "r", Protocol: "tcp", Port: 22, Helper: "ftp"})
		}, true},
		{"a helper at another port", edit(t, store.ConntrackHelpers, "h2", func(h *weft.ConntrackHelper) { h.Port = 2100 }), true},
		{"a helper elsewhere", edit(t, store.ConntrackHelpers, "h3", func(h *weft.ConntrackHelper) { h.Port = 2100 }), false},
		{"an NDP proxy", func(tx *store.Tx) {
			insert(t, tx, store.NDPProxies, &weft.NDPProxy{Meta: id("p5"), PortID: "a", RouterID: "r", IPAddress: addrOf("2001:db8::5")})
		}, true},
		{"an NDP proxy elsewhere", func(tx *store.Tx) {
			insert(t, tx, store.NDPProxies, &weft.NDPProxy{Meta: id("p6"), PortID: "a", RouterID: "far-r", IPAddress: addrOf("2001:db8::6")})
		}, false},
	} {
		if got := wakes(t, c.feed("h1"), c, x.change); got != x.want {
			t.Errorf("%s wakes the host: %t", x.what, got)
		}
	}
}

// A host is told of all gateways of a router, with what the first does alone.
func TestFurtherGateways(t *testing.T) {
	c := newNAT(t)
	c.write(t, func(tx *store.Tx) {
		gw := insert(t, tx, store.Ports, port("a-gw", "h1", weft.OwnerRouterGateway, "10.0.0.8"))
		edit(t, store.Ports, gw.ID, func(p *weft.Port) { p.DeviceID = "r" })(tx)
		edit(t, store.Routers, "r", func(r *weft.Router) {
			r.FurtherGatewayPorts, r.EnableDefaultRouteECMP = []string{"a-gw"}, true
			r.ExternalGateways = []weft.ExternalGateway{{NetworkID: "net"}, {NetworkID: "net"}}
		})(tx)
	})
	r := state(t, c.feed("h1")).Routers[0]
	if r.Gateway == nil || r.Gateway.PortID != "gw" || len(r.Further) != 1 || r.Further[0].PortID != "a-gw" || !r.ECMP {
		t.Errorf("gateway %+v, further %+v, ECMP %v", r.Gateway, r.Further, r.ECMP)
	}
	if got := r.Further[0].Addresses[0].Prefix.Addr().String(); got != "10.0.0.8" {
		t.Errorf("the further gateway has %s", got)
	}
}
