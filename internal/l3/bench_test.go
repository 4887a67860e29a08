package l3_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/core"
	"github.com/weftnet/weft/internal/l3"
	"github.com/weftnet/weft/internal/store"
)

func BenchmarkAddInterface(b *testing.B) {
	w := benchWorld(b)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		n := &weft.Network{AdminStateUp: true}
		n.ProjectID = "p1"
		sub := w.stored(n, fmt.Sprintf("10.%d.%d.0/24", i>>8&0xff, i&0xff))
		r := &weft.Router{}
		r.ProjectID = "p1"
		w.do(func(tx *store.Tx) error { return w.CreateRouter(tx, r, nil) })
		b.StartTimer()
		w.do(func(tx *store.Tx) error {
			r, err := store.Routers.Get(tx, r.ID)
			if err == nil {
				_, err = w.AddInterface(tx, r, sub.ID, "")
			}
			return err
		})
	}
}

func BenchmarkCreateFloatingIP(b *testing.B) {
	w := benchWorld(b)
	ext, in := &weft.Network{External: true}, &weft.Network{}
	in.ProjectID = "p1"
	w.stored(ext, "100.64.0.0/10")
	sub := w.stored(in, "10.0.0.0/8")
	r := &weft.Router{Gateway: &weft.Gateway{NetworkID: ext.ID}}
	r.ProjectID = "p1"
	w.do(func(tx *store.Tx) error { return w.CreateRouter(tx, r, nil) })
	w.do(func(tx *store.Tx) error {
		r, err := store.Routers.Get(tx, r.ID)
		if err == nil {
			_, err = w.AddInterface(tx, r, sub.ID, "")
		}
		return err
	})
	for b.Loop() {
		b.StopTimer()
		p := &weft.Port{NetworkID: in.ID}
		p.ProjectID = "p1"
		w.do(func(tx *store.Tx) error { return w.core.CreatePort(tx, p, nil) })
		b.StartTimer()
		f := &weft.FloatingIP{FloatingNetworkID: ext.ID, PortID: weft.ID(p.ID)}
		f.ProjectID = "p1"
		w.do(func(tx *store.Tx) error { return w.CreateFloatingIP(tx, f, "", nil) })
	}
}

// rig is a world for benchmarks: services on a store, and nothing in it.
type rig struct {
	b    *testing.B
	db   *store.DB
	core *core.Service
	*l3.Service
}

func benchWorld(b *testing.B) *rig {
	b.Helper()
	db, c, s := services(b)
	return &rig{b, db, c, s}
}

func (r *rig) do(fn func(*store.Tx) error) {
	r.b.Helper()
	if err := r.db.Update(r.b.Context(), member, fn); err != nil {
		r.b.Fatal(err)
	}
}

// stored creates a network with one subnet.
func (r *rig) stored(n *weft.Network, cidr string) *weft.Subnet {
	r.b.Helper()
	sub := &weft.Subnet{CIDR: netip.MustParsePrefix(cidr), IPVersion: 4}
	sub.ProjectID = n.ProjectID
	err := r.db.Update(r.b.Context(), admin, func(tx *store.Tx) error {
		if err := r.core.CreateNetwork(tx, n, nil); err != nil {
			return err
		}
		sub.NetworkID = n.ID
		return r.core.CreateSubnet(tx, sub, core.SubnetRequest{}, nil)
	})
	if err != nil {
		r.b.Fatal(err)
	}
	return sub
}
