package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

func admin() *weft.Caller {
	return &weft.Caller{ProjectID: "p1", UserID: "u1", Roles: []string{"admin"}, Admin: true, RequestID: "req-1"}
}

func write(t *testing.T, db *store.DB, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), admin(), fn); err != nil {
		t.Fatal(err)
	}
}

func network(name, project string, tags ...string) *weft.Network {
	n := &weft.Network{Name: name, Status: "ACTIVE", AdminStateUp: true, MTU: 1450}
	n.ProjectID, n.Tags = project, tags
	return n
}

func names(t *testing.T, db *store.DB, q store.Query) []string {
	t.Helper()
	got := []string{}
	err := store.Networks.Rows(db.Read(t.Context(), admin()), q, func(r store.Row) error {
		_, rest, _ := strings.Cut(string(r.Doc), `"name":"`)
		name, _, _ := strings.Cut(rest, `"`)
		got = append(got, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ids := map[string]string{}
		write(t, db, func(tx *store.Tx) error {
			for i, name := range []string{"d", "b", "c", "a", "b"} {
				n := network(name, fmt.Sprintf("p%d", i%2), name)
				if err := store.Networks.Insert(tx, n); err != nil {
					return err
				}
				ids[fmt.Sprint(name, i)] = n.ID
			}
			return nil
		})
		byName := []store.Order{{Column: "name"}}
		for _, c := range []struct {
			what string
			q    store.Query
			want []string
		}{
			{"sorted", store.Query{Sort: byName}, []string{"a", "b", "b", "c", "d"}},
			{"descending", store.Query{Sort: []store.Order{{Column: "name", Desc: true}}}, []string{"d", "c", "b", "b", "a"}},
			{"limited", store.Query{Sort: byName, Limit: 2}, []string{"a", "b"}},
			{"after a marker", store.Query{Sort: byName, Limit: 2, Marker: ids["c2"]}, []string{"d"}},
			{"before a marker", store.Query{Sort: byName, Limit: 2, Marker: ids["c2"], Reverse: true}, []string{"b", "b"}},
			{"filtered", store.Query{Where: []store.Cond{store.In("name", "a", "c")}, Sort: byName}, []string{"a", "c"}},
			{"by project", store.Query{Where: []store.Cond{store.Eq("project_id", "p1")}, Sort: byName}, []string{"a", "b"}},
			{"by nothing", store.Query{Where: []store.Cond{store.In("name")}}, []string{}},
		} {
			if diff := cmp.Diff(c.want, names(t, db, c.q)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.what, diff)
			}
		}
		if _, err := store.Networks.Get(db.Read(t.Context(), admin()), "nothing"); !weft.IsType(err, "NetworkNotFound") {
			t.Errorf("a missing row: %v", err)
		}
	})
}

func TestComputed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		n := network("n", "p1")
		write(t, db, func(tx *store.Tx) error {
			if err := store.Networks.Insert(tx, n); err != nil {
				return err
			}
			for range 2 {
				if err := store.Subnets.Insert(tx, &weft.Subnet{NetworkID: n.ID, IPVersion: 4}); err != nil {
					return err
				}
			}
			return store.RBACPolicies.Insert(tx, &weft.RBACPolicy{ObjectType: "network", ObjectID: n.ID, Action: weft.AccessShared, TargetTenant: "p2"})
		})
		shared := func(project string) (subnets int, shared string) {
			c := admin()
			c.ProjectID = project
			names := store.Networks.Attributes(nil)
			err := store.Networks.Rows(db.Read(t.Context(), c), store.Query{}, func(r store.Row) error {
				subnets = strings.Count(string(r.Extra[slices.Index(names, "subnets")]), "-") / 4
				shared = string(r.Extra[slices.Index(names, "shared")])
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return subnets, shared
		}
		if n, s := shared("p2"); n != 2 || s != "true" {
			t.Errorf("for the project it is shared with: %d subnets, shared %s", n, s)
		}
		if _, s := shared("p3"); s != "false" {
			t.Errorf("for another project: shared %s", s)
		}
	})
}

