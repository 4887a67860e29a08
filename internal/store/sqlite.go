package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// openSQLite opens the file at path, for this process only in spirit: any number
// may read, and SQLite's own lock keeps writers apart.
//
// WAL with synchronous=FULL makes every acknowledged commit survive power loss.
func (db *DB) openSQLite(path string) error {
	db.dialect = sqliteDialect{}
	if dir := filepath.Dir(path); dir != "." {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the database's directory: %w", err)
		}
	}
	dsn := func(pragmas ...string) string {
		q := url.Values{"_txlock": {"immediate"}}
		for _, p := range append(pragmas, "journal_mode(WAL)", "journal_size_limit(16777216)", "synchronous(FULL)",
			fmt.Sprintf("busy_timeout(%d)", db.patience.Milliseconds()), "foreign_keys(1)", "temp_store(MEMORY)") {
			q.Add("_pragma", p)
		}
		return sqliteURL(path, q)
	}
	var err error
	if db.write, err = sql.Open("sqlite", dsn("auto_vacuum(2)", "cache_size(-8000)")); err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	db.write.SetMaxOpenConns(1)
	if db.read, err = sql.Open("sqlite", dsn("query_only(1)", "cache_size(-4000)")); err != nil {
		db.write.Close()
		return fmt.Errorf("opening %s: %w", path, err)
	}
	readers := max(4, runtime.GOMAXPROCS(0)) + 2 // which short statements have to themselves
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	if err := db.write.Ping(); err != nil {
		db.closePools()
		return fmt.Errorf("opening %s: %w", path, err)
	}
	db.shrinkable(path)
	// The file holds password hashes and signing keys.
	if err := os.Chmod(path, 0o600); err != nil {
		db.closePools()
		return fmt.Errorf("protecting %s: %w", path, err)
	}
	return nil
}

// sqliteURL names a database file to the driver. A path may have what means something
// in a URL.
func sqliteURL(path string, options url.Values) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + options.Encode()
}

type sqliteDialect struct{}

func (sqliteDialect) name() string                    { return "sqlite" }
func (sqliteDialect) placeholders(text string) string { return text }
func (sqliteDialect) begin() string                   { return "BEGIN IMMEDIATE" }
func (sqliteDialect) lockWriter(*Tx) error            { return nil } // BEGIN IMMEDIATE did
func (sqliteDialect) notify(*Tx) error                { return nil } // one process
func (sqliteDialect) listen(context.Context, *DB)     {}
func (sqliteDialect) viewOptions() *sql.TxOptions     { return &sql.TxOptions{ReadOnly: true} }

// away tells what is wrong with the file or its disk, and what others hold, from what
// is wrong with a statement. The extended codes have the plain one in their last byte.
func (sqliteDialect) away(err error) bool {
	var said *sqlite.Error
	if !errors.As(err, &said) {
		return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)
	}
	switch said.Code() & 0xff {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN,
		lib.SQLITE_READONLY, lib.SQLITE_PROTOCOL:
		return true
	}
	return false
}

// comes is about other processes that are starting too. What is wrong with a file is
// better told at once.
func (sqliteDialect) comes(err error) bool {
	var said *sqlite.Error
	return errors.As(err, &said) && (said.Code()&0xff == lib.SQLITE_BUSY || said.Code()&0xff == lib.SQLITE_LOCKED)
}

func (sqliteDialect) shared() bool { return false }

func (sqliteDialect) tableNamed() string {
	return "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?"
}

func (sqliteDialect) unhurried(ctx context.Context, db *DB) (*sql.Conn, error) {
	return db.write.Conn(ctx)
}

// freed is how many pages are given back in one go, for which writers wait.
const freed = 512

// giveBack shortens the file by what is free in it, but for a small rest.
func (sqliteDialect) giveBack(ctx context.Context, db *DB) error {
	for {
		left, err := db.vacuumSome(ctx)
		if err != nil || left < freed {
			return err
		}
	}
}

// vacuumSome gives some pages back and returns how many are free still.
func (db *DB) vacuumSome(ctx context.Context) (left int, err error) {
	db.writer.Lock()
	defer db.writer.Unlock()
	w, err := db.writerConn(ctx)
	if err != nil {
		return 0, err
	}
	var mode int
	if err := w.conn.QueryRowContext(ctx, "PRAGMA auto_vacuum").Scan(&mode); err != nil || mode == 0 {
		return 0, err
	}
	if err := w.conn.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&left); err != nil || left < freed {
		return 0, err
	}
	before := left
	rows, err := w.conn.QueryContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", freed))
	if err != nil {
		return 0, err
	}
	for rows.Next() { // a row a page
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	if err := w.conn.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&left); err != nil || left >= before {
		return 0, err // somebody reads what is to go
	}
	return left, nil
}

// shrinkable makes an older file one that gives space back, which takes writing it anew
// once. Where that fails, for want of space or because another process reads it, the
// file stays as it is.
func (db *DB) shrinkable(path string) {
	var mode, pages int
	row := db.write.QueryRow("SELECT (SELECT auto_vacuum FROM pragma_auto_vacuum), (SELECT page_count FROM pragma_page_count)")
	if err := row.Scan(&mode, &pages); err != nil || mode != 0 || pages < 2 {
		return
	}
	start := time.Now()
	if _, err := db.write.Exec("VACUUM"); err != nil {
		db.log.Warn("the database file cannot be made to give space back", "file", path, "error", err)
		return
	}
	db.log.Info("the database file has been written anew, once: it gives space back now", "file", path, "took", time.Since(start))
}

func (sqliteDialect) ddl(text string) string {
	return strings.NewReplacer("SEQUENCE_KEY", "INTEGER PRIMARY KEY", "RANDOM_ID", "LOWER(HEX(RANDOMBLOB(8)))").Replace(text)
}
