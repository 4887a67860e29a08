package l3_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/l3"
	"github.com/weftnet/weft/internal/store"
)

func TestAddInterfaceBySubnet(t *testing.T) {
	w := newWorld(t)
	r := w.router("p1")
	info, err := w.add(member, r.ID, w.subA.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	want := &l3.Interface{ID: r.ID, TenantID: "p1", PortID: info.PortID, NetworkID: w.in4.ID, SubnetID: w.subA.ID, SubnetIDs: []string{w.subA.ID}}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	p := get(w, store.Ports, info.PortID)
	if p.DeviceOwner != weft.OwnerRouterInterface || p.DeviceID != r.ID || p.ProjectID != "p1" || p.FixedIPs[0] != on(w.subA, "10.0.1.1") {
		t.Errorf("port %+v", p)
	}
}

func TestAddInterfaceRefuses(t *testing.T) {
	w := newWorld(t)
	r := w.router("p1")
	w.attach(r.ID, w.subA)
	overlap := w.subnet(w.network("p1", false), "10.0.1.128/25")
	closed, aired := w.subnet(w.network("p1", false), "10.0.9.0/24"), w.subnet(w.in6, "2001:db8:9::/64")
	shared := w.network("p2", false)
	sharedSub := w.subnet(shared, "10.0.8.0/24")
	w.rbac(shared.ID, weft.AccessShared, "*")
	w.must(admin, func(tx *store.Tx) error {
		closed, aired := weft.Clone(closed), weft.Clone(aired)
		closed.GatewayIP = weft.Addr{}
		aired.IPv6AddressMode = weft.SLAAC
		for _, s := range []*weft.Subnet{closed, aired} {
			if _, err := store.Subnets.Get(tx, s.ID); err != nil {
				return err
			}
			if err := store.Subnets.Update(tx, s); err != nil {
				return err
			}
		}
		return nil
	})
	used := w.port("p1", w.in4, on(w.subB, "10.0.2.33"))
	w.must(admin, func(tx *store.Tx) error {
		p, err := store.Ports.Get(tx, used.ID)
		if err != nil {
			return err
		}
		p.DeviceID = "vm"
		return store.Ports.Update(tx, p)
	})
	bare, twice := w.port("p1", w.in4), w.port("p1", w.in4, on(w.subB, "10.0.2.40"), on(w.subB, "10.0.2.41"))
	again, foreign := w.port("p1", w.in4, on(w.subA, "")), w.port("p2", w.theirs, on(w.theirsA, ""))
	outOfPool := w.port("p1", shared, on(sharedSub, "10.0.8.200"))
	const bad = "BadRequest: Bad router request: "
	for _, c := range []struct{ name, subnet, port, want string }{
		{"neither", "", "", bad + "Either subnet_id or port_id must be specified."},
		{"both", w.subB.ID, used.ID, bad + "Cannot specify both subnet-id and port-id."},
		{"no such subnet", "none", "", "SubnetNotFound: Subnet none could not be found."},
		{"a subnet one cannot see", w.theirsA.ID, "", "SubnetNotFound: Subnet " + w.theirsA.ID + " could not be found."},
		{"shared with everybody", sharedSub.ID, "", bad + "Cannot add interface to router because subnet " + sharedSub.ID + " is not owned by project making the request."},
		{"no gateway", closed.ID, "", bad + "Subnet for router interface must have a gateway IP."},
		{"served from outside", aired.ID, "", bad + "IPv6 subnet " + aired.ID + " configured to receive RAs from an external router cannot be added to Neutron Router.."},
		{"the same again", w.subA.ID, "", bad + "Router already has a port on subnet " + w.subA.ID + "."},
		{"overlap", overlap.ID, "", bad + "Cidr 10.0.1.128/25 of subnet " + overlap.ID + " overlaps with cidr 10.0.1.0/24 of subnet " + w.subA.ID + "."},
		{"no such port", "", "none", "PortNotFound: Port none could not be found."},
		{"a port one cannot see", "", foreign.ID, "PortNotFound: Port " + foreign.ID + " could not be found."},
		{"a port in use", "", used.ID, "PortInUse: Unable to complete operation on port " + used.ID + " for network " + w.in4.ID + ". Port already has an attached device vm."},
		{"a port without address", "", bare.ID, bad + "Router port must have at least one fixed IP."},
		{"a port on the same subnet", "", again.ID, bad + "Router already has a port on subnet " + w.subA.ID + "."},
		{"a port with two IPv4 addresses", "", twice.ID, bad + "Cannot have multiple IPv4 subnets on router port."},
		{"a port out of the pool", "", outOfPool.ID, bad + "Cannot add interface to router because specified port " + outOfPool.ID +
			" has an IP address out of the allocation pool of subnet " + sharedSub.ID + ", which is not owned by the project making the request."},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.add(member, r.ID, c.subnet, c.port)
			w.want(err, c.want)
		})
	}
	w.rbac(shared.ID, weft.AccessShared, "p1")
	_, err := w.add(member, r.ID, sharedSub.ID, "")
	w.want(err, "")
}

