package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
)

// Backup copies the SQLite database in one file into another that does not exist
// yet: one consistent snapshot, while servers read and write or not. Only its owner
// may read the copy.
func Backup(ctx context.Context, from, to string) error {
	if _, err := os.Stat(from); err != nil {
		return err // SQLite would say less
	}
	db, err := sql.Open("sqlite", sqliteURL(from, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}}))
	if err != nil {
		return fmt.Errorf("opening %s: %w", from, err)
	}
	defer db.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // SQLite would give it the mode of the umask
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return fmt.Errorf("copying into %s: %w", to, err)
	}
	f, err = os.OpenFile(to, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
