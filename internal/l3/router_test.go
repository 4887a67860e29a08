package l3_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func TestCreateRouterWithGateway(t *testing.T) {
	w := newWorld(t)
	r := &weft.Router{AdminStateUp: true, Gateway: &weft.Gateway{NetworkID: w.ext.ID}}
	r.ProjectID = "p1"
	w.must(member, func(tx *store.Tx) error { return w.CreateRouter(tx, r, weft.Given{"external_gateway_info": true}) })
	got := get(w, store.Routers, r.ID)
	want := &weft.Gateway{NetworkID: w.ext.ID, EnableSNAT: true, ExternalFixedIPs: get(w, store.Ports, got.GatewayPortID).FixedIPs}
	if diff := cmp.Diff(want, got.Gateway, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("gateway (-want +got):\n%s", diff)
	}
	if len(want.ExternalFixedIPs) != 2 || got.Status != weft.StatusActive || got.Revision != 1 {
		t.Errorf("router %+v", got)
	}
	p := get(w, store.Ports, got.GatewayPortID)
	if p.DeviceID != r.ID || p.DeviceOwner != weft.OwnerRouterGateway || p.ProjectID != "" || p.HostID != got.HostID || !p.Bound() || !p.AdminStateUp {
		t.Errorf("gateway port %+v", p)
	}
}

func TestCreateRouterRefuses(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name   string
		change func(*weft.Router)
		want   string
	}{
		{"no such network", func(r *weft.Router) { r.Gateway = &weft.Gateway{NetworkID: "none"} }, "NetworkNotFound: Network none could not be found."},
		{"a network one cannot see", func(r *weft.Router) { r.Gateway = &weft.Gateway{NetworkID: w.theirs.ID} }, "NetworkNotFound: Network " + w.theirs.ID + " could not be found."},
		{"not external", func(r *weft.Router) { r.Gateway = &weft.Gateway{NetworkID: w.in4.ID} },
			"BadRequest: Bad router request: Network " + w.in4.ID + " is not an external network."},
		{"the outer gateway's address", func(r *weft.Router) { r.Gateway = outside(w, on(w.extSub, "203.0.113.1")) },
			"BadRequest: Bad router request: External IP 203.0.113.1 is the same as the gateway IP."},
		{"zone", func(r *weft.Router) { r.AvailabilityZoneHints = []string{"nova", "moon"} }, "AvailabilityZoneNotFound: AvailabilityZone moon could not be found."},
		{"flavor", func(r *weft.Router) { r.FlavorID = "f" }, "FlavorNotFound: Flavor f could not be found."},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.want(w.as(member, func(tx *store.Tx) error {
				r := &weft.Router{}
				r.ProjectID = "p1"
				c.change(r)
				return w.CreateRouter(tx, r, weft.Given{"external_gateway_info:external_fixed_ips": true})
			}), c.want)
		})
	}
	if n, _ := store.Routers.Count(w.read()); n != 0 {
		t.Errorf("%d routers left", n)
	}
	if n, _ := store.Ports.Count(w.read()); n != 0 {
		t.Errorf("%d ports left", n)
	}
}

