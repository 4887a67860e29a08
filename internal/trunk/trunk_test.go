package trunk_test

import (
	"testing"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/cloud"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/ml2/mech/linuxbridge"
	"github.com/weftnet/weft/internal/ml2/types/vxlan"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
	"github.com/weftnet/weft/internal/trunk"
)

// world is a cloud with a parent port on h1 and a port that may become its subport.
type world struct {
	*testing.T
	*cloud.Cloud
	db          *store.DB
	parent, sub *weft.Port
}

func newWorld(t *testing.T, db *store.DB) *world {
	mtu := ml2.MTU{Global: 1500}
	w := &world{T: t, db: db, Cloud: cloud.New(cloud.Defaults(), ml2.New(ml2.Config{TenantTypes: []string{weft.TypeVXLAN}, MTU: mtu},
		[]ml2.Type{vxlan.New([]ml2.Range{{Min: 1, Max: 1000}}, mtu)}, []ml2.Mechanism{linuxbridge.New(time.Minute)}))}
	w.do(func(tx *store.Tx) error {
		a := &weft.Agent{AgentType: weft.AgentLinuxBridge, Host: "h1", AdminStateUp: true, Heartbeat: time.Now().UTC().Format(time.DateTime),
			Configurations: map[string]any{"tunnel_types": []any{"vxlan"}}}
		if err := store.Agents.Insert(tx, a); err != nil {
			return err
		}
		n := &weft.Network{AdminStateUp: true}
		if err := w.Core.CreateNetwork(tx, n, weft.Given{}); err != nil {
			return err
		}
		w.parent = &weft.Port{NetworkID: n.ID, AdminStateUp: true, HostID: "h1"}
		w.sub = &weft.Port{NetworkID: n.ID, AdminStateUp: true}
		if err := w.Core.CreatePort(tx, w.parent, weft.Given{}); err != nil {
			return err
		}
		return w.Core.CreatePort(tx, w.sub, weft.Given{})
	})
	return w
}

func (w *world) do(fn func(tx *store.Tx) error) {
	w.Helper()
	if err := w.db.Update(w.Context(), weft.SystemCaller("test"), fn); err != nil {
		w.Fatal(err)
	}
}

// report is what the agent of h1 says of a port.
func (w *world) report(id string, up bool) {
	w.Helper()
	w.do(func(tx *store.Tx) error {
		return w.Core.SetPortStatuses(tx, "h1", []host.PortReport{{ID: id, Revision: 1000, Up: up}})
	})
}

// create makes the trunk, with the subport or without.
func (w *world) create(asked ...trunk.SubPortRequest) *weft.Trunk {
	w.Helper()
	t := &weft.Trunk{PortID: w.parent.ID, AdminStateUp: true}
	w.do(func(tx *store.Tx) error { return w.Trunks.CreateTrunk(tx, t, asked) })
	return t
}

func (w *world) want(t *weft.Trunk, status string) {
	w.Helper()
	got, err := store.Trunks.Get(w.db.Read(w.Context(), weft.SystemCaller("test")), t.ID)
	if err != nil {
		w.Fatal(err)
	}
	if got.Status != status {
		w.Fatalf("the trunk is %s, want %s", got.Status, status)
	}
}

func (w *world) request() trunk.SubPortRequest {
	id := int64(7)
	return trunk.SubPortRequest{PortID: w.sub.ID, Type: "vlan", ID: &id}
}

// A trunk is ACTIVE when its parent and all subports are.
func TestStatus(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		tr := w.create(w.request())
		w.want(tr, weft.StatusDown)
		w.report(w.parent.ID, true)
		w.want(tr, weft.StatusDegraded) // the subport is not there yet
		w.report(w.sub.ID, true)
		w.want(tr, weft.StatusActive)
		w.report(w.sub.ID, false)
		w.want(tr, weft.StatusDegraded)
		w.report(w.parent.ID, false)
		w.want(tr, weft.StatusDown)
	})
}

// What needs nothing of the agent is settled at once.
func TestStatusAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.report(w.parent.ID, true)
		tr := w.create()
		w.want(tr, weft.StatusActive)
		w.do(func(tx *store.Tx) error {
			got, err := store.Trunks.Get(tx, tr.ID)
			if err != nil {
				return err
			}
			return w.Trunks.AddSubPorts(tx, got, []trunk.SubPortRequest{w.request()})
		})
		w.want(tr, weft.StatusDown)
		w.report(w.sub.ID, false)
		w.want(tr, weft.StatusDegraded)
		w.do(func(tx *store.Tx) error {
			got, err := store.Trunks.Get(tx, tr.ID)
			if err != nil {
				return err
			}
			return w.Trunks.RemoveSubPorts(tx, got, []string{w.sub.ID})
		})
		w.want(tr, weft.StatusActive)
	})
}

// A parent that binds when its agent comes to life takes its subports along.
func TestRetriedBinding(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		tr := w.create(w.request())
		move := func(host string) {
			w.do(func(tx *store.Tx) error {
				old, err := store.Ports.Get(tx, w.parent.ID)
				if err != nil {
					return err
				}
				p := weft.Clone(old)
				p.HostID = host
				return w.Core.UpdatePort(tx, old, p, weft.Given{"binding:host_id": true})
			})
		}
		place := func() string {
			p, err := store.Ports.Get(w.db.Read(w.Context(), weft.SystemCaller("test")), w.sub.ID)
			if err != nil {
				t.Fatal(err)
			}
			return p.HostID
		}
		move("h2")
		if got := place(); got != "" {
			t.Fatalf("the parent is bound nowhere, its subport on %q", got)
		}
		w.do(func(tx *store.Tx) error {
			a := &weft.Agent{AgentType: weft.AgentLinuxBridge, Host: "h2", AdminStateUp: true, Heartbeat: time.Now().UTC().Format(time.DateTime),
				Configurations: map[string]any{"tunnel_types": []any{"vxlan"}}}
			if err := store.Agents.Insert(tx, a); err != nil {
				return err
			}
			return w.Core.RetryBindings(tx, "h2")
		})
		if got := place(); got != "h2" {
			t.Fatalf("the parent is on h2, its subport on %q", got)
		}
		w.want(tr, weft.StatusDown)
	})
}
