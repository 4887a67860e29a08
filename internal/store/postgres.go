package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// writerLock is the key of the advisory lock that makes writers of all servers
	// take turns: "weft" in ASCII.
	writerLock = 0x77656674
	channel    = "weft_changes"
)

func (db *DB) openPostgres(url string) error {
	d := &postgresDialect{url: url, patience: db.patience}
	hurried, err := d.config(d.patience, d.patience)
	if err != nil {
		return fmt.Errorf("opening %s: %w", redact(url), err)
	}
	db.dialect = d
	db.write, db.read = stdlib.OpenDB(*hurried), stdlib.OpenDB(*hurried)
	db.write.SetMaxOpenConns(1)
	db.read.SetMaxOpenConns(16)
	db.read.SetMaxIdleConns(16)
	db.read.SetConnMaxIdleTime(5 * time.Minute)
	if err := errors.Join(db.read.Ping(), db.write.Ping()); err != nil {
		db.write.Close()
		db.read.Close()
		return fmt.Errorf("connecting to %s: %w", redact(url), err)
	}
	return nil
}

type postgresDialect struct {
	dollars
	url      string
	patience time.Duration
}

// config is how to connect. Statements, locks and pauses inside a transaction may take
// limit each, and answers may be so long in coming; a limit of 0 is none.
func (d *postgresDialect) config(limit, pause time.Duration) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(d.url)
	if err != nil {
		return nil, err
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = d.patience
	}
	silence := time.Duration(0)
	if limit > 0 {
		silence = limit + limit/5 // the server's own deadlines come first, and say more
	}
	cfg.DialFunc = dial(d.patience, silence)
	// What a URL says is the operator's choice.
	for name, value := range d.settings(limit, pause) {
		if _, given := cfg.RuntimeParams[name]; !given {
			cfg.RuntimeParams[name] = value
		}
	}
	return cfg, nil
}

// settings are those of our sessions. The just-in-time compiler takes longer than our
// queries do. The server's end of a connection has the same patience as ours: a server
// of weft that has vanished must not keep the writer lock.
func (d *postgresDialect) settings(limit, pause time.Duration) map[string]string {
	ms := func(t time.Duration) string { return strconv.FormatInt(t.Milliseconds(), 10) }
	beat := strconv.Itoa(max(1, int(d.patience.Seconds())/5))
	return map[string]string{
		"application_name": "weft", "jit": "off",
		"statement_timeout": ms(limit), "lock_timeout": ms(limit), "idle_in_transaction_session_timeout": ms(pause),
		"tcp_user_timeout": ms(d.patience), "tcp_keepalives_idle": beat, "tcp_keepalives_interval": beat, "tcp_keepalives_count": "4",
	}
}

func (*postgresDialect) name() string                      { return "postgresql" }
func (d *postgresDialect) placeholders(text string) string { return d.rewrite(text) }
func (*postgresDialect) begin() string                     { return "BEGIN" }

// lockWriter waits for its turn. The lock is released after the commit has become
// visible, so entries of the change log become visible in the order of their
// numbers. A server that dies holding it loses its connection, and with it the
// lock; one that hangs is cut off by the timeout of idle transactions.
func (*postgresDialect) lockWriter(tx *Tx) error {
	_, err := tx.QueryRow("SELECT 1 FROM (SELECT pg_advisory_xact_lock(?)) x", []any{writerLock}, new(int))
	return err
}

func (*postgresDialect) notify(tx *Tx) error {
	_, err := tx.Exec("NOTIFY " + channel)
	return err
}

// giveBack is autovacuum's business.
func (*postgresDialect) giveBack(context.Context, *DB) error { return nil }

