package store

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/weftnet/weft"
)

// The kinds of change.
const (
	OpCreate = "create"
	OpUpdate = "update"
	OpDelete = "delete"
)

// Change is an entry of the change log. Numbers have no gaps that fill later: who
// has read up to Seq has missed nothing before it.
type Change struct {
	Seq       int64
	At        time.Time
	Noun      string // the table: "ports"
	Op        string
	ID        string
	ProjectID string
	Revision  int64
	UserID    string
	RequestID string
	Before    []byte // documents; nil before a create and after a delete
	After     []byte
}

// append writes to the change log. The number is taken under the writer lock.
func (tx *Tx) append(noun, op string, m *weft.Meta, before, after []byte) error {
	c := tx.Caller
	_, err := tx.Exec(`INSERT INTO changes (seq, at, noun, op, id, project_id, revision, user_id, request_id, before, after)
		VALUES ((SELECT COALESCE(MAX(seq), 0) + 1 FROM changes), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		tx.Now().UnixMilli(), noun, op, m.ID, m.ProjectID, m.Revision, c.UserID, c.RequestID, string(before), string(after))
	if err == nil {
		tx.logged++
		tx.db.trail.appended.Add(int64(len(before) + len(after)))
	}
	return err
}

// Head is the number of the newest entry of the change log that tx sees.
func (tx *Tx) Head() (int64, error) {
	var seq int64
	_, err := tx.QueryRow("SELECT COALESCE(MAX(seq), 0) FROM changes", nil, &seq)
	return seq, err
}

// Changes returns up to limit entries after seq, oldest first.
func (tx *Tx) Changes(seq int64, limit int) ([]Change, error) {
	return tx.changes(seq, limit, math.MaxInt, nil)
}

// manyBytes are those of documents that WaitChanges returns at once.
const manyBytes = 4 << 20

var errEnough = errors.New("enough")

// changes is Changes that ends early with the entry that exceeds the bytes, and leaves
// the documents of nouns away that are not asked for; nil is all.
func (tx *Tx) changes(seq int64, limit, bytes int, nouns []string) ([]Change, error) {
	var out []Change
	first, args := documents("before", nouns)
	second, more := documents("after", nouns)
	args = append(append(args, more...), seq, limit)
	err := tx.Query("SELECT seq, at, noun, op, id, project_id, revision, user_id, request_id, "+first+", "+second+`
		FROM changes WHERE seq > ? ORDER BY seq LIMIT ?`, args, func(scan func(...any) error) error {
		var c Change
		var at int64
		var before, after string
		err := scan(&c.Seq, &at, &c.Noun, &c.Op, &c.ID, &c.ProjectID, &c.Revision, &c.UserID, &c.RequestID, &before, &after)
		c.At = time.UnixMilli(at).UTC()
		if before != "" {
			c.Before = []byte(before)
		}
		if after != "" {
			c.After = []byte(after)
		}
		out = append(out, c)
		if bytes -= len(before) + len(after); err == nil && bytes < 0 {
			return errEnough
		}
		return err
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}

// WaitChanges returns entries after seq as soon as there are any, or the error of
// ctx.
func (db *DB) WaitChanges(ctx context.Context, seq int64, limit int) ([]Change, error) {
	return db.waitChanges(ctx, seq, limit, nil)
}

func (db *DB) waitChanges(ctx context.Context, seq int64, limit int, nouns []string) ([]Change, error) {
	for {
		woken := db.head.wait() // before looking, so that nothing falls between
		out, err := db.Read(ctx, nil).changes(seq, limit, manyBytes, nouns)
		if err != nil || len(out) > 0 {
			return out, err
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// glance is how often at most WaitNoun looks: what comes in bursts is seen once.
const glance = 250 * time.Millisecond

// WaitNoun returns, as soon as there is an entry about a noun after seq, a number that
// is not less than its; or the error of ctx. It is for who then looks at all there is.
func (db *DB) WaitNoun(ctx context.Context, noun string, seq int64) (int64, error) {
	for {
		woken := db.head.wait()
		tx := db.Read(ctx, nil)
		head, err := tx.Head()
		if err != nil {
			return seq, err
		}
		found, err := tx.Exists("SELECT 1 FROM changes WHERE seq > ? AND seq <= ? AND noun = ?", seq, head, noun)
		if err != nil || found {
			return head, err
		}
		seq = head
		for _, c := range []<-chan struct{}{woken, after(glance)} {
			select {
			case <-c:
			case <-ctx.Done():
				return seq, ctx.Err()
			}
		}
	}
}

func after(d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(d, func() { close(c) })
	return c
}

// A reader that finds the entry after its position gone, because the log was trimmed
// meanwhile, sees it by the numbers: Follows is false of the first that there is.

// Follows reports whether the entry is the next after seq.
func (c Change) Follows(seq int64) bool { return c.Seq == seq+1 }
