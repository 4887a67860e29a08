package store_test

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// The id of a cloud is made once, whoever opens the database how often.
func TestCloudID(t *testing.T) {
	seen := map[string]bool{}
	for name, url := range map[string]func(*testing.T) string{
		"sqlite":     func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "weft.db") },
		"postgresql": func(t *testing.T) string { return storetest.PostgreSQL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			at := url(t)
			var ids []string
			for range 3 {
				db, err := store.Open(t.Context(), at, store.Options{})
				if err != nil {
					t.Fatal(err)
				}
				id, err := db.CloudID(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, id)
				db.Close()
			}
			if ids[0] != ids[1] || ids[1] != ids[2] || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(ids[0]) || seen[ids[0]] {
				t.Errorf("ids of one database: %q", ids)
			}
			seen[ids[0]] = true
		})
	}
}