func TestUpdateGateway(t *testing.T) {
	w := newWorld(t)
	r := w.router("p1")
	other := w.network("", true)
	w.pool(other, "198.51.100.0/24", 1)
	var last string // the gateway's port
	for _, c := range []struct {
		name    string
		gateway *weft.Gateway
		members []string
		snat    bool
		ips     []string
		newPort bool
	}{
		{"set", outside(w, on(w.extSub, "203.0.113.77")), []string{"external_fixed_ips"}, true, []string{"203.0.113.77"}, true},
		{"without SNAT", outside(w), []string{"enable_snat"}, false, []string{"203.0.113.77"}, false},
		{"SNAT is back when not named", outside(w), nil, true, []string{"203.0.113.77"}, false},
		{"another address", outside(w, on(w.extSub, "203.0.113.78")), []string{"external_fixed_ips"}, true, []string{"203.0.113.78"}, false},
		{"the same subnet", outside(w, on(w.extSub, "")), []string{"external_fixed_ips"}, true, []string{"203.0.113.78"}, false},
		{"a second address", outside(w, on(w.extSub, "203.0.113.78"), on(w.extSub6, "2001:db8:e::99")),
			[]string{"external_fixed_ips"}, true, []string{"2001:db8:e::99", "203.0.113.78"}, false},
		{"another network", &weft.Gateway{NetworkID: other.ID}, nil, true, []string{"198.51.100.10"}, true},
		{"none", nil, nil, false, nil, true},
		{"none again", nil, nil, false, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.want(w.gateway(admin, r.ID, c.gateway, c.members...), "")
			now := get(w, store.Routers, r.ID)
			var ips []string
			if now.Gateway != nil {
				for _, ip := range get(w, store.Ports, now.GatewayPortID).FixedIPs {
					ips = append(ips, ip.IPAddress.String())
				}
				if len(now.Gateway.ExternalFixedIPs) != len(ips) {
					t.Errorf("shown addresses %v, held %v", now.Gateway.ExternalFixedIPs, ips)
				}
				if now.Gateway.EnableSNAT != c.snat {
					t.Errorf("enable_snat %v", now.Gateway.EnableSNAT)
				}
			}
			if diff := cmp.Diff(c.ips, ips); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			if (now.GatewayPortID != last) != c.newPort {
				t.Errorf("port %q after %q", now.GatewayPortID, last)
			}
			last = now.GatewayPortID
		})
	}
	if n, _ := store.Ports.Count(w.read()); n != 0 {
		t.Errorf("%d ports left", n)
	}
}

func TestGatewayNeededByFloatingIPs(t *testing.T) {
	w := newWorld(t)
	r := w.routed()
	p := w.port("p1", w.in4, on(w.subA, ""))
	f := w.floating(member, p.ID)
	other := w.network("", true)
	want := "RouterExternalGatewayInUseByFloatingIp: Gateway cannot be updated for router " + r.ID + ", since a gateway to external network " + w.ext.ID + " is required by one or more floating IPs."
	w.want(w.gateway(admin, r.ID, nil), want)
	w.want(w.gateway(admin, r.ID, &weft.Gateway{NetworkID: other.ID}), want)
	w.must(admin, func(tx *store.Tx) error {
		f, err := store.FloatingIPs.Get(tx, f.ID)
		if err != nil {
			return err
		}
		return w.DeleteFloatingIP(tx, f)
	})
	w.want(w.gateway(admin, r.ID, nil), "")
}

func TestGatewayOverlaps(t *testing.T) {
	w := newWorld(t)
	n := w.network("p1", false)
	inside := w.subnet(n, "203.0.113.128/25")
	r := w.router("p1")
	w.attach(r.ID, inside)
	w.want(w.gateway(admin, r.ID, outside(w)), "BadRequest: Bad router request: Cidr 203.0.113.0/24 of subnet "+w.extSub.ID+
		" overlaps with cidr 203.0.113.128/25 of subnet "+inside.ID+".")

	r = w.router("p1")
	w.want(w.gateway(admin, r.ID, outside(w)), "")
	_, err := w.add(admin, r.ID, inside.ID, "")
	w.want(err, "BadRequest: Bad router request: Cidr 203.0.113.128/25 of subnet "+inside.ID+
		" overlaps with cidr 203.0.113.0/24 of subnet "+w.extSub.ID+".")
}

// The published deployment that we start from has an interface on the second
// subnet of the network that its gateway is on.
func TestInterfaceBesideGateway(t *testing.T) {
	w := newWorld(t)
	second := w.subnet(w.ext, "198.51.100.0/24")
	r := w.router("p1")
	w.want(w.gateway(admin, r.ID, outside(w, on(w.extSub, "")), "external_fixed_ips"), "")
	_, err := w.add(admin, r.ID, second.ID, "")
	w.want(err, "")
	_, err = w.add(admin, r.ID, w.extSub.ID, "")
	w.want(err, "BadRequest: Bad router request: Router already has a port on subnet "+w.extSub.ID+".")
	w.want(w.gateway(admin, r.ID, nil), "")
	w.want(w.gateway(admin, r.ID, outside(w, on(second, "")), "external_fixed_ips"),
		"BadRequest: Bad router request: Router already has a port on subnet "+second.ID+".")
}

