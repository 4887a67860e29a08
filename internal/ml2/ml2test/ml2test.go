// Package ml2test holds the tests that every type and mechanism driver must pass.
package ml2test

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/store"
)

// Store opens an empty store for one test.
func Store(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "weft.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Update runs fn in a transaction as weft itself.
func Update(t testing.TB, db *store.DB, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), weft.SystemCaller("test"), fn); err != nil {
		t.Fatal(err)
	}
}

// Hold stores a network that has the segment.
func Hold(tx *store.Tx, p weft.Provider) error {
	return store.Networks.Insert(tx, &weft.Network{Status: weft.StatusActive, Provider: &p})
}

// TypeCase is what the suite must know of a type.
type TypeCase struct {
	Type     ml2.Type
	Tenant   bool            // gives segments to tenants
	Room     int             // how many it can give; 0 is without limit
	Good     []weft.Provider // complete segments
	Shared   bool            // several networks may have the same segment
	InUse    string          // error type for a segment that is taken
	Bad      []weft.Provider // what Validate must refuse
	Physnet  string          // to ask the MTU of
	LargeMTU int             // its MTU over 1500 byte networks
}

// Type runs the suite for types.
func Type(t *testing.T, c TypeCase) {
	t.Run("refuses nonsense", func(t *testing.T) {
		for _, p := range c.Bad {
			if err := c.Type.Validate(p); !weft.IsType(err, "InvalidInput") {
				t.Errorf("%+v: %v, want InvalidInput", p, err)
			}
		}
	})
	t.Run("reserves what is asked for, once", func(t *testing.T) { reserves(t, c) })
	t.Run("allocates what is free", func(t *testing.T) { allocates(t, c) })
	t.Run("MTU", func(t *testing.T) {
		if got := c.Type.MTU(c.Physnet); got != c.LargeMTU {
			t.Errorf("MTU %d, want %d", got, c.LargeMTU)
		}
	})
}

func reserves(t *testing.T, c TypeCase) {
	db := Store(t)
	for _, p := range c.Good {
		if err := c.Type.Validate(p); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
		Update(t, db, func(tx *store.Tx) error {
			got, err := c.Type.Reserve(tx, "p", p)
			if err != nil || got != p {
				t.Errorf("reserving %+v: %+v, %v", p, got, err)
			}
			if err := Hold(tx, p); err != nil {
				return err
			}
			_, err = c.Type.Reserve(tx, "p", p)
			if c.Shared != (err == nil) || !c.Shared && !weft.IsType(err, c.InUse) {
				t.Errorf("reserving %+v twice: %v", p, err)
			}
			return nil
		})
	}
}

func allocates(t *testing.T, c TypeCase) {
	db := Store(t)
	n := c.Room
	if n == 0 {
		n = 20
	}
	Update(t, db, func(tx *store.Tx) error {
		seen := map[weft.Provider]bool{}
		for range n {
			p, ok, err := c.Type.Allocate(tx, "p")
			if err != nil || ok != c.Tenant {
				t.Fatalf("allocating: %+v %v %v", p, ok, err)
			}
			if !ok {
				return nil
			}
			if p.NetworkType != c.Type.Name() {
				t.Errorf("allocated %+v", p)
			}
			key := p
			key.SegmentationID = nil
			if p.SegmentationID != nil {
				if err := c.Type.Validate(p); err != nil {
					t.Error(err)
				}
				key.PhysicalNetwork += weft.ID(" " + strconv.FormatInt(*p.SegmentationID, 10))
			}
			if seen[key] && !c.Shared {
				t.Errorf("%s given twice", key.PhysicalNetwork)
			}
			seen[key] = true
			if err := Hold(tx, p); err != nil {
				return err
			}
		}
		if c.Room == 0 {
			return nil
		}
		if p, ok, err := c.Type.Allocate(tx, "p"); ok || err != nil {
			t.Errorf("allocating when none is free: %+v %v %v", p, ok, err)
		}
		return nil
	})
}

// Host is an agent's report, as mechanisms of agents see it.
type Host struct {
	Type           string
	Configurations map[string]any
}

// MechanismCase is what the suite must know of a mechanism whose hosts have agents.
type MechanismCase struct {
	New     func(downTime time.Duration) ml2.Mechanism
	Host    Host // one that carries Segment
	Segment weft.Provider
	Foreign []weft.Provider // segments that the host does not carry
	VIFType string
}

// Mechanism runs the suite for mechanisms: they bind on a live host that carries
// the segment, and nowhere else.
func Mechanism(t *testing.T, c MechanismCase) {
	const down = time.Minute
	m := c.New(down)
	for _, tc := range []struct {
		name    string
		age     time.Duration
		host    string
		vnic    string
		segment weft.Provider
		want    bool
	}{
		{"live host", 0, "h", "normal", c.Segment, true},
		{"dead host", 2 * down, "h", "normal", c.Segment, false},
		{"other host", 0, "x", "normal", c.Segment, false},
		{"hardware port", 0, "h", "direct", c.Segment, false},
		{"unknown type", 0, "h", "normal", weft.Provider{NetworkType: "token"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) { binds(t, c, m, tc.age, tc.host, tc.vnic, tc.segment, tc.want) })
	}
	for _, s := range c.Foreign {
		t.Run("no "+s.NetworkType+" "+string(s.PhysicalNetwork), func(t *testing.T) { binds(t, c, m, 0, "h", "normal", s, false) })
	}
}

func binds(t *testing.T, c MechanismCase, m ml2.Mechanism, age time.Duration, host, vnic string, segment weft.Provider, want bool) {
	Update(t, Store(t), func(tx *store.Tx) error {
		agent := &weft.Agent{AgentType: c.Host.Type, Host: "h", Heartbeat: tx.Now().Add(-age).Format(time.DateTime), Configurations: c.Host.Configurations}
		if err := store.Agents.Insert(tx, agent); err != nil {
			return err
		}
		p := &weft.Port{HostID: host, VNICType: vnic}
		before := *p
		b, err := m.Bind(tx, p, segment)
		switch {
		case err != nil:
			return err
		case (b != nil) != want:
			t.Errorf("binding %+v, want one: %v", b, want)
		case b != nil && b.VIFType != c.VIFType:
			t.Errorf("vif_type %s, want %s", b.VIFType, c.VIFType)
		}
		if p.VIFType != before.VIFType || p.VIFDetails != nil {
			t.Error("Bind changed the port")
		}
		return nil
	})
}
