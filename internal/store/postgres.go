package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the database/sql driver "pgx"
)

const (
	// writerLock is the key of the advisory lock that makes writers of all servers
	// take turns: "weft" in ASCII.
	writerLock = 0x77656674
	channel    = "weft_changes"
)

func (db *DB) openPostgres(url string) error {
	pool, err := sql.Open("pgx", url)
	if err != nil {
		return fmt.Errorf("opening %s: %w", redact(url), err)
	}
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(16)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	db.write, db.read = pool, pool
	db.dialect = &postgresDialect{url: url}
	if err := pool.Ping(); err != nil {
		pool.Close()
		return fmt.Errorf("connecting to %s: %w", redact(url), err)
	}
	return nil
}

type postgresDialect struct {
	dollars
	url string
}

func (*postgresDialect) name() string                      { return "postgresql" }
func (d *postgresDialect) placeholders(text string) string { return d.rewrite(text) }
func (*postgresDialect) begin() string                     { return "BEGIN" }

// lockWriter waits for its turn. The lock is released after the commit has become
// visible, so entries of the change log become visible in the order of their
// numbers. A server that dies holding it loses its connection, and with it the
// lock; one that hangs is cut off by the timeout.
func (*postgresDialect) lockWriter(tx *Tx) error {
	if _, err := tx.Exec("SET LOCAL idle_in_transaction_session_timeout = '10s'"); err != nil {
		return err
	}
	_, err := tx.QueryRow("SELECT 1 FROM (SELECT pg_advisory_xact_lock(?)) x", []any{writerLock}, new(int))
	return err
}

func (*postgresDialect) notify(tx *Tx) error {
	_, err := tx.Exec("NOTIFY " + channel)
	return err
}

// listen turns notifications of other servers into local broadcasts, and
// reconnects for as long as ctx lives.
func (d *postgresDialect) listen(ctx context.Context, db *DB) {
	go func() {
		for ctx.Err() == nil {
			if err := d.listenOnce(ctx, db); err != nil && ctx.Err() == nil {
				db.log.Warn("listening for changes of other servers", "error", err)
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
			}
		}
	}()
}

func (d *postgresDialect) listenOnce(ctx context.Context, db *DB) error {
	conn, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	db.head.broadcast() // what happened while nobody listened
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
		db.head.broadcast()
	}
}

func (*postgresDialect) viewOptions() *sql.TxOptions {
	return &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
}

// tableNamed asks the table of tables: what looks names up would answer from what the
// connection knew before it waited for the writer lock.
func (*postgresDialect) tableNamed() string {
	return "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = ?"
}

func (*postgresDialect) unhurried(ctx context.Context, db *DB) (*sql.Conn, error) {
	return db.write.Conn(ctx)
}

func (*postgresDialect) ddl(text string) string {
	return strings.NewReplacer("SEQUENCE_KEY", "BIGINT PRIMARY KEY",
		"RANDOM_ID", "SUBSTR(REPLACE(CAST(GEN_RANDOM_UUID() AS TEXT), '-', ''), 1, 16)").Replace(text)
}
