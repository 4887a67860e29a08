package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	_ "modernc.org/sqlite" // the database/sql driver "sqlite"
)

// openSQLite opens the file at path, for this process only in spirit: any number
// may read, and SQLite's own lock keeps writers apart.
//
// WAL with synchronous=FULL makes every acknowledged commit survive power loss.
func (db *DB) openSQLite(path string) error {
	if dir := filepath.Dir(path); dir != "." {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the database's directory: %w", err)
		}
	}
	dsn := func(pragmas ...string) string {
		q := url.Values{"_txlock": {"immediate"}}
		for _, p := range append(pragmas, "journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "foreign_keys(1)", "temp_store(MEMORY)") {
			q.Add("_pragma", p)
		}
		// A path may have what means something in a URL.
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	}
	var err error
	if db.write, err = sql.Open("sqlite", dsn("cache_size(-8000)")); err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	db.write.SetMaxOpenConns(1)
	if db.read, err = sql.Open("sqlite", dsn("query_only(1)", "cache_size(-4000)")); err != nil {
		db.write.Close()
		return fmt.Errorf("opening %s: %w", path, err)
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	db.dialect = sqliteDialect{}
	if err := db.write.Ping(); err != nil {
		db.Close()
		return fmt.Errorf("opening %s: %w", path, err)
	}
	// The file holds password hashes and signing keys.
	if err := os.Chmod(path, 0o600); err != nil {
		db.Close()
		return fmt.Errorf("protecting %s: %w", path, err)
	}
	return nil
}

type sqliteDialect struct{}

func (sqliteDialect) name() string                    { return "sqlite" }
func (sqliteDialect) placeholders(text string) string { return text }
func (sqliteDialect) begin() string                   { return "BEGIN IMMEDIATE" }
func (sqliteDialect) lockWriter(*Tx) error            { return nil } // BEGIN IMMEDIATE did
func (sqliteDialect) notify(*Tx) error                { return nil } // one process
func (sqliteDialect) listen(context.Context, *DB)     {}
func (sqliteDialect) viewOptions() *sql.TxOptions     { return &sql.TxOptions{ReadOnly: true} }

func (sqliteDialect) tableNamed() string {
	return "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?"
}

func (sqliteDialect) unhurried(ctx context.Context, db *DB) (*sql.Conn, error) {
	return db.write.Conn(ctx)
}

func (sqliteDialect) ddl(text string) string {
	return strings.NewReplacer("SEQUENCE_KEY", "INTEGER PRIMARY KEY", "RANDOM_ID", "LOWER(HEX(RANDOMBLOB(8)))").Replace(text)
}
