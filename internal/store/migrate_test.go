package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// eachURL runs a test on a new, empty database of each kind.
func eachURL(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, "sqlite:"+filepath.Join(t.TempDir(), "weft.db")) })
	t.Run("postgresql", func(t *testing.T) { test(t, storetest.PostgreSQL(t)) })
}

// Servers that start together on an empty database make one schema of it.
func TestConcurrentMigration(t *testing.T) {
	eachURL(t, func(t *testing.T, first string) {
		for round := range 5 {
			url := first
			if round > 0 && strings.HasPrefix(url, "sqlite:") {
				url = "sqlite:" + filepath.Join(t.TempDir(), "weft?#%25.db")
			} else if round > 0 {
				url = storetest.PostgreSQL(t)
			}
			var starting sync.WaitGroup
			for range 6 {
				starting.Go(func() {
					db, err := store.Open(t.Context(), url, store.Options{Wait: time.Minute})
					if err != nil {
						t.Error(err)
						return
					}
					defer db.Close()
					write(t, db, func(tx *store.Tx) error { return store.Networks.Insert(tx, network("n", "p")) })
				})
			}
			starting.Wait()
			if n := len(names(t, storetest.Open(t, url), store.Query{})); n != 6 {
				t.Errorf("%d networks, want 6", n)
			}
		}
	})
}

// A program does not touch the database of a later release.
func TestNewerSchema(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		write(t, db, func(tx *store.Tx) error {
			_, err := tx.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, ?)", 9999, true)
			return err
		})
		_, err := store.Open(t.Context(), url, store.Options{})
		var newer *store.NewerSchemaError
		if !errors.As(err, &newer) || newer.Database != 9999 || newer.Program != store.SchemaVersion() {
			t.Fatalf("opening the database of a later release: %v", err)
		}
		if !strings.Contains(err.Error(), "schema 9999") {
			t.Errorf("it does not say which: %v", err)
		}
	})
}

// What goose kept in earlier releases is believed.
func TestSchemaOfGoose(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		write(t, db, func(tx *store.Tx) error {
			_, err := tx.Exec("ALTER TABLE goose_db_version ADD COLUMN id INTEGER")
			return err
		})
		write(t, storetest.Open(t, url), func(tx *store.Tx) error { return store.Networks.Insert(tx, network("n", "p")) })
	})
}
