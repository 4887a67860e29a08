package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftnet/weft"
)

// DB is an open database. Close it when done.
type DB struct {
	dialect dialect
	write   *sql.DB // its connections may take the writer lock
	read    *sql.DB
	log     *slog.Logger
	now     func() time.Time

	queue    queue      // of this process's writers, so that they do not spin on the engine's lock
	writer   sync.Mutex // guards conn
	conn     *writer
	stmts    sync.Map // text -> *sql.Stmt, on the read pool
	composed atomic.Int32
	trail    trail
	head     *signal // broadcast after every commit that wrote to the change log
	writing  *trouble
	reading  *trouble
	patience time.Duration
	stopping context.CancelFunc
}

// Options of Open.
type Options struct {
	Log *slog.Logger
	Now func() time.Time // for tests; nil is the wall clock
	// Wait is how long Open waits for a database that is not there yet.
	Wait time.Duration
	// Patience is how long a statement, a lock or an answer may take; 0 is ten
	// seconds.
	Patience time.Duration
}

// Open opens the database at url, which is "sqlite:PATH" or "postgresql://...",
// and brings its schema up to date.
func Open(ctx context.Context, url string, opts Options) (*DB, error) {
	db := &DB{log: opts.Log, now: opts.Now, head: newSignal(), patience: opts.Patience,
		writing: newTrouble("writing to the database"), reading: newTrouble("reading from the database")}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if db.now == nil {
		db.now = time.Now
	}
	if db.patience == 0 {
		db.patience = 10 * time.Second
	}
	if err := db.await(ctx, url, opts.Wait); err != nil {
		return nil, err
	}
	bg, cancel := context.WithCancel(context.Background())
	db.stopping = cancel
	db.dialect.listen(bg, db)
	go db.probe(bg)
	return db, nil
}

// await opens the database, again and again for so long as it may still come.
func (db *DB) await(ctx context.Context, url string, wait time.Duration) error {
	pause := 50 * time.Millisecond
	for deadline := time.Now().Add(wait); ; pause = min(2*pause, 5*time.Second) {
		err := db.open(ctx, url)
		if err == nil || db.dialect == nil || !db.dialect.comes(err) || time.Now().Add(pause).After(deadline) {
			return err
		}
		db.log.Warn("waiting for the database", "error", err, "at most until", deadline.Format(time.TimeOnly))
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// open opens the database and brings its schema up to date.
func (db *DB) open(ctx context.Context, url string) (err error) {
	switch {
	case strings.HasPrefix(url, "sqlite:"):
		err = db.openSQLite(strings.TrimPrefix(url, "sqlite:"))
	case strings.HasPrefix(url, "postgresql://"), strings.HasPrefix(url, "postgres://"):
		err = db.openPostgres(url)
	default:
		err = fmt.Errorf("database url %q is neither sqlite:PATH nor postgresql://", redact(url))
	}
	if err != nil {
		return err
	}
	if err := db.migrate(ctx); err != nil {
		db.closePools()
		return fmt.Errorf("migrating the database: %w", err)
	}
	return nil
}

// redact hides the password of a database url.
func redact(url string) string {
	at, scheme := strings.LastIndex(url, "@"), strings.Index(url, "://")
	if at < 0 || scheme < 0 {
		return url
	}
	return url[:scheme+3] + "***" + url[at:]
}

// Close closes the database; transactions under way fail.
func (db *DB) Close() error {
	if db.stopping != nil {
		db.stopping()
	}
	db.writer.Lock()
	if db.conn != nil {
		db.conn.close()
		db.conn = nil
	}
	db.writer.Unlock()
	return db.closePools()
}

func (db *DB) closePools() error { return errors.Join(db.write.Close(), db.read.Close()) }

// Dialect names the engine: "sqlite" or "postgresql".
func (db *DB) Dialect() string { return db.dialect.name() }

// Readers is how many statements and views are served at a time.
func (db *DB) Readers() int { return db.read.Stats().MaxOpenConnections }

// View runs fn on one consistent snapshot.
func (db *DB) View(ctx context.Context, caller *weft.Caller, fn func(*Tx) error) error {
	sqlTx, err := db.read.BeginTx(ctx, db.dialect.viewOptions())
	if err != nil {
		return fmt.Errorf("beginning a read: %w", db.readFailed(err))
	}
	defer sqlTx.Rollback()
	return fn(&Tx{ctx: ctx, db: db, view: sqlTx, Caller: caller})
}

// Read returns a Tx for single statements, each on the newest snapshot. It needs
// no closing.
func (db *DB) Read(ctx context.Context, caller *weft.Caller) *Tx {
	return &Tx{ctx: context.WithoutCancel(ctx), db: db, Caller: caller}
}

// signal is a broadcast that can be waited for.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func newSignal() *signal { return &signal{ch: make(chan struct{})} }

func (s *signal) broadcast() {
	s.mu.Lock()
	close(s.ch)
	s.ch = make(chan struct{})
	s.mu.Unlock()
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}