func TestDeleteRouter(t *testing.T) {
	w := newWorld(t)
	r := w.routed()
	remove := func() error {
		return w.as(member, func(tx *store.Tx) error {
			r, err := store.Routers.Get(tx, r.ID)
			if err != nil {
				return err
			}
			return w.DeleteRouter(tx, r)
		})
	}
	var port string
	for _, p := range w.portsOf(r.ID) {
		if p.DeviceOwner == weft.OwnerRouterInterface {
			port = p.ID
		}
	}
	w.want(remove(), "RouterInUse: Router "+r.ID+" has ports still attached: "+port)
	_, err := w.remove(member, r.ID, w.subA.ID, "")
	w.want(err, "")
	w.want(remove(), "")
	if left := w.portsOf(r.ID); len(left) != 0 {
		t.Errorf("ports left: %v", left)
	}
}

func (w *world) portsOf(device string) []*weft.Port {
	w.Helper()
	ports, err := store.Ports.Find(w.read(), store.Eq("device_id", device))
	if err != nil {
		w.Fatal(err)
	}
	return ports
}

func routes(pairs ...string) []weft.Route {
	var out []weft.Route
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, weft.Route{Destination: netip.MustParsePrefix(pairs[i]), NextHop: netip.MustParseAddr(pairs[i+1])})
	}
	return out
}

func TestRoutes(t *testing.T) {
	w := newWorld(t)
	r := w.routed()
	many := routes()
	for i := range 31 {
		many = append(many, weft.Route{Destination: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, byte(i), 0}), 24), NextHop: netip.MustParseAddr("10.0.1.9")})
	}
	for _, c := range []struct {
		name   string
		routes []weft.Route
		want   string
	}{
		{"inside", routes("192.0.2.0/24", "10.0.1.9"), ""},
		{"outside", routes("192.0.2.0/24", "203.0.113.200"), ""},
		{"unconnected", routes("192.0.2.0/24", "10.0.2.9"),
			"InvalidRoutes: Invalid format for routes: [{'destination': '192.0.2.0/24', 'nexthop': '10.0.2.9'}], the nexthop is not connected with router"},
		{"itself", routes("192.0.2.0/24", "10.0.1.9", "192.0.3.0/24", "10.0.1.1"),
			"InvalidRoutes: Invalid format for routes: [{'destination': '192.0.2.0/24', 'nexthop': '10.0.1.9'}, {'destination': '192.0.3.0/24', 'nexthop': '10.0.1.1'}], the nexthop is used by router"},
		{"30", many[:30], ""},
		{"31", many, "RoutesExhausted: Unable to complete operation for " + r.ID + ". The number of routes exceeds the maximum 30."},
		{"none", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.want(w.update(member, r.ID, weft.Given{"routes": true}, func(r *weft.Router) { r.Routes = c.routes }), c.want)
		})
	}
}

func TestRoutesHoldWhatTheyNeed(t *testing.T) {
	w := newWorld(t)
	r := w.routed()
	set := func(list []weft.Route) {
		w.want(w.update(member, r.ID, weft.Given{"routes": true}, func(r *weft.Router) { r.Routes = list }), "")
	}
	set(routes("192.0.2.0/24", "10.0.1.9"))
	_, err := w.remove(member, r.ID, w.subA.ID, "")
	w.want(err, "RouterInterfaceInUseByRoute: Router interface for subnet "+w.subA.ID+" on router "+r.ID+" cannot be deleted, as it is required by one or more routes.")
	set(routes("192.0.2.0/24", "203.0.113.200"))
	_, err = w.remove(member, r.ID, w.subA.ID, "")
	w.want(err, "")
	w.want(w.gateway(admin, r.ID, nil), "InvalidRoutes: Invalid format for routes: [{'destination': '192.0.2.0/24', 'nexthop': '203.0.113.200'}], the nexthop is not connected with router")
	w.want(w.update(admin, r.ID, weft.Given{"routes": true, "external_gateway_info": true}, func(r *weft.Router) { r.Routes, r.Gateway = nil, nil }), "")
}

