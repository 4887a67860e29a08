package l3_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// floating makes a floating IP for a port, or for none.
func (w *world) floating(c *weft.Caller, port string) *weft.FloatingIP {
	w.Helper()
	f := &weft.FloatingIP{FloatingNetworkID: w.ext.ID, PortID: weft.ID(port)}
	f.ProjectID = c.ProjectID
	w.must(c, func(tx *store.Tx) error { return w.CreateFloatingIP(tx, f, "", nil) })
	return f
}

// repoint does as a PUT with port_id, "" being null, and with fixed_ip_address if
// it is not nil.
func (w *world) repoint(c *weft.Caller, id, port string, fixed *string) error {
	return w.as(c, func(tx *store.Tx) error {
		old, err := store.FloatingIPs.Get(tx, id)
		if err != nil {
			return err
		}
		f := weft.Clone(old)
		f.PortID = weft.ID(port)
		given := weft.Given{"port_id": true}
		if fixed != nil {
			f.FixedIPAddress, given["fixed_ip_address"] = weft.AddrOf(netip.MustParseAddr(*fixed)), true
		}
		return w.UpdateFloatingIP(tx, old, f, given)
	})
}

func TestCreateFloatingIP(t *testing.T) {
	w := newWorld(t)
	second := w.pool(w.ext, "198.51.100.0/24", 1)
	for _, c := range []struct{ name, subnet, addr, want string }{
		{"from a subnet", second.ID, "", "198.51.100.10"},
		{"an address", "", "203.0.113.99", "203.0.113.99"},
		{"both", second.ID, "198.51.100.98", "198.51.100.98"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &weft.FloatingIP{FloatingNetworkID: w.ext.ID}
			f.ProjectID = "p1"
			if c.addr != "" {
				f.FloatingIPAddress = weft.AddrOf(netip.MustParseAddr(c.addr))
			}
			w.must(member, func(tx *store.Tx) error { return w.CreateFloatingIP(tx, f, c.subnet, nil) })
			got := get(w, store.FloatingIPs, f.ID)
			if got.FloatingIPAddress.String() != c.want || got.Status != weft.StatusDown || got.RouterID != "" || got.FixedIPAddress.IsValid() {
				t.Errorf("floating IP %+v", got)
			}
			p := get(w, store.Ports, got.FloatingPortID)
			if p.DeviceOwner != weft.OwnerFloatingIP || p.DeviceID != f.ID || p.ProjectID != "" || p.Status != weft.StatusNotApplicable || p.HostID != "" {
				t.Errorf("its port %+v", p)
			}
		})
	}
}