func TestAddInterfaceByPort(t *testing.T) {
	w := newWorld(t)
	r := w.router("p1")
	p := w.port("p1", w.in4, on(w.subB, "10.0.2.44"))
	info, err := w.add(member, r.ID, "", p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if info.PortID != p.ID || info.SubnetID != w.subB.ID {
		t.Errorf("answer %+v", info)
	}
	now := get(w, store.Ports, p.ID)
	if now.DeviceID != r.ID || now.DeviceOwner != weft.OwnerRouterInterface || now.HostID != get(w, store.Routers, r.ID).HostID || now.HostID == "" {
		t.Errorf("port %+v", now)
	}
}

func TestIPv6SubnetsShareAPort(t *testing.T) {
	w := newWorld(t)
	second := w.subnet(w.in6, "2001:db8:2::/64")
	r := w.router("p1")
	first, info := w.attach(r.ID, w.sub6), w.attach(r.ID, second)
	if info.PortID != first.PortID || info.SubnetID != second.ID {
		t.Errorf("first %+v, second %+v", first, info)
	}
	third := w.port("p1", w.in6, on(w.subnet(w.in6, "2001:db8:3::/64"), ""))
	_, err := w.add(member, r.ID, "", third.ID)
	w.want(err, "BadRequest: Bad router request: Router already contains IPv6 port "+first.PortID+" belonging to network id "+w.in6.ID+
		". Only one IPv6 port from the same network subnet can be connected to a router.")
	_, err = w.remove(member, r.ID, w.sub6.ID, "")
	w.want(err, "")
	if ips := get(w, store.Ports, first.PortID).FixedIPs; len(ips) != 1 || ips[0].SubnetID != second.ID {
		t.Errorf("addresses left: %v", ips)
	}
	_, err = w.remove(member, r.ID, second.ID, "")
	w.want(err, "")
	if left := w.portsOf(r.ID); len(left) != 0 {
		t.Errorf("ports left: %v", left)
	}
}

func TestRemoveInterface(t *testing.T) {
	w := newWorld(t)
	r := w.routed()
	b := w.attach(r.ID, w.subB)
	f := w.floating(member, w.port("p1", w.in4, on(w.subA, "")).ID)
	gateway := get(w, store.Routers, r.ID).GatewayPortID
	for _, c := range []struct{ name, subnet, port, want string }{
		{"neither", "", "", "BadRequest: Bad router request: Either subnet_id or port_id must be specified."},
		{"no such subnet", "none", "", "SubnetNotFound: Subnet none could not be found."},
		{"not on it", w.sub6.ID, "", "RouterInterfaceNotFoundForSubnet: Router " + r.ID + " has no interface on subnet " + w.sub6.ID},
		{"no such port", "", "none", "RouterInterfaceNotFound: Router " + r.ID + " does not have an interface with id none"},
		{"the gateway", "", gateway, "RouterInterfaceNotFound: Router " + r.ID + " does not have an interface with id " + gateway},
		{"of another subnet", w.subA.ID, b.PortID, "SubnetMismatchForPort: Subnet on port " + b.PortID + " does not match the requested subnet " + w.subA.ID + "."},
		{"floating IPs", w.subA.ID, "", "RouterInterfaceInUseByFloatingIP: Router interface for subnet " + w.subA.ID + " on router " + r.ID + " cannot be deleted, as it is required by one or more floating IPs."},
		{"by both", w.subB.ID, b.PortID, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.remove(member, r.ID, c.subnet, c.port)
			w.want(err, c.want)
		})
	}
	w.want(w.repoint(member, f.ID, "", nil), "")
	before := get(w, store.Routers, r.ID).Revision
	info, err := w.remove(member, r.ID, w.subA.ID, "")
	w.want(err, "")
	if info.SubnetID != w.subA.ID || info.NetworkID != w.in4.ID || info.TenantID != "p1" {
		t.Errorf("answer %+v", info)
	}
	if now := get(w, store.Routers, r.ID).Revision; now != before+1 {
		t.Errorf("revision %d after %d", now, before)
	}
}