func TestExtraRoutes(t *testing.T) {
	w := newWorld(t)
	r := w.routed()
	a, b := routes("192.0.2.0/24", "10.0.1.9"), routes("192.0.3.0/24", "10.0.1.9")
	for _, c := range []struct {
		name    string
		add     bool
		routes  []weft.Route
		want    []weft.Route
		refused string
	}{
		{"add", true, a, a, ""},
		{"add again, with another", true, append(routes("192.0.2.0/24", "10.0.1.9"), b...), append(a[:1:1], b...), ""},
		{"a bad one", true, routes("192.0.4.0/24", "10.9.9.9"), append(a[:1:1], b...),
			"InvalidRoutes: Invalid format for routes: [{'destination': '192.0.2.0/24', 'nexthop': '10.0.1.9'}, {'destination': '192.0.3.0/24', 'nexthop': '10.0.1.9'}, {'destination': '192.0.4.0/24', 'nexthop': '10.9.9.9'}], the nexthop is not connected with router"},
		{"remove, and one it has not", false, append(routes("192.0.9.0/24", "10.0.1.9"), a...), b, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.want(w.as(member, func(tx *store.Tx) error {
				r, err := store.Routers.Get(tx, r.ID)
				if err != nil {
					return err
				}
				do := w.RemoveExtraRoutes
				if c.add {
					do = w.AddExtraRoutes
				}
				_, err = do(tx, r, c.routes)
				return err
			}), c.refused)
			got := []weft.Route(get(w, store.Routers, r.ID).Routes)
			if diff := cmp.Diff(c.want, got, cmp.Comparer(func(a, b weft.Route) bool { return a == b })); diff != "" {
				t.Errorf("routes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlacement(t *testing.T) {
	w := newWorld(t)
	w.agent("dead", weft.AgentL3, time.Now().Add(-2*time.Minute))
	w.agent("a-dhcp", weft.AgentDHCP, time.Now())
	hosts := map[string]int{}
	for range 4 {
		r := w.router("p1")
		if h := get(w, store.Routers, r.ID).HostID; h != "" {
			t.Errorf("a router without anything is on %s", h)
		}
		w.want(w.gateway(admin, r.ID, outside(w)), "")
		hosts[get(w, store.Routers, r.ID).HostID]++
	}
	if diff := cmp.Diff(map[string]int{"h1": 2, "h2": 2}, hosts); diff != "" {
		t.Errorf("routers by host (-want +got):\n%s", diff)
	}
	r := w.router("p1")
	before := get(w, store.Routers, r.ID).Revision
	info := w.attach(r.ID, w.subA)
	now := get(w, store.Routers, r.ID)
	if now.HostID != "h1" || get(w, store.Ports, info.PortID).HostID != "h1" || now.Revision != before+1 {
		t.Errorf("after its first interface: %+v", now)
	}
}

func TestPlacementWaitsForAnAgent(t *testing.T) {
	w := newWorld(t)
	w.must(admin, func(tx *store.Tx) error {
		agents, err := store.Agents.Find(tx)
		for _, a := range agents {
			if err := store.Agents.Delete(tx, a); err != nil {
				return err
			}
		}
		return err
	})
	r, idle := w.routed(), w.router("p1")
	if r.HostID != "" {
		t.Fatalf("placed on %s", r.HostID)
	}
	w.agent("h9", weft.AgentL3, time.Now())
	w.must(admin, w.PlaceRouters)
	for _, p := range w.portsOf(r.ID) {
		if p.HostID != "h9" {
			t.Errorf("%s is on %q", p.DeviceOwner, p.HostID)
		}
	}
	if h := get(w, store.Routers, r.ID).HostID; h != "h9" {
		t.Errorf("router is on %q", h)
	}
	if h := get(w, store.Routers, idle.ID).HostID; h != "" {
		t.Errorf("idle router is on %q", h)
	}
}
