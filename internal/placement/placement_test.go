package placement_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/peer"
	"github.com/weftnet/weft/internal/placement"
	"github.com/weftnet/weft/internal/placement/tree"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

var kind = tree.Kind{AgentType: weft.AgentLinuxBridge,
	Namespace: uuid.MustParse("87ee7d5c-73bb-11e8-9008-c4d987b2a692"), VNICTypes: []string{"normal"}}

// world is a cloud with one agent, and a Placement that knows its hypervisor.
type world struct {
	t    *testing.T
	db   *store.DB
	fake *fake
	sync *placement.Syncer
}

const hypervisor = "11111111-0000-4000-8000-000000000000"

func newWorld(t *testing.T, db *store.DB) *world {
	w := &world{t: t, db: db, fake: newFake()}
	w.fake.providers[hypervisor] = &provider{UUID: hypervisor, Name: "hv1"}
	w.restart()
	return w
}

// restart is a server that knows only what is in the database.
func (w *world) restart() {
	log := slog.New(slog.DiscardHandler)
	w.sync = placement.NewSyncer(placement.Config{Log: log, DB: w.db, API: placement.New(log, w.fake), Kinds: []tree.Kind{kind}})
}

// report is what the agent says of itself.
func (w *world) report(egress, ingress int) {
	w.reports(map[string]any{"interface_mappings": map[string]any{"provider": "eth1"},
		"resource_provider_bandwidths":  map[string]any{"eth1": map[string]any{"egress": egress, "ingress": ingress}},
		"resource_provider_hypervisors": map[string]any{"eth1": "hv1"},
	})
}

func (w *world) reports(conf map[string]any) {
	w.update(func(tx *store.Tx) error {
		a, err := store.Agents.First(tx, store.Eq("host", "host1"))
		if err != nil {
			return err
		}
		if a == nil {
			return store.Agents.Insert(tx, &weft.Agent{AgentType: weft.AgentLinuxBridge, Host: "host1", Configurations: conf})
		}
		a.Configurations = conf
		return store.Agents.Update(tx, a)
	})
}

func (w *world) update(f func(tx *store.Tx) error) {
	w.t.Helper()
	if err := w.db.Update(context.Background(), weft.SystemCaller("test"), f); err != nil {
		w.t.Fatal(err)
	}
}

// synced is resources_synced of the agent.
func (w *world) synced() string {
	w.t.Helper()
	a, err := store.Agents.First(w.db.Read(context.Background(), nil), store.Eq("host", "host1"))
	if err != nil {
		w.t.Fatal(err)
	}
	if a.ResourcesSynced == nil {
		return "null"
	}
	return fmt.Sprint(*a.ResourcesSynced)
}

// must syncs, and checks what changes that makes, by their beginnings.
func (w *world) must(want ...string) {
	w.t.Helper()
	if err := w.sync.Sync(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(want, w.fake.taken()); diff != "" {
		w.t.Errorf("changes: -want +got\n%s", diff)
	}
}

func TestSync(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.report(1000, 2000)
		want, err := tree.Of(kind, map[string]any{"interface_mappings": map[string]any{"provider": "eth1"},
			"resource_provider_bandwidths":  map[string]any{"eth1": map[string]any{"egress": 1000}},
			"resource_provider_hypervisors": map[string]any{"eth1": "hv1"}})
		if err != nil {
			t.Fatal(err)
		}
		agent, device := "/resource_providers/"+want[0].UUID, "/resource_providers/"+want[1].UUID
		w.must("POST /resource_providers", "PUT /traits/CUSTOM_VNIC_TYPE_NORMAL", "PUT "+agent+"/traits",
			"POST /resource_providers", "PUT /traits/CUSTOM_PHYSNET_PROVIDER", "PUT "+device+"/traits", "PUT "+device+"/inventories")
		if got := w.synced(); got != "true" {
			t.Errorf("resources_synced %s", got)
		}
		if p := w.fake.providers[want[1].UUID]; p.Name != "hv1:Linux bridge agent:eth1" || p.Parent != want[0].UUID {
			t.Errorf("%+v", p)
		}
		if got := w.fake.total(want[1].UUID, "NET_BW_IGR_KILOBIT_PER_SEC"); got != 2000 {
			t.Errorf("%d kbit/s ingress", got)
		}

		// What is right is not written again, not even by a server that knows nothing.
		w.must()
		w.restart()
		w.must()

		// Only what differs is written; others' traits stay.
		w.fake.traits["CUSTOM_FAST"] = true
		w.fake.providers[want[1].UUID].Traits = append(w.fake.providers[want[1].UUID].Traits, "CUSTOM_FAST")
		w.report(1500, 2000)
		w.must("PUT " + device + "/inventories")
		if !slices.Contains(w.fake.providers[want[1].UUID].Traits, any("CUSTOM_FAST")) {
			t.Error("an operator's trait is gone")
		}

		// What others undo is found when it is looked at again.
		w.fake.providers[want[1].UUID].Parent = hypervisor
		w.restart()
		w.must("PUT " + device)

		// What is configured away goes, from below, once nobody has any of it.
		w.fake.consumers["server"] = &consumer{Allocations: map[string]struct {
			Resources map[string]int64 `json:"resources"`
		}{want[1].UUID: {map[string]int64{"NET_BW_EGR_KILOBIT_PER_SEC": 1}}}}
		w.reports(map[string]any{})
		if err := w.sync.Sync(context.Background()); err == nil ||
			!strings.Contains(err.Error(), "removing hv1:Linux bridge agent:eth1") {
			t.Errorf("error %v", err)
		}
		w.fake.taken()
		delete(w.fake.consumers, "server")
		w.must("DELETE "+device, "DELETE "+agent)
		w.must()
		if diff := cmp.Diff(map[string]string{"hv1": hypervisor}, w.fake.names()); diff != "" {
			t.Error(diff)
		}
	})
}

