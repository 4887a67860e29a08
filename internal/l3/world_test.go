package l3_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/core"
	"github.com/weftnet/weft/internal/l3"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/ml2/mech/linuxbridge"
	"github.com/weftnet/weft/internal/ml2/types/local"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

var (
	admin  = &weft.Caller{ProjectID: "admin", Roles: []string{"admin"}, Admin: true}
	member = &weft.Caller{ProjectID: "p1", Roles: []string{"member"}}
)

// world is a store with an external network, two internal ones of project p1, one
// of p2, and an L3 agent on each of two hosts.
type world struct {
	*testing.T
	db   *store.DB
	core *core.Service
	*l3.Service

	ext, in4, in6, theirs     *weft.Network
	extSub, extSub6           *weft.Subnet // 203.0.113.0/24, 2001:db8:e::/64
	subA, subB, sub6, theirsA *weft.Subnet // 10.0.1.0/24, 10.0.2.0/24 on in4; 2001:db8:1::/64 on in6
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t}
	w.db, w.core, w.Service = services(t)
	for _, host := range []string{"h1", "h2"} {
		w.agent(host, weft.AgentL3, time.Now())
		w.agent(host, weft.AgentLinuxBridge, time.Now())
	}
	w.ext, w.in4, w.in6, w.theirs = w.network("", true), w.network("p1", false), w.network("p1", false), w.network("p2", false)
	w.extSub, w.extSub6 = w.subnet(w.ext, "203.0.113.0/24"), w.subnet(w.ext, "2001:db8:e::/64")
	w.subA, w.subB = w.subnet(w.in4, "10.0.1.0/24"), w.subnet(w.in4, "10.0.2.0/24")
	w.sub6, w.theirsA = w.subnet(w.in6, "2001:db8:1::/64"), w.subnet(w.theirs, "10.0.3.0/24")
	return w
}

// services is core and l3, wired to each other on an empty store.
func services(t testing.TB) (*store.DB, *core.Service, *l3.Service) {
	t.Helper()
	db := storetest.DB(t)
	c := core.New(core.Defaults(), ml2.New(ml2.Config{TenantTypes: []string{weft.TypeLocal}}, []ml2.Type{local.New()},
		[]ml2.Mechanism{linuxbridge.New(75 * time.Second)}))
	s := l3.New(c, l3.Config{AgentDownTime: 75 * time.Second, Failover: true})
	c.React(s)
	return db, c, s
}

// as runs fn in a transaction of the caller.
func (w *world) as(c *weft.Caller, fn func(*store.Tx) error) error {
	return w.db.Update(w.Context(), c, fn)
}

func (w *world) must(c *weft.Caller, fn func(*store.Tx) error) {
	w.Helper()
	if err := w.as(c, fn); err != nil {
		w.Fatal(err)
	}
}

func (w *world) want(got error, want string) {
	w.Helper()
	text := ""
	if got != nil {
		text = got.Error()
	}
	if text != want {
		w.Errorf("error\n got %s\nwant %s", text, want)
	}
}

func (w *world) read() *store.Tx { return w.db.Read(w.Context(), admin) }

func get[T any](w *world, table *store.Table[T], id string) *T {
	w.Helper()
	v, err := table.Get(w.read(), id)
	if err != nil {
		w.Fatal(err)
	}
	return v
}

func (w *world) agent(host, kind string, heartbeat time.Time) {
	w.Helper()
	w.must(admin, func(tx *store.Tx) error {
		return store.Agents.Insert(tx, &weft.Agent{AgentType: kind, Host: host, AdminStateUp: true, AvailabilityZone: "nova", Heartbeat: heartbeat.UTC().Format(time.DateTime)})
	})
}

func (w *world) network(project string, external bool) *weft.Network {
	w.Helper()
	n := &weft.Network{External: external, AdminStateUp: true}
	n.ProjectID = project
	w.must(admin, func(tx *store.Tx) error { return w.core.CreateNetwork(tx, n, nil) })
	return n
}

func (w *world) rbac(network, action, target string) {
	w.Helper()
	w.must(admin, func(tx *store.Tx) error {
		return store.RBACPolicies.Insert(tx, &weft.RBACPolicy{ObjectType: "network", ObjectID: network, Action: action, TargetTenant: target})
	})
}

