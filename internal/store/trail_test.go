package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// grow changes a network n times, with so many bytes in each document.
func grow(t *testing.T, db *store.DB, n, bytes int) string {
	t.Helper()
	var network weft.Network
	change := func(i int) error {
		return db.Update(t.Context(), admin(), func(tx *store.Tx) error {
			tag := fmt.Sprint(i, strings.Repeat("t", bytes))
			if network.ID == "" {
				network.Tags = []string{tag}
				return store.Networks.Insert(tx, &network)
			}
			n, err := store.Networks.Get(tx, network.ID)
			if err != nil {
				return err
			}
			n.Description = tag
			n.Tags = nil
			return store.Networks.Update(tx, n)
		})
	}
	for i := range n {
		if err := change(i); err != nil {
			t.Fatal(err)
		}
	}
	return network.ID
}

// The change log is trimmed by age and by bytes; what is newest stays, and a reader sees
// that it has missed something.
func TestTrimChanges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		grow(t, db, 100, 1000)
		gone, err := db.TrimChanges(t.Context(), store.Keep{Age: time.Hour, Bytes: 1 << 30})
		if err != nil || gone.Entries != 0 || db.LogBytes() < 100*2000 {
			t.Errorf("nothing to trim: %+v, %v, %d bytes", gone, err, db.LogBytes())
		}
		if db.LogGrown() != 0 {
			t.Errorf("it has grown by %d", db.LogGrown())
		}
		gone, err = db.TrimChanges(t.Context(), store.Keep{Age: time.Hour, Bytes: 50 << 10})
		left, _ := db.Read(t.Context(), nil).Changes(0, 1000)
		if err != nil || gone.Entries+len(left) != 100 || len(left) < 10 || len(left) > 30 || db.LogBytes() > 50<<10 {
			t.Errorf("by bytes: %+v, %v, %d left, %d bytes", gone, err, len(left), db.LogBytes())
		}
		seq := left[0].Seq
		if left[0].Follows(0) || !left[0].Follows(seq-1) || left[len(left)-1].Seq != 100 {
			t.Errorf("the first left is %d", seq)
		}
		if _, err := db.TrimChanges(t.Context(), store.Keep{Age: -time.Hour, Bytes: 1}); err != nil {
			t.Error(err)
		}
		if left, _ = db.Read(t.Context(), nil).Changes(0, 1000); len(left) != 1 || left[0].Seq != 100 {
			t.Errorf("of all that is too old %d are left", len(left))
		}
		grow(t, db, 1, 10)
		if head, err := db.Read(t.Context(), nil).Head(); head != 101 {
			t.Errorf("the numbers go on with %d, %v", head, err)
		}
	})
}

// What is as large as no noun is not kept.
func TestDocumentLimit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		n := &weft.Network{Description: strings.Repeat("d", 600<<10)}
		err := db.Update(t.Context(), admin(), func(tx *store.Tx) error { return store.Networks.Insert(tx, n) })
		if !weft.IsKind(err, weft.TooLarge) {
			t.Errorf("inserting: %v", err)
		}
		id := grow(t, db, 1, 10)
		err = db.Update(t.Context(), admin(), func(tx *store.Tx) error {
			n, err := store.Networks.Get(tx, id)
			if err == nil {
				n.Description = strings.Repeat("d", 600<<10)
				err = store.Networks.Update(tx, n)
			}
			return err
		})
		if !weft.IsKind(err, weft.TooLarge) {
			t.Errorf("updating: %v", err)
		}
	})
}

// A file becomes smaller when what was in it is trimmed, a file of an older version too.
func TestSQLiteGivesSpaceBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weft.db")
	db, err := store.Open(t.Context(), "sqlite:"+path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		var n int64
		for _, f := range []string{path, path + "-wal"} {
			if info, err := os.Stat(f); err == nil {
				n += info.Size()
			}
		}
		return n
	}
	grow(t, db, 200, 100<<10)
	full := size()
	if _, err := db.TrimChanges(t.Context(), store.Keep{Age: time.Hour, Bytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if full < 30<<20 || size() > 10<<20 {
		t.Errorf("of %d bytes %d are left", full, size())
	}
}
