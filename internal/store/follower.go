package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/weftnet/weft"
)

// A Follower follows the change log under a name. How far it has come outlives the
// process, and the log keeps what it has still to read, within a limit. Of several
// servers on one database one at a time leads it.
type Follower struct {
	db *DB
	FollowerConfig
}

// FollowerConfig is what a Follower is made of.
type FollowerConfig struct {
	Name string
	// Holder is this server. What comes back under a holder's name leads at once: its
	// former self is gone.
	Holder string
	Nouns  []string      // whose documents it reads; of others it sees entries without
	Lease  time.Duration // after which a leader that says nothing is replaced; 0 is 15 s
}

// Follow makes sure that the log is kept for the follower from now on. One that is new,
// or has not been seen for as long as the log is kept, begins with what is next.
func (db *DB) Follow(ctx context.Context, c FollowerConfig) (*Follower, error) {
	if c.Lease == 0 {
		c.Lease = 15 * time.Second
	}
	f := &Follower{db, c}
	err := db.Update(ctx, f.caller(), func(tx *Tx) error {
		head, err := tx.Head()
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO followers (name, seq, holder, term, beat, seen) VALUES (?, ?, '', 0, 0, ?)
			ON CONFLICT (name) DO UPDATE SET seen = excluded.seen`, c.Name, head, tx.Now().UnixMilli())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("registering the follower %s of the change log: %w", c.Name, err)
	}
	return f, nil
}

func (f *Follower) caller() *weft.Caller { return weft.SystemCaller("follower:" + f.Name) }

// ErrDeposed is what becomes of a leader that another server has replaced.
var ErrDeposed = errors.New("another server leads")

// Lead waits for this server's turn and then does what there is to do, again when it
// has lost the lead and won it back; do is to return soon after the end of its ctx. The
// error is that of do, or of ctx.
func (f *Follower) Lead(ctx context.Context, do func(context.Context, *Leader) error) error {
	for former := f.former; ; {
		l, err := f.win(ctx, former)
		if err != nil {
			return err
		}
		if err := l.run(ctx, do); !errors.Is(err, ErrDeposed) {
			return err
		}
		former = l.last
	}
}

// former is the lead of a process of this server that is no more.
func (f *Follower) former(p post) bool { return p.holder == f.Holder }

// last is the lead that was lost, if nobody has taken it since. The name of the holder
// would not do: a server that was copied has it too.
func (l *Leader) last(p post) bool { return p.term == l.term }

// post is the row of a follower.
type post struct {
	seq        int64
	holder     string
	term, beat int64
}

func (f *Follower) post(tx *Tx) (p post, err error) {
	found, err := tx.QueryRow("SELECT seq, holder, term, beat FROM followers WHERE name = ?", []any{f.Name},
		&p.seq, &p.holder, &p.term, &p.beat)
	if err == nil && !found {
		err = fmt.Errorf("there is no follower %s", f.Name)
	}
	return p, err
}

// win waits until the lead is nobody's or was this server's, or its leader has said
// nothing for the time of the lease, by this server's own clock.
func (f *Follower) win(ctx context.Context, own func(post) bool) (*Leader, error) {
	var last post
	since := time.Now()
	for {
		p, err := f.post(f.db.Read(ctx, nil))
		if err == nil && (p.term != last.term || p.beat != last.beat) {
			last, since = p, time.Now()
		}
		if err == nil && (p.holder == "" || own(p) || !f.db.dialect.shared() || time.Since(since) >= f.Lease) {
			l, err := f.take(ctx, p)
			if err == nil {
				return l, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(f.Lease / 3):
		}
	}
}

// take takes the lead if nobody else has done so meanwhile.
func (f *Follower) take(ctx context.Context, p post) (*Leader, error) {
	l := &Leader{f: f, term: p.term + 1, Position: p.seq}
	err := f.db.Update(ctx, f.caller(), func(tx *Tx) error {
		n, err := tx.Exec(`UPDATE followers SET holder = ?, term = term + 1, beat = beat + 1, seen = ?
			WHERE name = ? AND term = ? AND beat = ?`,
			f.Holder, tx.Now().UnixMilli(), f.Name, p.term, p.beat)
		if err == nil && n == 0 {
			err = ErrDeposed
		}
		return err
	})
	return l, err
}

// Leader is the one server that does a follower's work.
type Leader struct {
	f        *Follower
	term     int64
	Position int64 // the entry of the log up to which all was done when it took the lead
}

// run does the work for as long as the lead is this server's.
func (l *Leader) run(ctx context.Context, do func(context.Context, *Leader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		if err := l.renew(ctx); err != nil {
			cancel(err)
		}
	}()
	err := do(ctx, l)
	if cause := context.Cause(ctx); errors.Is(cause, ErrDeposed) {
		err = cause
	}
	cancel(nil)
	<-renewed
	if !errors.Is(err, ErrDeposed) {
		l.resign(ctx)
	}
	return err
}

// renew tells the other servers that this one is alive, until it finds itself replaced,
// or has to suppose so. Where there are no others it only keeps the log's trimming from
// forgetting the follower.
func (l *Leader) renew(ctx context.Context) error {
	pause := l.f.Lease / 3
	if !l.f.db.dialect.shared() {
		pause = time.Hour
	}
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		err := l.f.db.Update(ctx, l.f.caller(), func(tx *Tx) error { return l.store(tx, 0) })
		switch {
		case err == nil:
			last = time.Now()
		case errors.Is(err, ErrDeposed):
			return err
		case l.f.db.dialect.shared() && time.Since(last) > l.f.Lease*2/3:
			return fmt.Errorf("%w, or soon will: %w", ErrDeposed, err)
		}
	}
}

// resign lets the next take the lead at once.
func (l *Leader) resign(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.f.Lease/3)
	defer cancel()
	l.f.db.Update(ctx, l.f.caller(), func(tx *Tx) error { //nolint:errcheck // else the lease comes to its end
		_, err := tx.Exec("UPDATE followers SET holder = '', beat = beat + 1 WHERE name = ? AND term = ?", l.f.Name, l.term)
		return err
	})
}

// Store records that all is done up to an entry. ErrDeposed: it is no longer this
// server's business.
func (l *Leader) Store(ctx context.Context, seq int64) error {
	return l.f.db.Update(ctx, l.f.caller(), func(tx *Tx) error { return l.StoreIn(tx, seq) })
}

// StoreIn is Store in a transaction that does other things too.
func (l *Leader) StoreIn(tx *Tx, seq int64) error { return l.store(tx, seq) }

func (l *Leader) store(tx *Tx, seq int64) error {
	n, err := tx.Exec(`UPDATE followers SET seq = CASE WHEN seq < ? THEN ? ELSE seq END, beat = beat + 1, seen = ?
		WHERE name = ? AND term = ?`, seq, seq, tx.Now().UnixMilli(), l.f.Name, l.term)
	if err == nil && n == 0 {
		err = ErrDeposed
	}
	return err
}

// MissedError says that entries are gone which a follower has not read.
type MissedError struct{ From, To int64 }

func (e *MissedError) Error() string {
	return fmt.Sprintf("entries %d to %d of the change log are gone", e.From, e.To)
}

// Next returns entries after seq as soon as there are any. If the log does not go back
// so far, because the follower was away for too long, it is a *MissedError.
func (l *Leader) Next(ctx context.Context, seq int64, limit int) ([]Change, error) {
	out, err := l.f.db.waitChanges(ctx, seq, limit, l.f.Nouns)
	if err == nil && !out[0].Follows(seq) {
		return nil, &MissedError{seq + 1, out[0].Seq - 1}
	}
	return out, err
}

// documents is a column of documents, empty for nouns that are not asked for.
func documents(column string, nouns []string) (text string, args []any) {
	if nouns == nil {
		return column, nil
	}
	for _, n := range nouns {
		args = append(args, n)
	}
	return "CASE WHEN noun IN (?" + strings.Repeat(", ?", len(nouns)-1) + ") THEN " + column + " ELSE '' END", args
}

// unread is the entry up to which every follower has read. Followers that were not seen
// since then are forgotten, so that one that no configuration has any more does not
// keep the log.
func (tx *Tx) unread(since int64) (int64, error) {
	if _, err := tx.Exec("DELETE FROM followers WHERE seen < ?", since); err != nil {
		return 0, err
	}
	seq := int64(math.MaxInt64)
	_, err := tx.QueryRow("SELECT COALESCE(MIN(seq), ?) FROM followers", []any{seq}, &seq)
	return seq, err
}
