package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/fair"
)

// A commit costs more than all else in a transaction, and it costs the same for
// several as for one. So writers that queue up while one commits are committed
// together: each runs in a savepoint of its own, one after the other, sees what those
// before it did, and is undone alone if it fails. Each is acknowledged after the
// common commit. They come in turns, so that whoever brings many long transactions
// waits behind his own.

// job is one call of Update.
type job struct {
	ctx    context.Context
	caller *weft.Caller
	fn     func(*Tx) error

	err      error
	panicked any
	logged   int
	done     chan struct{} // closed when err is final
	lead     chan struct{} // closed when this job's goroutine is to commit the next group
}

// owner is in whose name a job waits, and who asks.
func (j *job) owner() (of, who string) {
	if j.caller == nil {
		return "", ""
	}
	return j.caller.ProjectID, j.caller.UserID
}

// queue is the writers of this process that wait.
type queue struct {
	mu   sync.Mutex
	line fair.Line[*job]
	led  bool // somebody commits, or has been asked to
}

// How long the first of a group waits for the last.
const (
	largestGroup = 64
	longestGroup = 10 * time.Millisecond // then no other is begun
)

// enter reports whether a job is to lead at once; else it waits.
func (q *queue) enter(j *job) (lead bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.led {
		q.led = true
		return true
	}
	of, who := j.owner()
	q.line.Add(of, who, j)
	return false
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.line.Empty()
}

// next takes the job whose turn it is; nil: none waits.
func (q *queue) next() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.nextLocked()
}

func (q *queue) nextLocked() *job {
	j, _ := q.line.Next(func(string) bool { return true })
	return j
}

// takeAll takes all who wait.
func (q *queue) takeAll() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []*job
	for j := q.nextLocked(); j != nil; j = q.nextLocked() {
		all = append(all, j)
	}
	return all
}

// hand passes the lead on to whose turn it is, so that nobody commits for others for
// long.
func (q *queue) hand() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j := q.nextLocked(); j != nil {
		close(j.lead)
	} else {
		q.led = false
	}
}

// Update runs fn in a transaction that may write, and commits it durably when fn
// returns nil. Writers run one at a time. fn must not call Update or View, and may
// run on another goroutine. Once begun, a transaction is not cut short by the end of
// ctx: it is brief, and cutting it would cost the connection.
func (db *DB) Update(ctx context.Context, caller *weft.Caller, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{ctx: context.WithoutCancel(ctx), caller: caller, fn: fn, done: make(chan struct{}), lead: make(chan struct{})}
	if db.queue.enter(j) {
		db.leadGroup(j)
	}
	select {
	case <-j.done:
	case <-j.lead:
		db.leadGroup(j)
	}
	if j.panicked != nil {
		panic(j.panicked)
	}
	return j.err
}

// leadGroup commits one group, of which the leader's own job is the first.
func (db *DB) leadGroup(first *job) {
	group, err := db.commitGroup(first)
	if err != nil {
		// Those who came meanwhile have waited for the same database. To try for them
		// one group after the other would make the last wait for hours.
		for _, j := range db.queue.takeAll() {
			j.err = err
			close(j.done)
		}
	}
	for _, j := range group {
		close(j.done)
	}
	db.queue.hand()
}

// commitGroup returns the group with the outcome of each job in it. The error is that
// no transaction could be begun.
func (db *DB) commitGroup(first *job) (group []*job, unbegun error) {
	db.writer.Lock()
	defer db.writer.Unlock()
	group = []*job{first}
	w, unbegun := db.begin(first.ctx)
	err := unbegun
	if err == nil {
		group, err = db.transact(w, first)
	}
	db.settle(group, err)
	if w != nil && w.broken != nil {
		db.discard()
	}
	return group, db.judge(unbegun)
}

// settle gives each job of a group that has ended with err its outcome, and tells who
// wants to know of changes and of trouble.
func (db *DB) settle(group []*job, err error) {
	logged, succeeded := 0, 0
	var trouble error
	for _, j := range group {
		if j.err == nil {
			j.err = err
		}
		if j.err != nil && db.dialect.away(j.err) {
			j.err = db.judge(j.err)
			trouble = j.err
		}
		if j.err == nil {
			logged += j.logged
			succeeded++
		}
	}
	if logged > 0 {
		db.head.broadcast()
	}
	switch {
	case trouble != nil:
		db.fails(db.writing, trouble)
	case succeeded > 0:
		db.works(db.writing)
	}
}

