package l3_test

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/l3"
	"github.com/weftnet/weft/internal/store"
)

var (
	admin  = &weft.Caller{ProjectID: "admin", Roles: []string{"admin"}}
	member = &weft.Caller{ProjectID: "p1", Roles: []string{"member"}}
)

// world is a store with an external network, two internal ones of project p1, one
// of p2, and an L3 agent on each of two hosts.
type world struct {
	*testing.T
	db *store.DB
	*l3.Service

	ext, in4, in6, theirs     *weft.Network
	extSub, extSub6           *weft.Subnet // 203.0.113.0/24, 2001:db8:e::/64
	subA, subB, sub6, theirsA *weft.Subnet // 10.0.1.0/24, 10.0.2.0/24 on in4; 2001:db8:1::/64 on in6
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "weft.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{T: t, db: db}
	ports := &fakePorts{}
	w.Service = l3.New(ports)
	ports.hooks = w.Service
	w.agent("h1", weft.AgentL3, time.Now())
	w.agent("h2", weft.AgentL3, time.Now())
	w.ext, w.in4, w.in6, w.theirs = w.network("", true), w.network("p1", false), w.network("p1", false), w.network("p2", false)
	w.extSub, w.extSub6 = w.subnet(w.ext, "203.0.113.0/24"), w.subnet(w.ext, "2001:db8:e::/64")
	w.subA, w.subB = w.subnet(w.in4, "10.0.1.0/24"), w.subnet(w.in4, "10.0.2.0/24")
	w.sub6, w.theirsA = w.subnet(w.in6, "2001:db8:1::/64"), w.subnet(w.theirs, "10.0.3.0/24")
	return w
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
	n := &weft.Network{External: external, AdminStateUp: true, Status: weft.StatusActive}
	n.ProjectID = project
	w.must(admin, func(tx *store.Tx) error { return store.Networks.Insert(tx, n) })
	if external {
		w.rbac(n.ID, weft.AccessExternal, "*")
	}
	return n
}

func (w *world) rbac(network, action, target string) {
	w.Helper()
	w.must(admin, func(tx *store.Tx) error {
		return store.RBACPolicies.Insert(tx, &weft.RBACPolicy{ObjectType: "network", ObjectID: network, Action: action, TargetTenant: target})
	})
}

// subnet makes a subnet whose gateway is the first address.
func (w *world) subnet(n *weft.Network, cidr string) *weft.Subnet {
	w.Helper()
	prefix := netip.MustParsePrefix(cidr)
	sub := &weft.Subnet{NetworkID: n.ID, CIDR: prefix, GatewayIP: weft.AddrOf(prefix.Addr().Next()), IPVersion: 4}
	if prefix.Addr().Is6() {
		sub.IPVersion = 6
	}
	sub.ProjectID = n.ProjectID
	first := ten(prefix)
	last := first
	for range 50 {
		last = last.Next()
	}
	sub.AllocationPools = []weft.AllocationPool{{Start: first, End: last}}
	w.must(admin, func(tx *store.Tx) error { return store.Subnets.Insert(tx, sub) })
	return sub
}

// ten is the tenth address of a prefix, from where the fake allocates.
func ten(p netip.Prefix) netip.Addr {
	a := p.Addr()
	for range 10 {
		a = a.Next()
	}
	return a
}

// port makes a port of a user with the given addresses, each "address" of a subnet.
func (w *world) port(project string, n *weft.Network, ips ...weft.FixedIP) *weft.Port {
	w.Helper()
	p := &weft.Port{NetworkID: n.ID, AdminStateUp: true, FixedIPs: ips}
	p.ProjectID = project
	w.must(admin, func(tx *store.Tx) error { return (&fakePorts{}).CreatePort(tx, p, weft.Given{"fixed_ips": true}) })
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

// fakePorts does what core does, as far as l3 can see: it gives addresses out
// from the tenth of a subnet on, one of each IP version if none is asked for.
type fakePorts struct{ hooks *l3.Service }

func (f *fakePorts) CreatePort(tx *store.Tx, p *weft.Port, given weft.Given) error {
	if !given["fixed_ips"] {
		subnets, err := store.Subnets.Find(tx, store.Eq("network_id", p.NetworkID))
		if err != nil {
			return err
		}
		seen := map[int]bool{}
		for _, s := range subnets {
			if !seen[s.IPVersion] {
				p.FixedIPs = append(p.FixedIPs, weft.FixedIP{SubnetID: s.ID})
			}
			seen[s.IPVersion] = true
		}
	}
	if err := f.assign(tx, p); err != nil {
		return err
	}
	random := uuid.New()
	p.MAC = weft.MAC{0xfa, 0x16, 0x3e, random[0], random[1], random[2]}
	return store.Ports.Insert(tx, p)
}

func (f *fakePorts) assign(tx *store.Tx, p *weft.Port) error {
	for i, ip := range p.FixedIPs {
		if ip.SubnetID == "" {
			found, err := tx.QueryRow("SELECT id FROM subnets WHERE network_id = ? AND ip_version = 4", []any{p.NetworkID}, &p.FixedIPs[i].SubnetID)
			if err != nil || !found {
				return err
			}
		}
		if ip.IPAddress.IsValid() {
			continue
		}
		s, err := store.Subnets.Get(tx, ip.SubnetID)
		if err != nil {
			return err
		}
		for a := ten(s.CIDR); ; a = a.Next() {
			used, err := tx.Exists("SELECT 1 FROM ip_allocations WHERE subnet_id = ? AND sort = ?", s.ID, store.SortKey(a))
			if err != nil {
				return err
			}
			if !used {
				p.FixedIPs[i].IPAddress = a
				break
			}
		}
	}
	return nil
}

func (f *fakePorts) UpdatePort(tx *store.Tx, old, p *weft.Port, given weft.Given) error {
	if err := f.assign(tx, p); err != nil {
		return err
	}
	if err := f.hooks.PortUpdating(tx, old, p); err != nil {
		return err
	}
	return store.Ports.Update(tx, p)
}

func (f *fakePorts) DeletePort(tx *store.Tx, p *weft.Port) error {
	if err := f.hooks.PortDeleting(tx, p); err != nil {
		return err
	}
	return store.Ports.Delete(tx, p)
}
