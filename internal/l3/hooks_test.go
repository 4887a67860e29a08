package l3_test

import (
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func TestGuardPortDelete(t *testing.T) {
	w := newWorld(t)
	r := w.routed()
	f := w.floating(member, "")
	plain := w.port("p1", w.in4, on(w.subA, ""))
	var iface string
	for _, p := range w.portsOf(r.ID) {
		if p.DeviceOwner == weft.OwnerRouterInterface {
			iface = p.ID
		}
	}
	stray := w.port("p1", w.in4, on(w.subA, ""))
	w.must(admin, func(tx *store.Tx) error {
		p, err := store.Ports.Get(tx, stray.ID)
		if err != nil {
			return err
		}
		p.DeviceOwner, p.DeviceID = weft.OwnerRouterInterface, "gone"
		return store.Ports.Update(tx, p)
	})
	direct := func(id, owner string) string {
		return "ServicePortInUse: Port " + id + " cannot be deleted directly via the port API: has device owner " + owner + "."
	}
	for _, c := range []struct{ name, id, want string }{
		{"plain", plain.ID, ""},
		{"interface", iface, direct(iface, "network:router_interface")},
		{"gateway", r.GatewayPortID, direct(r.GatewayPortID, "network:router_gateway")},
		{"floating", f.FloatingPortID, direct(f.FloatingPortID, "network:floatingip")},
		{"of a router that is gone", stray.ID, ""},
	} {
		t.Run(c.name, func(t *testing.T) { w.want(w.deletePort(admin, c.id), c.want) })
	}
}

func TestGuardPortUpdate(t *testing.T) {
	w := newWorld(t)
	r := w.router("p1")
	old := get(w, store.Ports, w.attach(r.ID, w.subA).PortID)
	same, moved, bare := weft.Clone(old), weft.Clone(old), weft.Clone(old)
	moved.FixedIPs, bare.FixedIPs = []weft.FixedIP{on(w.subA, "10.0.1.2")}, nil
	const refused = "BadRequest: Bad ports request: IP updates for port "
	for _, c := range []struct {
		name  string
		p     *weft.Port
		given weft.Given
		want  string
	}{
		{"same", same, weft.Given{"fixed_ips": true}, ""},
		{"not given", moved, weft.Given{"name": true}, ""},
		{"moved", moved, weft.Given{"fixed_ips": true}, refused + old.ID + " are not allowed."},
		{"bare", bare, weft.Given{"fixed_ips": true}, refused + old.ID + " are not allowed."},
	} {
		t.Run(c.name, func(t *testing.T) { w.want(w.GuardPortUpdate(w.read(), old, c.p, c.given), c.want) })
	}
}

func TestPortOfAnotherProjectsFloatingIPStays(t *testing.T) {
	w := newWorld(t)
	w.routed()
	p := w.port("p1", w.in4, on(w.subA, ""))
	w.floating(admin, p.ID)
	w.want(w.deletePort(member, p.ID), "FipAssociated: Unable to complete the operation on port "+p.ID+" because the port still has an associated floating IP.")
	w.want(w.deletePort(admin, p.ID), "")
}

func TestGatewayFollowsItsPort(t *testing.T) {
	w := newWorld(t)
	r := w.routed()
	w.want(w.readdress(r.GatewayPortID, on(w.extSub, "203.0.113.66")), "")
	got := get(w, store.Routers, r.ID).Gateway.ExternalFixedIPs
	if len(got) != 1 || got[0] != on(w.extSub, "203.0.113.66") {
		t.Errorf("shown addresses %v", got)
	}
	w.must(admin, func(tx *store.Tx) error {
		return w.SubnetCreated(tx, w.extSub6) // as if it were new: the gateway has no IPv6 address any more
	})
	if got := get(w, store.Routers, r.ID).Gateway.ExternalFixedIPs; len(got) != 2 || got[0].SubnetID != w.extSub6.ID { // by their text
		t.Errorf("after a new subnet: %v", got)
	}
}

func TestSubnetAndNetworkHooks(t *testing.T) {
	w := newWorld(t)
	w.routed()
	closed := weft.Clone(w.ext)
	closed.External = false
	for _, c := range []struct {
		name string
		do   func(*store.Tx) error
		want string
	}{
		{"subnet in use", func(tx *store.Tx) error { return w.SubnetDeleting(tx, w.subA) },
			"SubnetInUse: Unable to complete operation on subnet " + w.subA.ID + ": One or more ports have an IP allocation from this subnet."},
		{"subnet of no router", func(tx *store.Tx) error { return w.SubnetDeleting(tx, w.subB) }, ""},
		{"external network in use", func(tx *store.Tx) error { return w.NetworkUpdating(tx, w.ext, closed) },
			"ExternalNetworkInUse: External network " + w.ext.ID + " cannot be updated to be made non-external, since it has existing gateway ports."},
		{"external as it was", func(tx *store.Tx) error { return w.NetworkUpdating(tx, w.ext, w.ext) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) { w.want(w.as(admin, c.do), c.want) })
	}
}

func TestNetworkDeletingTakesIdleFloatingIPs(t *testing.T) {
	w := newWorld(t)
	w.routed()
	idle, used := w.floating(member, ""), w.floating(member, w.port("p1", w.in4, on(w.subA, "")).ID)
	w.must(admin, func(tx *store.Tx) error { return w.NetworkDeleting(tx, w.ext) })
	if _, err := store.FloatingIPs.Get(w.read(), idle.ID); !weft.IsType(err, "FloatingIPNotFound") {
		t.Errorf("the idle one: %v", err)
	}
	get(w, store.FloatingIPs, used.ID)
}