// A provider that somebody else has made is not taken away.
func TestSyncLeavesOthers(t *testing.T) {
	w := newWorld(t, storetest.DB(t))
	other := uuid.NewSHA1(kind.Namespace, []byte("hv1")).String()
	w.fake.providers[other] = &provider{UUID: other, Name: "hv1:Linux bridge agent", Parent: hypervisor}
	w.reports(map[string]any{})
	w.must()
}

// The providers of an agent that is deleted go, those of one that is away stay.
func TestSyncAgentDeleted(t *testing.T) {
	w := newWorld(t, storetest.DB(t))
	w.report(1000, 1000)
	if err := w.sync.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.update(func(tx *store.Tx) error {
		a, err := store.Agents.First(tx, store.Eq("host", "host1"))
		if err != nil {
			return err
		}
		return store.Agents.Delete(tx, a)
	})
	w.restart()
	if err := w.sync.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := w.fake.names(); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
}

func TestSyncConflict(t *testing.T) {
	w := newWorld(t, storetest.DB(t))
	w.report(1000, 1000)
	faster := 3
	w.fake.before = func(r peer.Request) error {
		if strings.HasSuffix(r.Path, "/inventories") && r.Method == http.MethodPut && faster > 0 {
			faster--
			for id := range w.fake.providers {
				w.fake.providers[id].Generation++
			}
		}
		return nil
	}
	if err := w.sync.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.fake.taken()
	if faster != 0 {
		t.Errorf("%d conflicts were not met", faster)
	}
	w.must()
}

// While Placement is away, or has no hypervisor of the name, the agent says so.
func TestSyncFails(t *testing.T) {
	w := newWorld(t, storetest.DB(t))
	w.report(1000, 1000)
	w.fake.providers[hypervisor].Name = "hv1.example.org"
	if err := w.sync.Sync(context.Background()); err == nil || !strings.Contains(err.Error(), "has no hypervisor hv1 (yet)") {
		t.Errorf("error %v", err)
	}
	if got := w.synced(); got != "false" {
		t.Errorf("resources_synced %s", got)
	}
	w.fake.providers[hypervisor].Name = "hv1"
	w.fake.before = func(peer.Request) error { return errors.New("connection refused") }
	if err := w.sync.Sync(context.Background()); err == nil {
		t.Error("no error")
	}
	w.fake.before = nil
	if err := w.sync.Sync(context.Background()); err != nil {
		t.Error(err)
	}
	if got := w.synced(); got != "true" {
		t.Errorf("resources_synced %s", got)
	}
}

// Run notices by itself what changes, and that Placement comes back.
func TestRun(t *testing.T) {
	w := newWorld(t, storetest.DB(t))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.sync.Run(ctx) }()
	w.report(1000, 1000)
	id := uuid.NewSHA1(kind.Namespace, []byte("hv1:eth1")).String()
	await := func(total int64) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			w.fake.mu.Lock()
			got := w.fake.total(id, "NET_BW_EGR_KILOBIT_PER_SEC")
			w.fake.mu.Unlock()
			if got == total {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d kbit/s, want %d", got, total)
			}
		}
	}
	await(1000)
	w.report(3000, 1000)
	await(3000)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