// A transaction that fails leaves nothing: no row, no usage, no entry in the log.
func TestAllOrNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		boom := errors.New("boom")
		err := db.Update(t.Context(), admin(), func(tx *store.Tx) error {
			if err := store.Networks.Insert(tx, network("n", "p1", "tag")); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("error %v", err)
		}
		r := db.Read(t.Context(), admin())
		for _, text := range []string{"SELECT 1 FROM networks", "SELECT 1 FROM tags", "SELECT 1 FROM quota_usage", "SELECT 1 FROM changes"} {
			if found, err := r.Exists(text); found || err != nil {
				t.Errorf("%s: found %t, error %v", text, found, err)
			}
		}
		// The connection is good for the next one.
		write(t, db, func(tx *store.Tx) error { return store.Networks.Insert(tx, network("n", "p1")) })
	})
}

// After a statement that the engine refuses, the next transaction works.
func TestRefusedStatement(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for range 3 {
			err := db.Update(t.Context(), admin(), func(tx *store.Tx) error {
				_, err := tx.Exec("INSERT INTO subnets (id) VALUES (?)", "x")
				return err
			})
			if err == nil {
				t.Error("a row that breaks its constraints was accepted")
			}
		}
		write(t, db, func(tx *store.Tx) error { return store.Networks.Insert(tx, network("n", "p1")) })
	})
}

// Writers that are committed together fail alone: what one undoes is its own.
func TestGroupsFailAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const writers = 12
		boom := errors.New("boom")
		hold := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { // while this one runs, the others queue up and become a group
			db.Update(t.Context(), admin(), func(*store.Tx) error { <-hold; return nil })
		})
		results := make([]error, writers)
		for w := range writers {
			wg.Go(func() {
				results[w] = db.Update(t.Context(), admin(), func(tx *store.Tx) error {
					if err := store.Networks.Insert(tx, network(fmt.Sprint(w), "p1")); err != nil {
						return err
					}
					switch w % 3 {
					case 1:
						return boom
					case 2: // a statement that the engine refuses
						_, err := tx.Exec("INSERT INTO subnets (id) VALUES (?)", "x")
						return err
					}
					return nil
				})
			})
		}
		time.Sleep(50 * time.Millisecond)
		close(hold)
		wg.Wait()
		want := []string{}
		for w, err := range results {
			if (err == nil) != (w%3 == 0) || w%3 == 1 && !errors.Is(err, boom) {
				t.Errorf("writer %d: %v", w, err)
			}
			if w%3 == 0 {
				want = append(want, fmt.Sprint(w))
			}
		}
		got := names(t, db, store.Query{})
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("networks (-want +got):\n%s", diff)
		}
		if head, err := db.Read(t.Context(), admin()).Head(); err != nil || head != int64(len(want)) {
			t.Errorf("change log at %d, error %v", head, err)
		}
	})
}

// A panic is its own caller's, not that of whoever committed for it.
func TestPanicStaysHome(t *testing.T) {
	db := storetest.SQLite(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			defer func() {
				if p := recover(); (p != nil) != (i%4 == 0) {
					t.Errorf("writer %d recovered %v", i, p)
				}
			}()
			db.Update(t.Context(), admin(), func(tx *store.Tx) error {
				if i%4 == 0 {
					panic("oops")
				}
				return store.Networks.Insert(tx, network("n", "p1"))
			})
		})
	}
	wg.Wait()
	if n, err := store.Networks.Count(db.Read(t.Context(), admin())); n != 15 || err != nil {
		t.Errorf("%d networks, error %v", n, err)
	}
}

