package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftnet/weft"
)

// judge makes an error of the database that may pass, because it is away, full, busy or
// too slow, a refusal: clients are to try again. Others it leaves as they are.
func (db *DB) judge(err error) error {
	if err == nil || weft.IsKind(err, weft.Unavailable) || !db.dialect.away(err) {
		return err
	}
	return fmt.Errorf("%w: %w", weft.Away(), err)
}

// readFailed judges an error of a reader.
func (db *DB) readFailed(err error) error {
	err = db.judge(err)
	if weft.IsKind(err, weft.Unavailable) {
		db.fails(db.reading, err)
	}
	return err
}

// trouble is whether what was done last has failed because of the database. It is told
// to the log when that begins, now and then while it lasts, and when it ends.
type trouble struct {
	what  string
	on    atomic.Bool
	mu    sync.Mutex
	err   error // nil: all is well
	since time.Time
	told  time.Time
	again chan struct{} // is sent to when trouble begins; nobody need listen
}

func newTrouble(what string) *trouble { return &trouble{what: what, again: make(chan struct{}, 1)} }

// repeat is how often trouble that lasts is told.
const repeat = time.Minute

func (db *DB) fails(t *trouble, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.err == nil {
		t.since, t.told = now, time.Time{}
		select {
		case t.again <- struct{}{}:
		default:
		}
	}
	t.err = err
	t.on.Store(true)
	if now.Sub(t.told) >= repeat {
		t.told = now
		db.log.Error(t.what+" fails", "error", err, "since", t.since.Format(time.TimeOnly))
	}
}

func (db *DB) works(t *trouble) {
	if !t.on.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		t.err = nil
		t.on.Store(false)
		db.log.Info(t.what+" works again", "failed for", time.Since(t.since).Round(time.Millisecond))
	}
}

// Writable is nil, or why the last write failed if no write has succeeded since: the
// database is away, its disk is full, or others hold it. While that is so it is tried
// again every second.
func (db *DB) Writable() error {
	db.writing.mu.Lock()
	defer db.writing.mu.Unlock()
	return db.writing.err
}

// probe finds out when writing works again, so that it need not be a client.
func (db *DB) probe(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-db.writing.again:
		}
		for db.Writable() != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
			// Success and failure are noted where groups are committed.
			db.Update(ctx, weft.SystemCaller("probe"), func(tx *Tx) error { //nolint:errcheck
				return tx.SetSetting("store.probe", tx.Now().Format(time.RFC3339))
			})
		}
	}
}