// subnet makes a subnet whose gateway is the first address. Addresses are given
// out from the tenth on.
func (w *world) subnet(n *weft.Network, cidr string) *weft.Subnet { return w.pool(n, cidr, 50) }

// pool makes a subnet with size addresses to give out.
func (w *world) pool(n *weft.Network, cidr string, size int) *weft.Subnet {
	w.Helper()
	prefix := netip.MustParsePrefix(cidr)
	sub := &weft.Subnet{NetworkID: n.ID, CIDR: prefix, GatewayIP: weft.AddrOf(prefix.Addr().Next()), IPVersion: 4}
	if prefix.Addr().Is6() {
		sub.IPVersion = 6
	}
	sub.ProjectID = n.ProjectID
	pool := weft.AllocationPool{Start: prefix.Addr()}
	for range 10 {
		pool.Start = pool.Start.Next()
	}
	pool.End = pool.Start
	for range size - 1 {
		pool.End = pool.End.Next()
	}
	sub.AllocationPools = []weft.AllocationPool{pool}
	given := weft.Given{"gateway_ip": true, "allocation_pools": true, "enable_dhcp": true}
	w.must(admin, func(tx *store.Tx) error { return w.core.CreateSubnet(tx, sub, core.SubnetRequest{}, given) })
	return sub
}

// port makes a port of a user with the given addresses, each "address" of a subnet.
func (w *world) port(project string, n *weft.Network, ips ...weft.FixedIP) *weft.Port {
	w.Helper()
	p := &weft.Port{NetworkID: n.ID, AdminStateUp: true, FixedIPs: ips}
	p.ProjectID = project
	w.must(admin, func(tx *store.Tx) error { return w.core.CreatePort(tx, p, weft.Given{"fixed_ips": true}) })
	return p
}

func on(sub *weft.Subnet, addr string) weft.FixedIP {
	ip := weft.FixedIP{SubnetID: sub.ID}
	if addr != "" {
		ip.IPAddress = netip.MustParseAddr(addr)
	}
	return ip
}

func (w *world) router(project string) *weft.Router {
	w.Helper()
	r := &weft.Router{AdminStateUp: true}
	r.ProjectID = project
	w.must(admin, func(tx *store.Tx) error { return w.CreateRouter(tx, r, nil) })
	return r
}

func outside(w *world, ips ...weft.FixedIP) *weft.Gateway {
	return &weft.Gateway{NetworkID: w.ext.ID, ExternalFixedIPs: ips}
}

// gateway sets the gateway of a router as a PUT would.
func (w *world) gateway(c *weft.Caller, id string, g *weft.Gateway, members ...string) error {
	given := weft.Given{"external_gateway_info": true}
	for _, m := range members {
		given["external_gateway_info:"+m] = true
	}
	return w.update(c, id, given, func(r *weft.Router) { r.Gateway = g })
}

func (w *world) update(c *weft.Caller, id string, given weft.Given, change func(*weft.Router)) error {
	return w.as(c, func(tx *store.Tx) error {
		old, err := store.Routers.Get(tx, id)
		if err != nil {
			return err
		}
		r := weft.Clone(old)
		change(r)
		return w.UpdateRouter(tx, old, r, given)
	})
}

func (w *world) add(c *weft.Caller, router, subnet, port string) (info *l3.Interface, err error) {
	err = w.as(c, func(tx *store.Tx) error {
		r, err := store.Routers.Get(tx, router)
		if err == nil {
			info, err = w.AddInterface(tx, r, subnet, port)
		}
		return err
	})
	return info, err
}

func (w *world) remove(c *weft.Caller, router, subnet, port string) (info *l3.Interface, err error) {
	err = w.as(c, func(tx *store.Tx) error {
		r, err := store.Routers.Get(tx, router)
		if err == nil {
			info, err = w.RemoveInterface(tx, r, subnet, port)
		}
		return err
	})
	return info, err
}

// attach adds an interface that must be accepted.
func (w *world) attach(router string, sub *weft.Subnet) *l3.Interface {
	w.Helper()
	info, err := w.add(admin, router, sub.ID, "")
	if err != nil {
		w.Fatal(err)
	}
	return info
}

// routed is a router from subA to the external network.
func (w *world) routed() *weft.Router {
	w.Helper()
	r := w.router("p1")
	w.want(w.gateway(admin, r.ID, outside(w)), "")
	w.attach(r.ID, w.subA)
	return get(w, store.Routers, r.ID)
}
