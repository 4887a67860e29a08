package feed

import (
	"slices"
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/store"
)

// An instance that moves has its port on the host it leaves and on the one that is
// prepared for it.
func TestArrival(t *testing.T) {
	c := newCloud(t)
	here, there := c.feed("h1"), c.feed("h2")
	has := func(f *Feed) *host.Port {
		t.Helper()
		st, err := f.compute(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(st.Ports, func(p host.Port) bool { return p.ID == "a" }); i >= 0 {
			return &st.Ports[i]
		}
		return nil
	}
	if has(here) == nil || has(there) != nil {
		t.Fatal("the port is not where it is bound alone")
	}
	b := &weft.PortBinding{Meta: id("b"), PortID: "a", Host: "h2", VIFType: weft.VIFBridge, VNICType: "normal", Status: weft.StatusInactive}
	c.write(t, func(tx *store.Tx) { insert(t, tx, store.PortBindings, b) })
	stays, comes := has(here), has(there)
	if stays == nil || comes == nil {
		t.Fatal("the port is not on both hosts")
	}
	if comes.MAC != c.a.MAC || !slices.Equal(comes.Groups, stays.Groups) {
		t.Errorf("the port that comes is %+v, the one that stays %+v", comes, stays)
	}
	doc, err := store.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	change := store.Change{Noun: "port_bindings", Op: store.OpCreate, ID: "b", After: doc}
	if here.interest.concerns(change) || !there.interest.concerns(change) {
		t.Error("a binding concerns the host that it prepares, and no other")
	}
	c.write(t, func(tx *store.Tx) {
		b, err := store.PortBindings.Get(tx, "b")
		if err != nil {
			t.Fatal(err)
		}
		b.VIFType = weft.VIFUnbound // the one that is left behind by a move
		if err := store.PortBindings.Update(tx, b); err != nil {
			t.Fatal(err)
		}
	})
	if has(there) != nil {
		t.Error("an unbound binding puts the port on its host")
	}
}

// The leases of a network name a port once, though it is on its way.
func TestArrivalLeases(t *testing.T) {
	c := newCloud(t)
	c.write(t, func(tx *store.Tx) {
		insert(t, tx, store.PortBindings, &weft.PortBinding{Meta: id("b"), PortID: "far", Host: "h1", VIFType: weft.VIFBridge, Status: weft.StatusInactive})
	})
	st, err := c.feed("h1").compute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range st.Networks[0].Leases {
		if l.PortID == "far" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d leases of the port, want 1", n)
	}
}