func TestCreateFloatingIPRefuses(t *testing.T) {
	w := newWorld(t)
	r := w.routed()
	w.attach(r.ID, w.sub6)
	only6 := w.network("", true)
	w.subnet(only6, "2001:db8:f::/64")
	two, six := w.port("p1", w.in4, on(w.subA, "10.0.1.50"), on(w.subA, "10.0.1.51")), w.port("p1", w.in6, on(w.sub6, ""))
	away, foreign := w.port("p1", w.in4, on(w.subB, "")), w.port("p2", w.in4, on(w.subA, ""))
	hidden, dhcp := w.port("p2", w.theirs, on(w.theirsA, "")), w.port("p1", w.in4, on(w.subA, ""))
	w.must(admin, func(tx *store.Tx) error {
		p, err := store.Ports.Get(tx, dhcp.ID)
		if err != nil {
			return err
		}
		p.DeviceOwner = weft.OwnerDHCP
		return store.Ports.Update(tx, p)
	})
	const bad = "BadRequest: Bad floatingip request: "
	for _, c := range []struct{ name, network, port, fixed, want string }{
		{"no such network", "none", "", "", "NetworkNotFound: Network none could not be found."},
		{"a network one cannot see", w.theirs.ID, "", "", "NetworkNotFound: Network " + w.theirs.ID + " could not be found."},
		{"not external", w.in4.ID, "", "", bad + "Network " + w.in4.ID + " is not a valid external network."},
		{"no IPv4", only6.ID, "", "", bad + "Network " + only6.ID + " does not contain any IPv4 subnet."},
		{"an address without port", w.ext.ID, "", "10.0.1.5", bad + "fixed_ip_address cannot be specified without a port_id."},
		{"no such port", w.ext.ID, "none", "", "PortNotFound: Port none could not be found."},
		{"a port one cannot see", w.ext.ID, hidden.ID, "", "PortNotFound: Port " + hidden.ID + " could not be found."},
		{"somebody else's port", w.ext.ID, foreign.ID, "", bad + "Cannot process floating IP association with Port " + foreign.ID + ", since that port is owned by a different project."},
		{"a DHCP port", w.ext.ID, dhcp.ID, "", bad + "Port " + dhcp.ID + " is unable to be assigned a floating IP."},
		{"several addresses", w.ext.ID, two.ID, "", bad + "Port " + two.ID + " has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP."},
		{"one of them", w.ext.ID, two.ID, "10.0.1.51", ""},
		{"that one again", w.ext.ID, two.ID, "10.0.1.51", ""}, // completed below
		{"the other", w.ext.ID, two.ID, "10.0.1.50", ""},
		{"not its address", w.ext.ID, two.ID, "10.0.1.52", bad + "Port " + two.ID + " does not have fixed ip 10.0.1.52."},
		{"an IPv6 address", w.ext.ID, six.ID, "2001:db8:1::a", bad + "Cannot process floating IP association with 2001:db8:1::a, since that is not an IPv4 address."},
		{"no IPv4 address", w.ext.ID, six.ID, "", bad + "Cannot add floating IP to port " + six.ID + " that has no fixed IPv4 addresses."},
		{"not routed", w.ext.ID, away.ID, "", "ExternalGatewayForFloatingIPNotFound: External network " + w.ext.ID + " is not reachable from subnet " + w.subB.ID +
			".  Therefore, cannot associate Port " + away.ID + " with a Floating IP."},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &weft.FloatingIP{FloatingNetworkID: c.network, PortID: weft.ID(c.port)}
			f.ID, f.ProjectID = "f-"+c.name, "p1"
			if c.fixed != "" {
				f.FixedIPAddress = weft.AddrOf(netip.MustParseAddr(c.fixed))
			}
			err := w.as(member, func(tx *store.Tx) error { return w.CreateFloatingIP(tx, f, "", nil) })
			if c.name == "that one again" {
				c.want = "FloatingIPPortAlreadyAssociated: Cannot associate floating IP " + f.FloatingIPAddress.String() + " (f-that one again) with port " + two.ID +
					" using fixed IP 10.0.1.51, as that fixed IP already has a floating IP on external network " + w.ext.ID + "."
			}
			w.want(err, c.want)
		})
	}
}