// listen turns notifications of other servers into local broadcasts, and
// reconnects for as long as ctx lives.
func (d *postgresDialect) listen(ctx context.Context, db *DB) {
	ear := newTrouble("listening for changes of other servers")
	go func() {
		for ctx.Err() == nil {
			err := d.listenOnce(ctx, db, func() { db.works(ear) })
			if ctx.Err() != nil {
				return
			}
			db.fails(ear, err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
}

// listenOnce listens until that fails.
func (d *postgresDialect) listenOnce(ctx context.Context, db *DB, heard func()) error {
	cfg, err := d.config(d.patience/2, d.patience)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	own := channel + "_" + strings.ToLower(rand.Text())
	if _, err := conn.Exec(ctx, "LISTEN "+channel+"; LISTEN "+own); err != nil {
		return err
	}
	db.head.broadcast() // what happened while nobody listened
	for {
		if err := d.prove(ctx, conn, own, db); err != nil {
			return err
		}
		heard()
		if err := d.hear(ctx, conn, db); err != nil {
			return err
		}
	}
}

// prove makes sure that what is notified is heard: it calls to itself. A connection
// that goes silent says nothing, as one does on which nothing happens, and a pooler may
// have given the session that listens to somebody else.
func (d *postgresDialect) prove(ctx context.Context, conn *pgx.Conn, own string, db *DB) error {
	ctx, cancel := context.WithTimeout(ctx, d.patience/2)
	defer cancel()
	if _, err := conn.Exec(ctx, "NOTIFY "+own); err != nil {
		return err
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("what this server notifies itself of is not heard: %w", err)
		}
		if n.Channel == own {
			return nil
		}
		db.head.broadcast()
	}
}

// hear broadcasts what comes, until it is time for the next proof.
func (d *postgresDialect) hear(ctx context.Context, conn *pgx.Conn, db *DB) error {
	until, cancel := context.WithTimeout(ctx, d.patience/5)
	defer cancel()
	for {
		_, err := conn.WaitForNotification(until)
		switch {
		case err == nil:
			db.head.broadcast()
		case until.Err() != nil && ctx.Err() == nil && !conn.IsClosed():
			return nil
		default:
			return err
		}
	}
}

func (*postgresDialect) viewOptions() *sql.TxOptions {
	return &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
}

func (*postgresDialect) shared() bool { return true }

// tableNamed asks the table of tables: what looks names up would answer from what the
// connection knew before it waited for the writer lock.
func (*postgresDialect) tableNamed() string {
	return "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = ?"
}

func (d *postgresDialect) unhurried(ctx context.Context, _ *DB) (*sql.Conn, error) {
	cfg, err := d.config(0, time.Minute)
	if err != nil {
		return nil, err
	}
	pool := stdlib.OpenDB(*cfg)
	defer pool.Close() // a connection that is taken lives on until it is given back
	return pool.Conn(ctx)
}

// away tells what may pass from what is wrong with a statement.
func (*postgresDialect) away(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false // somebody has gone, not the database
	}
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return mayPass(said.Code)
	}
	var failed *pgconn.ConnectError
	var network net.Error
	var silent *silentError
	if errors.As(err, &failed) || errors.As(err, &network) || errors.As(err, &silent) {
		return true
	}
	return slices.ContainsFunc(lost, func(l error) bool { return errors.Is(err, l) })
}

// lost are the other errors of a connection that has ended.
var lost = []error{driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, pgconn.ErrConnClosed}

// mayPass reports whether a SQLSTATE is about the server's state: connections (08),
// resources, a full disk among them (53), somebody's intervention, a restart or a
// deadline among them (57), the system (58), the end of an idle transaction, a lock not
// had in time, a server that is read-only since a failover, and lost races.
func mayPass(code string) bool {
	switch code {
	case "25P03", "55P03", "25006", "40001", "40P01":
		return true
	}
	return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "53") || strings.HasPrefix(code, "57") ||
		strings.HasPrefix(code, "58")
}

func (d *postgresDialect) comes(err error) bool { return d.away(err) }

func (*postgresDialect) ddl(text string) string {
	return strings.NewReplacer("SEQUENCE_KEY", "BIGINT PRIMARY KEY",
		"RANDOM_ID", "SUBSTR(REPLACE(CAST(GEN_RANDOM_UUID() AS TEXT), '-', ''), 1, 16)").Replace(text)
}
