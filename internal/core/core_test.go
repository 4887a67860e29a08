package core

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/ml2/mech/linuxbridge"
	"github.com/weftnet/weft/internal/ml2/types/flat"
	"github.com/weftnet/weft/internal/ml2/types/local"
	"github.com/weftnet/weft/internal/ml2/types/vlan"
	"github.com/weftnet/weft/internal/ml2/types/vxlan"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// bench is a service on a database of its own, with one live host "h1".
type bench struct {
	t      testing.TB
	db     *store.DB
	s      *Service
	caller *weft.Caller
}

func newBench(t testing.TB) *bench {
	t.Helper()
	db := storetest.DB(t)
	b := &bench{t: t, db: db, s: New(Defaults(), testDrivers()), caller: admin("p1")}
	b.s.DefaultGroup = func(_ *store.Tx, project string) (string, error) { return "default-of-" + project, nil }
	b.host("h1")
	return b
}

func testDrivers() *ml2.Manager {
	below := ml2.MTU{}
	return ml2.New(ml2.Config{TenantTypes: []string{"vxlan"}},
		[]ml2.Type{
			local.New(), flat.New([]string{"provider"}, below), vxlan.New([]ml2.Range{{Min: 1, Max: 1000}}, below),
			vlan.New(map[string][]ml2.Range{"provider": {{Min: 100, Max: 101}}, "bare": nil}, below),
		},
		[]ml2.Mechanism{linuxbridge.New(75 * time.Second)})
}

func admin(project string) *weft.Caller {
	return &weft.Caller{ProjectID: project, UserID: "u", Roles: []string{"admin"}, Admin: true, RequestID: "req"}
}

func member(project string) *weft.Caller {
	return &weft.Caller{ProjectID: project, UserID: "u", Roles: []string{"member"}, RequestID: "req"}
}

func (b *bench) host(name string) {
	b.must(func(tx *store.Tx) error {
		return store.Agents.Insert(tx, &weft.Agent{AgentType: weft.AgentLinuxBridge, Host: name, AdminStateUp: true, Binary: "weft",
			Heartbeat:      tx.Now().Format(time.DateTime),
			Configurations: map[string]any{"tunnel_types": []any{"vxlan"}, "interface_mappings": map[string]any{"provider": "eth1"}}})
	})
	b.must(func(tx *store.Tx) error {
		return store.Agents.Insert(tx, &weft.Agent{AgentType: weft.AgentDHCP, Host: name, AdminStateUp: true, Binary: "weft", Heartbeat: tx.Now().Format(time.DateTime)})
	})
}

// do runs one request.
func (b *bench) do(fn func(*store.Tx) error) error {
	return b.db.Update(b.t.Context(), b.caller, fn)
}

func (b *bench) must(fn func(*store.Tx) error) {
	b.t.Helper()
	if err := b.do(fn); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) as(c *weft.Caller) *bench {
	other := *b
	other.caller = c
	return &other
}

func (b *bench) createNetwork(n *weft.Network) error {
	n.PortSecurity = true
	if n.ProjectID == "" {
		n.ProjectID = b.caller.ProjectID
	}
	return b.do(func(tx *store.Tx) error { return b.s.CreateNetwork(tx, n, nil) })
}

func (b *bench) network() *weft.Network {
	b.t.Helper()
	n := &weft.Network{Name: "net", AdminStateUp: true}
	if err := b.createNetwork(n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *bench) createSubnet(sn *weft.Subnet, in SubnetRequest, given ...string) error {
	if sn.ProjectID == "" {
		sn.ProjectID = b.caller.ProjectID
	}
	if sn.IPVersion == 0 {
		sn.IPVersion = 4
		if sn.CIDR.IsValid() {
			sn.IPVersion = version(sn.CIDR.Addr())
		}
	}
	return b.do(func(tx *store.Tx) error { return b.s.CreateSubnet(tx, sn, in, givenOf(given)) })
}

func (b *bench) subnet(n *weft.Network, cidr string) *weft.Subnet {
	b.t.Helper()
	sn := &weft.Subnet{NetworkID: n.ID, CIDR: netip.MustParsePrefix(cidr), EnableDHCP: true}
	if err := b.createSubnet(sn, SubnetRequest{}); err != nil {
		b.t.Fatal(err)
	}
	return sn
}

func (b *bench) slaac(n *weft.Network, cidr string) *weft.Subnet {
	b.t.Helper()
	sn := &weft.Subnet{NetworkID: n.ID, CIDR: netip.MustParsePrefix(cidr), EnableDHCP: true, IPv6RAMode: weft.SLAAC, IPv6AddressMode: weft.SLAAC}
	if err := b.createSubnet(sn, SubnetRequest{}); err != nil {
		b.t.Fatal(err)
	}
	return sn
}

func (b *bench) createPort(p *weft.Port, given ...string) error {
	if p.ProjectID == "" && p.DeviceOwner != weft.OwnerFloatingIP {
		p.ProjectID = b.caller.ProjectID
	}
	p.AdminStateUp = true
	return b.do(func(tx *store.Tx) error { return b.s.CreatePort(tx, p, givenOf(given)) })
}

func (b *bench) port(p *weft.Port, given ...string) *weft.Port {
	b.t.Helper()
	if err := b.createPort(p, given...); err != nil {
		b.t.Fatal(err)
	}
	return p
}

// updatePort changes a stored port as a request would.
func (b *bench) updatePort(id string, change func(*weft.Port), given ...string) (*weft.Port, error) {
	var p *weft.Port
	err := b.do(func(tx *store.Tx) error {
		old, err := store.Ports.Get(tx, id)
		if err != nil {
			return err
		}
		p = weft.Clone(old)
		change(p)
		return b.s.UpdatePort(tx, old, p, givenOf(given))
	})
	return p, err
}

func (b *bench) getPort(id string) *weft.Port {
	b.t.Helper()
	p, err := store.Ports.Get(b.db.Read(b.t.Context(), b.caller), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) ports(where ...store.Cond) []*weft.Port {
	b.t.Helper()
	ports, err := store.Ports.Find(b.db.Read(b.t.Context(), b.caller), where...)
	if err != nil {
		b.t.Fatal(err)
	}
	return ports
}

func givenOf(names []string) weft.Given {
	g := weft.Given{}
	for _, n := range names {
		g[n] = true
	}
	return g
}

// wantRefusal checks the type and message of an error; both empty is no error.
func wantRefusal(t testing.TB, err error, typ, message string) {
	t.Helper()
	if typ == "" {
		if err != nil {
			t.Errorf("unexpected error: %v", err)
		}
		return
	}
	var e *weft.Error
	if !errors.As(err, &e) {
		t.Errorf("error %v, want %s", err, typ)
		return
	}
	if e.Type != typ || message != "" && e.Message != message {
		t.Errorf("error %s %q\nwant  %s %q", e.Type, e.Message, typ, message)
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func pools(pairs ...string) []weft.AllocationPool {
	var out []weft.AllocationPool
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, weft.AllocationPool{Start: addr(pairs[i]), End: addr(pairs[i+1])})
	}
	return out
}