// begin begins a transaction and takes the writer lock. Nothing has been done before
// it, so a connection that turns out to have ended meanwhile is replaced, once and
// unnoticed. After a wait it is not: those who wait have waited enough.
func (db *DB) begin(ctx context.Context) (*writer, error) {
	start := time.Now()
	w, err := db.tryBegin(ctx)
	if err != nil && db.dialect.away(err) && time.Since(start) < db.patience/10 {
		return db.tryBegin(ctx)
	}
	return w, err
}

func (db *DB) tryBegin(ctx context.Context) (*writer, error) {
	w, err := db.writerConn(ctx)
	if err != nil {
		return nil, err
	}
	if err = w.control(ctx, db.dialect.begin()); err != nil {
		err = fmt.Errorf("beginning a transaction: %w", err)
	} else if err = db.dialect.lockWriter(&Tx{ctx: ctx, db: db, writer: w}); err != nil {
		w.control(ctx, "ROLLBACK")
		err = fmt.Errorf("waiting for the writer lock: %w", err)
	}
	if err == nil {
		return w, nil
	}
	if w.broken != nil {
		db.discard()
	}
	return nil, err
}

// transact runs a group between begin and commit: the first job and those that wait.
// The error is that of the whole group; those of single jobs are in the jobs.
func (db *DB) transact(w *writer, first *job) (group []*job, err error) {
	begun, shared := time.Now(), !db.queue.empty()
	succeeded, logged := 0, 0
	for j := first; j != nil; j = db.following(group, shared, begun) {
		group = append(group, j)
		if j.err = db.runJob(w, j, shared); j.err == nil {
			succeeded++
			logged += j.logged
		}
		if broken := w.broken; broken != nil {
			w.control(first.ctx, "ROLLBACK")
			return group, fmt.Errorf("the connection to the database broke: %w", broken)
		}
	}
	if succeeded == 0 {
		w.control(first.ctx, "ROLLBACK")
		return group, nil
	}
	return group, db.finish(first.ctx, w, logged > 0)
}

// following is who comes next in a group; nil: it has lasted long enough, or nobody waits.
func (db *DB) following(group []*job, shared bool, begun time.Time) *job {
	if !shared || len(group) == largestGroup || time.Since(begun) > longestGroup {
		return nil
	}
	return db.queue.next()
}

// finish announces what a transaction changed, and commits it.
func (db *DB) finish(ctx context.Context, w *writer, changed bool) error {
	if changed {
		if err := db.dialect.notify(&Tx{ctx: ctx, db: db, writer: w}); err != nil {
			w.control(ctx, "ROLLBACK")
			return fmt.Errorf("announcing the change: %w", err)
		}
	}
	if err := w.control(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// runJob runs one job; with others in the group, in a savepoint, so that its failure
// undoes nothing but itself.
func (db *DB) runJob(w *writer, j *job, shared bool) (err error) {
	if shared {
		if err := w.control(j.ctx, "SAVEPOINT job"); err != nil {
			return fmt.Errorf("beginning a transaction: %w", err)
		}
	}
	tx := &Tx{ctx: j.ctx, db: db, writer: w, Caller: j.caller, loaded: map[string][]byte{}}
	if err = j.call(tx); err == nil {
		j.logged = tx.logged
	}
	if !shared {
		return err
	}
	if err != nil {
		if undo := w.control(j.ctx, "ROLLBACK TO SAVEPOINT job"); undo != nil {
			return fmt.Errorf("undoing after %w: %w", err, undo)
		}
	}
	if release := w.control(j.ctx, "RELEASE SAVEPOINT job"); release != nil {
		return release
	}
	return err
}

// call runs fn, and keeps a panic for the goroutine that asked.
func (j *job) call(tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			j.panicked, err = p, fmt.Errorf("panic: %v", p)
		}
	}()
	return j.fn(tx)
}
