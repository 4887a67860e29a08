package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// A copy made beside a writer has what was committed, and nobody else may read it.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "we?ft%20.db"), filepath.Join(dir, "copy.db")
	db := storetest.Open(t, "sqlite:"+from)
	n := &weft.Network{}
	n.ID, n.ProjectID, n.Name = "8a1d1d9c-53d8-4f9c-a1fd-9a6f4d0cf2a1", "p", "kept"
	if err := db.Update(t.Context(), weft.SystemCaller("test"),
		func(tx *store.Tx) error { return store.Networks.Insert(tx, n) }); err != nil {
		t.Fatal(err)
	}
	if err := store.Backup(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(to); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v; it has secrets", st, err)
	}
	copied := storetest.Open(t, "sqlite:"+to)
	got, err := store.Networks.Get(copied.Read(t.Context(), nil), n.ID)
	if err != nil || got.Name != n.Name {
		t.Errorf("in the copy: %v, %v", got, err)
	}
	if err := store.Backup(t.Context(), from, to); err == nil {
		t.Error("a file that exists is overwritten")
	}
	if err := store.Backup(t.Context(), filepath.Join(dir, "none.db"), filepath.Join(dir, "other.db")); err == nil {
		t.Error("a database that is not there is copied")
	}
}
