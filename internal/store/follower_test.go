package store_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

func follow(t *testing.T, db *store.DB, c store.FollowerConfig) *store.Follower {
	t.Helper()
	f, err := db.Follow(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// leading does something as the leader, who then resigns.
func leading(t *testing.T, f *store.Follower, do func(context.Context, *store.Leader) error) {
	t.Helper()
	if err := f.Lead(t.Context(), do); err != nil {
		t.Fatal(err)
	}
}

// A follower begins with what comes after it, and goes on where it was, whoever leads it.
func TestFollowerPosition(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		grow(t, db, 3, 10)
		f := follow(t, db, store.FollowerConfig{Name: "test", Holder: "a", Nouns: []string{"ports", "networks"}})
		grow(t, db, 5, 10)
		leading(t, f, func(ctx context.Context, l *store.Leader) error {
			got, err := l.Next(ctx, l.Position, 4)
			if err != nil || len(got) != 4 || got[0].Seq != 4 || got[0].After == nil {
				t.Errorf("%v, %+v", err, got)
			}
			return l.Store(ctx, 7)
		})
		f = follow(t, db, store.FollowerConfig{Name: "test", Holder: "b", Nouns: []string{"ports"}})
		leading(t, f, func(ctx context.Context, l *store.Leader) error {
			got, err := l.Next(ctx, l.Position, 4)
			if err != nil || len(got) != 1 || got[0].Seq != 8 || got[0].Before != nil || got[0].After != nil || got[0].Noun != "networks" {
				t.Errorf("%v, %+v", err, got)
			}
			if err := l.Store(ctx, 6); err != nil { // there is no way back
				return err
			}
			failed := errors.New("failed")
			if err := db.Update(ctx, admin(), func(tx *store.Tx) error {
				return errors.Join(l.StoreIn(tx, 8),
					failed)
			}); !errors.Is(err, failed) {
				t.Error(err)
			}
			return nil
		})
		leading(t, f, func(_ context.Context, l *store.Leader) error {
			if l.Position != 7 {
				t.Errorf("at %d", l.Position)
			}
			return nil
		})
	})
}

// What a follower has still to read is kept, within a limit; and no longer for one that
// nobody has been since the log was young.
func TestFollowerKeepsTheLog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		f := follow(t, db, store.FollowerConfig{Name: "test", Holder: "a"})
		grow(t, db, 100, 1000)
		trim := func(k store.Keep) (left int, first int64) {
			t.Helper()
			if _, err := db.TrimChanges(t.Context(), k); err != nil {
				t.Fatal(err)
			}
			all, err := db.Read(t.Context(), nil).Changes(0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			return len(all), all[0].Seq
		}
		if left, _ := trim(store.Keep{Age: time.Hour, Bytes: 10 << 10, Unread: 1 << 30}); left != 100 {
			t.Errorf("%d entries are left", left)
		}
		left, first := trim(store.Keep{Age: time.Hour, Bytes: 10 << 10, Unread: 100 << 10})
		if left < 30 || left > 60 {
			t.Errorf("of too many %d entries are left", left)
		}
		leading(t, f, func(ctx context.Context, l *store.Leader) error {
			var missed *store.MissedError
			if _, err := l.Next(ctx, l.Position, 10); !errors.As(err, &missed) || missed.From != 1 || missed.To != first-1 {
				t.Errorf("%v; the first is %d", err, first)
			}
			return l.Store(ctx, 90)
		})
		if left, first := trim(store.Keep{Age: time.Hour, Bytes: 1, Unread: 1 << 30}); left != 10 || first != 91 {
			t.Errorf("what is read: %d entries are left from %d on", left, first)
		}
		if left, _ := trim(store.Keep{Age: -time.Hour, Bytes: 1 << 30, Unread: 1 << 30}); left != 1 {
			t.Errorf("for a follower that is no more %d entries are left", left)
		}
		grow(t, db, 5, 10)
		leading(t, follow(t, db, store.FollowerConfig{Name: "test", Holder: "a"}), func(_ context.Context, l *store.Leader) error {
			if l.Position != 105 {
				t.Errorf("one that comes back is at %d", l.Position)
			}
			return nil
		})
	})
}

// Of several servers one leads. Another takes over when it resigns, and when it says
// nothing; then it can record nothing any more.
func TestFollowerLeads(t *testing.T) {
	url := storetest.PostgreSQL(t)
	one, two := storetest.Open(t, url), storetest.Open(t, url)
	const lease = 2 * time.Second
	a := follow(t, one, store.FollowerConfig{Name: "test", Holder: "a", Lease: lease})
	b := follow(t, two, store.FollowerConfig{Name: "test", Holder: "b", Lease: lease})
	var leaders atomic.Int32
	begun := make(chan string, 10)
	lead := func(ctx context.Context, name string, f *store.Follower) chan error {
		done := make(chan error, 1)
		go func() {
			done <- f.Lead(ctx, func(ctx context.Context, l *store.Leader) error {
				if leaders.Add(1) != 1 {
					t.Error("two lead")
				}
				begun <- name
				<-ctx.Done()
				leaders.Add(-1)
				return ctx.Err()
			})
		}()
		return done
	}
	ctxA, stopA := context.WithCancel(t.Context())
	doneA := lead(ctxA, "a", a)
	if <-begun != "a" {
		t.Fatal("not a")
	}
	ctxB, stopB := context.WithCancel(t.Context())
	doneB := lead(ctxB, "b", b)
	select {
	case name := <-begun:
		t.Fatalf("%s leads while a lives", name)
	case <-time.After(2 * lease):
	}
	stopA()
	if err := <-doneA; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if <-begun != "b" {
		t.Error("b does not take over")
	}
	stopB()
	<-doneB
	ctxA, stopA = context.WithCancel(t.Context())
	defer stopA()
	lead(ctxA, "a", a)
	if <-begun != "a" {
		t.Error("a does not take over again")
	}
	one.Close() // it can neither renew the lead nor resign
	lead(t.Context(), "b", b)
	if <-begun != "b" {
		t.Error("b does not take over from one that is cut off")
	}
}

// A server that is back leads at once: what had the lead before was itself.
func TestFollowerComesBack(t *testing.T) {
	url := storetest.PostgreSQL(t)
	db := storetest.Open(t, url)
	ctx, crash := context.WithCancel(t.Context())
	defer crash()
	begun := make(chan *store.Leader)
	go follow(t, db, store.FollowerConfig{Name: "test", Holder: "a", Lease: time.Hour}).Lead(ctx, //nolint:errcheck
		func(ctx context.Context, l *store.Leader) error {
			begun <- l
			<-ctx.Done()
			return nil
		})
	former := <-begun
	again := storetest.Open(t, url)
	leading(t, follow(t, again, store.FollowerConfig{Name: "test", Holder: "a", Lease: time.Hour}),
		func(ctx context.Context, l *store.Leader) error {
			if err := former.Store(ctx, 1); !errors.Is(err, store.ErrDeposed) {
				t.Errorf("its former self: %v", err)
			}
			return l.Store(ctx, 1)
		})
}
