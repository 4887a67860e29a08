package store_test

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// wire stands between weft and a PostgreSQL, and can go silent: it takes what is sent,
// passes nothing on and closes nothing, as a network does that has lost the way.
type wire struct {
	t    *testing.T
	url  string
	to   string
	mu   sync.Mutex
	cond *sync.Cond
	mute bool
}

func newWire(t *testing.T, url string) *wire {
	t.Helper()
	before, rest, _ := strings.Cut(url, "?host=")
	dir, user, _ := strings.Cut(rest, "&")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &wire{t: t, to: filepath.Join(dir, ".s.PGSQL.5432")}
	w.cond = sync.NewCond(&w.mu)
	w.url = strings.Replace(before, "///", "//"+l.Addr().String()+"/", 1) + "?sslmode=disable&" + user
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(c)
		}
	}()
	return w
}

func (w *wire) carry(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("unix", w.to)
	if err != nil {
		return
	}
	defer s.Close()
	go w.pass(c, s)
	w.pass(s, c)
}

// pass passes on what is said while the wire is not silent.
func (w *wire) pass(to io.Writer, from io.Reader) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		w.mu.Lock()
		for w.mute {
			w.cond.Wait()
		}
		w.mu.Unlock()
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (w *wire) silent(mute bool) {
	w.mu.Lock()
	w.mute = mute
	w.cond.Broadcast()
	w.mu.Unlock()
}

// A connection that goes silent holds nobody for longer than the deadline, and when
// there is a way again everything goes on: writes, reads, and hearing of others.
func TestSilence(t *testing.T) {
	w := newWire(t, storetest.PostgreSQL(t))
	t.Cleanup(func() { w.silent(false) })
	const patience = 3 * time.Second
	far, err := store.Open(t.Context(), w.url, store.Options{Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near := storetest.Open(t, direct(w))
	insert := func(db *store.DB) error {
		return db.Update(t.Context(), admin(), func(tx *store.Tx) error { return store.Networks.Insert(tx, network("n", "p1")) })
	}
	if err := insert(far); err != nil {
		t.Fatal(err)
	}
	w.silent(true)
	var writers sync.WaitGroup
	start := time.Now()
	for range 200 { // more than one group
		writers.Go(func() {
			if err := insert(far); !weft.IsKind(err, weft.Unavailable) {
				t.Errorf("a write on a silent connection: %v", err)
			}
		})
	}
	_, err = far.Read(t.Context(), nil).Head()
	if !weft.IsKind(err, weft.Unavailable) {
		t.Errorf("a read on a silent connection: %v", err)
	}
	writers.Wait()
	if took := time.Since(start); took > 10*patience {
		t.Errorf("writers were held for %s", took)
	}
	if far.Writable() == nil {
		t.Error("nobody knows that writing fails")
	}
	if err := insert(near); err != nil {
		t.Errorf("another server is kept from writing: %v", err)
	}
	head, err := near.Read(t.Context(), nil).Head()
	if err != nil {
		t.Fatal(err)
	}
	w.silent(false)
	recovered(t, "writing", func() bool { return insert(far) == nil })
	recovered(t, "the knowledge of it", func() bool { return far.Writable() == nil })
	// What others write is heard again, though nothing is written here.
	heard := make(chan error, 1)
	go func() {
		for {
			list, err := far.WaitChanges(t.Context(), head, 100)
			if err == nil && len(list) > 0 {
				head = list[len(list)-1].Seq
				for _, c := range list {
					if strings.Contains(string(c.After), `"late"`) {
						heard <- nil
						return
					}
				}
			}
		}
	}()
	err = near.Update(t.Context(), admin(), func(tx *store.Tx) error { return store.Networks.Insert(tx, network("late", "p1")) })
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-heard:
	case <-time.After(time.Minute):
		t.Error("what another server writes is not heard any more")
	}
}

// direct is the URL of the database without the wire.
func direct(w *wire) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(w.url, "postgresql://"), "/")
	name, _, _ := strings.Cut(rest, "?")
	return "postgresql:///" + name + "?host=" + filepath.Dir(w.to) + "&user=weft"
}

func recovered(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s has not recovered", what)
		}
	}
}
