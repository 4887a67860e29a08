package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/weftnet/weft"
)

// trail is what this process knows of the size of the change log.
type trail struct {
	appended atomic.Int64 // bytes of documents, since the start
	checked  atomic.Int64 // appended, when the log was last measured
	bytes    atomic.Int64 // of documents, when it was
}

// LogBytes is about how many bytes the documents in the change log have; 0 until
// TrimChanges has looked.
func (db *DB) LogBytes() int64 {
	t := &db.trail
	if t.bytes.Load() == 0 {
		return 0
	}
	return t.bytes.Load() + t.appended.Load() - t.checked.Load()
}

// LogGrown is how many bytes of documents this process has added to the change log
// since TrimChanges last looked.
func (db *DB) LogGrown() int64 { return db.trail.appended.Load() - db.trail.checked.Load() }

// Trimmed is what TrimChanges has forgotten.
type Trimmed struct {
	Entries int
	Bytes   int64 // of documents
}

// What TrimChanges removes in one transaction, for which others wait.
const (
	trimEntries = 500
	trimBytes   = 4 << 20
)

// Keep is how much of the change log is kept.
type Keep struct {
	Age    time.Duration
	Bytes  int64 // of documents
	Unread int64 // and of those that a follower has still to read, however old they are
}

// TrimChanges forgets the entries of the change log that are older than the age, and the
// oldest of those whose documents have together more than so many bytes; never the
// newest one, from which the numbers go on. The space is given back.
func (db *DB) TrimChanges(ctx context.Context, want Keep) (Trimmed, error) {
	db.trail.checked.Store(db.trail.appended.Load())
	keep, size, err := db.keepFrom(ctx, want)
	if err != nil {
		return Trimmed{}, fmt.Errorf("measuring the change log: %w", err)
	}
	db.trail.bytes.Store(max(size, 1))
	var all Trimmed
	for {
		part, err := db.trimSome(ctx, keep)
		if err != nil {
			return all, fmt.Errorf("trimming the change log: %w", err)
		}
		if part.Entries == 0 {
			break
		}
		all.Entries += part.Entries
		all.Bytes += part.Bytes
	}
	if err := db.dialect.giveBack(ctx, db); err != nil {
		return all, fmt.Errorf("giving space back: %w", err)
	}
	return all, nil
}

// sized is the size of an entry. It is in the header of the row: no document is read.
const sized = "OCTET_LENGTH(before) + OCTET_LENGTH(after)"

// keepFrom is the number of the oldest entry to be kept, and how many bytes those have
// that are.
func (db *DB) keepFrom(ctx context.Context, want Keep) (keep, size int64, err error) {
	since := db.now().Add(-want.Age).UnixMilli()
	var read int64
	err = db.Update(ctx, weft.SystemCaller("trim"), func(tx *Tx) (err error) {
		read, err = tx.unread(since)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	err = db.Read(ctx, nil).Query("SELECT seq, at, "+sized+" FROM changes ORDER BY seq DESC", nil,
		func(scan func(...any) error) error {
			var seq, at, n int64
			if err := scan(&seq, &at, &n); err != nil {
				return err
			}
			needed := seq > read && size+n <= want.Unread
			if keep != 0 && !needed && (size+n > want.Bytes || at < since) {
				return errEnough
			}
			keep, size = seq, size+n
			return nil
		})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return keep, size, err
}

// trimSome removes some of the entries before the one that is kept, the oldest first.
func (db *DB) trimSome(ctx context.Context, keep int64) (Trimmed, error) {
	var some Trimmed
	err := db.Update(ctx, weft.SystemCaller("trim"), func(tx *Tx) error {
		some = Trimmed{}
		last := int64(0)
		err := tx.Query("SELECT seq, "+sized+" FROM changes WHERE seq < ? ORDER BY seq LIMIT ?", []any{keep, trimEntries},
			func(scan func(...any) error) error {
				var n int64
				if some.Bytes > trimBytes {
					return errEnough
				}
				err := scan(&last, &n)
				some.Entries++
				some.Bytes += n
				return err
			})
		if err != nil && !errors.Is(err, errEnough) || some.Entries == 0 {
			return err
		}
		_, err = tx.Exec("DELETE FROM changes WHERE seq <= ?", last)
		return err
	})
	return some, err
}
