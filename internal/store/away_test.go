package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// Every connection to PostgreSQL has deadlines, and no just-in-time compiler.
func TestPostgresSettings(t *testing.T) {
	url := storetest.PostgreSQL(t)
	db := storetest.Open(t, url)
	for setting, want := range map[string]string{"jit": "off", "statement_timeout": "10s", "lock_timeout": "10s",
		"idle_in_transaction_session_timeout": "10s"} {
		got, err := db.Show(t.Context(), setting)
		if err != nil {
			t.Fatal(err)
		}
		listener := want
		if want == "10s" && setting != "idle_in_transaction_session_timeout" {
			listener = "5s"
		}
		if diff := cmp.Diff(map[string]string{"reader": want, "writer": want, "listener": listener}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", setting, diff)
		}
	}
	chosen := storetest.Open(t, url+"&jit=on")
	if got, err := chosen.Show(t.Context(), "jit"); err != nil || got["reader"] != "on" {
		t.Errorf("what the operator's URL says: %v, error %v", got, err)
	}
}

// A PostgreSQL that is killed under load and comes back: nobody is told anything but to
// try again, nothing acknowledged is lost, and all goes on without a restart.
func TestPostgresKilled(t *testing.T) {
	pg := storetest.Own(t)
	db, err := store.Open(t.Context(), pg.URL, store.Options{Wait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var mu sync.Mutex
	var acknowledged []string
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for ctx.Err() == nil {
				n := network("n", "p1")
				err := db.Update(ctx, admin(), func(tx *store.Tx) error { return store.Networks.Insert(tx, n) })
				if err == nil {
					mu.Lock()
					acknowledged = append(acknowledged, n.ID)
					mu.Unlock()
				} else if !weft.IsKind(err, weft.Unavailable) && ctx.Err() == nil {
					t.Errorf("a write: %v", err)
				}
				if _, err := db.Read(ctx, nil).Head(); err != nil && !weft.IsKind(err, weft.Unavailable) {
					t.Errorf("a read: %v", err)
				}
				if err != nil {
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }
	for round := range 3 {
		at := count()
		recovered(t, fmt.Sprint("the load of round ", round), func() bool { return count() > at+20 })
		pg.Kill()
		recovered(t, "the knowledge of trouble", func() bool { return db.Writable() != nil })
		pg.Start()
	}
	at := count()
	recovered(t, "the load", func() bool { return count() > at+20 })
	stop()
	load.Wait()
	for _, id := range acknowledged {
		if _, err := store.Networks.Get(db.Read(t.Context(), admin()), id); err != nil {
			t.Errorf("acknowledged and lost: %v", err)
		}
	}
}

// The writer's connection was cut while nobody used it: the next write does not fail.
func TestBeginAgain(t *testing.T) {
	db := storetest.Open(t, storetest.PostgreSQL(t))
	for range 3 {
		write(t, db, func(tx *store.Tx) error { return store.Networks.Insert(tx, network("n", "p1")) })
		// From another session, as an administrator or a failover does.
		_, err := db.Read(t.Context(), nil).IDs(`SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND query NOT LIKE '%LISTEN%'`)
		if err != nil {
			t.Fatal(err)
		}
	}
	write(t, db, func(tx *store.Tx) error { return store.Networks.Insert(tx, network("n", "p1")) })
}

// Weft may start before its database does.
func TestWaitingAtStart(t *testing.T) {
	pg := storetest.Own(t)
	pg.Kill()
	_, err := store.Open(t.Context(), pg.URL, store.Options{})
	if err == nil {
		t.Fatal("opened what is not there")
	}
	opened := make(chan error)
	go func() {
		db, err := store.Open(t.Context(), pg.URL, store.Options{Wait: time.Minute})
		if err == nil {
			db.Close()
		}
		opened <- err
	}()
	time.Sleep(100 * time.Millisecond)
	pg.Start()
	if err := <-opened; err != nil {
		t.Errorf("opening what comes: %v", err)
	}
	if _, err := store.Open(t.Context(), strings.Replace(pg.URL, "/postgres?", "/nothing?", 1),
		store.Options{Wait: time.Hour}); err == nil {
		t.Error("opened a database that does not exist")
	}
}

// On a full disk writing is refused and told of, reading goes on, and when there is
// room again writing does too.
func TestFullDisk(t *testing.T) {
	dir := tiny(t)
	db := storetest.Open(t, "sqlite:"+filepath.Join(dir, "weft.db"))
	insert := func() error {
		n := network(strings.Repeat("x", 200), "p1")
		return db.Update(t.Context(), admin(), func(tx *store.Tx) error { return store.Networks.Insert(tx, n) })
	}
	if err := insert(); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	if err := fill(filler); err != nil {
		t.Fatal(err)
	}
	var err error
	for range 10000 {
		if err = insert(); err != nil {
			break
		}
	}
	if !weft.IsKind(err, weft.Unavailable) {
		t.Fatalf("a write on a full disk: %v", err)
	}
	if db.Writable() == nil {
		t.Error("nobody knows that writing fails")
	}
	if _, err := db.Read(t.Context(), nil).Head(); err != nil {
		t.Errorf("reading beside a full disk: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	recovered(t, "writing", func() bool { return db.Writable() == nil })
	if err := insert(); err != nil {
		t.Errorf("a write when there is room again: %v", err)
	}
}

// tiny is a folder on a disk of 8 MB.
func tiny(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making a full disk takes root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("weft-test", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("mounting: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for b := make([]byte, 4096); ; {
		if _, err := f.Write(b); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