// A reader that follows the log sees every change of several writers once, in
// order, although they write at the same time: numbers become visible in order.
func TestLogOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const writers, each = 8, 25
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		followed := make(chan []int64)
		go func() {
			var seen []int64
			for after := int64(0); len(seen) < writers*each; {
				changes, err := db.WaitChanges(ctx, after, 7)
				if err != nil {
					break
				}
				for _, c := range changes {
					seen = append(seen, c.Seq)
					after = c.Seq
				}
			}
			followed <- seen
		}()
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					err := db.Update(ctx, admin(), func(tx *store.Tx) error {
						return store.Networks.Insert(tx, network(fmt.Sprint(w, "-", i), "p1"))
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		seen := <-followed
		if len(seen) != writers*each {
			t.Fatalf("the reader saw %d of %d changes", len(seen), writers*each)
		}
		for i, seq := range seen {
			if seq != int64(i+1) {
				t.Fatalf("change %d has number %d", i+1, seq)
			}
		}
		used := 0
		db.Read(ctx, admin()).QueryRow("SELECT used FROM quota_usage WHERE project_id = ?", []any{"p1"}, &used)
		if used != writers*each {
			t.Errorf("usage %d, want %d", used, writers*each)
		}
	})
}

// Two servers on one PostgreSQL: writes of one wake readers of the other, and the
// numbers of the log stay one sequence.
func TestTwoServers(t *testing.T) {
	url := storetest.PostgreSQL(t)
	a, b := storetest.Open(t, url), storetest.Open(t, url)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := make(chan error, 1)
	go func() {
		seen := 0
		for after := int64(0); seen < 40; {
			changes, err := b.WaitChanges(ctx, after, 100)
			if err != nil {
				got <- err
				return
			}
			for _, c := range changes {
				if c.Seq != after+1 {
					got <- fmt.Errorf("after %d came %d", after, c.Seq)
					return
				}
				after = c.Seq
				seen++
			}
		}
		got <- nil
	}()
	var wg sync.WaitGroup
	for _, db := range []*store.DB{a, b} {
		wg.Go(func() {
			for range 20 {
				if err := db.Update(ctx, admin(), func(tx *store.Tx) error { return store.Networks.Insert(tx, network("n", "p1")) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("WEFT_TEST_WRITE_UNTIL_KILLED"); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

func writeUntilKilled(path string) {
	db, err := store.Open(context.Background(), "sqlite:"+path, store.Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		n := network(fmt.Sprint(i), "p1")
		if err := db.Update(context.Background(), admin(), func(tx *store.Tx) error { return store.Networks.Insert(tx, n) }); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(n.ID) // acknowledged
	}
}

// What was acknowledged is there after a kill, and usage agrees with rows.
func TestKill(t *testing.T) {
	path := t.TempDir() + "/weft.db"
	var acknowledged []string
	for round := range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "WEFT_TEST_WRITE_UNTIL_KILLED="+path)
		file := filepath.Join(t.TempDir(), "out")
		out, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if at, err := out.Stat(); err != nil || at.Size() > 0 {
				break // it has begun
			}
		}
		time.Sleep(time.Duration(37*round) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		text, err := os.ReadFile(file)
		if err := errors.Join(err, out.Close()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		acknowledged = append(acknowledged, lines[:len(lines)-1]...) // the last may be half a line
	}
	if len(acknowledged) == 0 {
		t.Fatal("nothing was written before the kills")
	}
	db := storetest.Open(t, "sqlite:"+path)
	tx := db.Read(t.Context(), admin())
	for _, id := range acknowledged {
		if _, err := store.Networks.Get(tx, id); err != nil {
			t.Errorf("acknowledged and lost: %v", err)
		}
	}
	rows, used, head := 0, 0, int64(0)
	rows, err := store.Networks.Count(tx)
	if err != nil {
		t.Fatal(err)
	}
	tx.QueryRow("SELECT used FROM quota_usage WHERE project_id = ?", []any{"p1"}, &used)
	if head, err = tx.Head(); err != nil || rows != used || int64(rows) != head {
		t.Errorf("%d rows, usage %d, log at %d, error %v", rows, used, head, err)
	}
}