func TestFloatingIPsLife(t *testing.T) {
	w := newWorld(t)
	r := w.routed()
	a, b := w.port("p1", w.in4, on(w.subA, "10.0.1.50")), w.port("p1", w.in4, on(w.subA, "10.0.1.60"), on(w.subA, "10.0.1.61"))
	f := w.floating(member, "")
	fixed := "10.0.1.61"
	type state struct{ Port, Fixed, Router, Status string }
	for _, step := range []struct {
		name string
		do   func() error
		want state
	}{
		{"associate", func() error { return w.repoint(member, f.ID, a.ID, nil) }, state{a.ID, "10.0.1.50", r.ID, "DOWN"}},
		{"reported", func() error { return w.report(r.HostID, f.ID, weft.StatusActive) }, state{a.ID, "10.0.1.50", r.ID, "ACTIVE"}},
		{"reported by another host", func() error { return w.report("h9", f.ID, weft.StatusError) }, state{a.ID, "10.0.1.50", r.ID, "ACTIVE"}},
		{"the same again", func() error { return w.repoint(member, f.ID, a.ID, nil) }, state{a.ID, "10.0.1.50", r.ID, "ACTIVE"}},
		{"described", func() error { return w.describe(f.ID) }, state{a.ID, "10.0.1.50", r.ID, "ACTIVE"}},
		{"re-pointed", func() error { return w.repoint(member, f.ID, b.ID, &fixed) }, state{b.ID, "10.0.1.61", r.ID, "DOWN"}},
		{"the port loses another address", func() error { return w.readdress(b.ID, on(w.subA, "10.0.1.61")) }, state{b.ID, "10.0.1.61", r.ID, "DOWN"}},
		{"disassociate", func() error { return w.repoint(member, f.ID, "", nil) }, state{"", "", "", "DOWN"}},
		{"the port has another address", func() error { return w.readdress(b.ID, on(w.subA, "10.0.1.62")) }, state{"", "", "", "DOWN"}},
		{"and once more", func() error { return w.repoint(member, f.ID, b.ID, nil) }, state{b.ID, "10.0.1.62", r.ID, "DOWN"}},
		{"the port goes", func() error { return w.deletePort(member, b.ID) }, state{"", "", "", "DOWN"}},
	} {
		w.want(step.do(), "")
		got := get(w, store.FloatingIPs, f.ID)
		addr := ""
		if got.FixedIPAddress.IsValid() {
			addr = got.FixedIPAddress.String()
		}
		if diff := cmp.Diff(step.want, state{string(got.PortID), addr, string(got.RouterID), got.Status}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	held := get(w, store.FloatingIPs, f.ID).FloatingPortID
	w.must(member, func(tx *store.Tx) error {
		f, err := store.FloatingIPs.Get(tx, f.ID)
		if err != nil {
			return err
		}
		return w.DeleteFloatingIP(tx, f)
	})
	if _, err := store.Ports.Get(w.read(), held); !weft.IsType(err, "PortNotFound") {
		t.Errorf("its port is left: %v", err)
	}
}

func (w *world) report(host, id, status string) error {
	return w.as(admin, func(tx *store.Tx) error {
		return w.SetFloatingIPStatuses(tx, host, map[string]string{id: status, "unknown": status})
	})
}

func (w *world) describe(id string) error {
	return w.as(member, func(tx *store.Tx) error {
		old, err := store.FloatingIPs.Get(tx, id)
		if err != nil {
			return err
		}
		f := weft.Clone(old)
		f.Description = "x"
		return w.UpdateFloatingIP(tx, old, f, weft.Given{"description": true})
	})
}

func (w *world) readdress(id string, ips ...weft.FixedIP) error {
	return w.as(member, func(tx *store.Tx) error {
		old, err := store.Ports.Get(tx, id)
		if err != nil {
			return err
		}
		p := weft.Clone(old)
		p.FixedIPs = ips
		return w.core.UpdatePort(tx, old, p, weft.Given{"fixed_ips": true})
	})
}

func (w *world) deletePort(c *weft.Caller, id string) error {
	return w.as(c, func(tx *store.Tx) error {
		p, err := store.Ports.Get(tx, id)
		if err != nil {
			return err
		}
		if err := w.GuardPortDelete(tx, p); err != nil {
			return err
		}
		return w.core.DeletePort(tx, p)
	})
}

func TestUpdateFloatingIPRefuses(t *testing.T) {
	w := newWorld(t)
	w.routed()
	f := w.floating(member, w.port("p1", w.in4, on(w.subA, "")).ID)
	fixed := "10.0.1.10"
	w.want(w.repoint(member, f.ID, "", &fixed), "BadRequest: Bad floatingip request: fixed_ip_address cannot be specified without a port_id.")
	w.want(w.repoint(member, f.ID, "none", nil), "PortNotFound: Port none could not be found.")
}

// Of two routers between a subnet and the outside, the one with the subnet's
// gateway address serves floating IPs.
func TestRouterWithTheGatewayAddressServes(t *testing.T) {
	w := newWorld(t)
	for range 4 {
		r := w.router("p1")
		w.want(w.gateway(admin, r.ID, outside(w)), "")
		p := w.port("p1", w.in4, on(w.subA, ""))
		_, err := w.add(member, r.ID, "", p.ID)
		w.want(err, "")
	}
	side := w.floating(member, w.port("p1", w.in4, on(w.subA, "")).ID)
	if side.RouterID == "" {
		t.Error("no router serves")
	}
	main := w.routed()
	if f := w.floating(member, w.port("p1", w.in4, on(w.subA, "")).ID); string(f.RouterID) != main.ID {
		t.Errorf("router %s serves, not %s", f.RouterID, main.ID)
	}
}
