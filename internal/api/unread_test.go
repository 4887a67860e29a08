package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftnet/weft/internal/api"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// lazy is a client that takes nothing of the body of an answer until it is let.
type lazy struct {
	*httptest.ResponseRecorder

	began atomic.Bool
	let   <-chan struct{}
}

func (l *lazy) Write(b []byte) (int, error) {
	l.began.Store(true)
	<-l.let
	return l.ResponseRecorder.Write(b)
}

// heavy makes n ports of project A that have 11 kB each, and returns their ids.
func (w *world) heavy(t *testing.T, n int) []string {
	t.Helper()
	w.make(t, "admin", "quotas/"+projectA, "")
	network := w.make(t, "alice", "networks", `{"network":{"name":"n"}}`)
	var opts []string
	for i := range 40 {
		opts = append(opts, fmt.Sprintf(`{"opt_name":"%d","opt_value":"%s"}`, 100+i, strings.Repeat("x", 250)))
	}
	var ids, bulk []string
	for i := range n {
		bulk = append(bulk, fmt.Sprintf(`{"network_id":"%s","name":"p%d","extra_dhcp_opts":[%s]}`, network, i%7,
			strings.Join(opts, ",")))
		if len(bulk) == 50 || i == n-1 {
			rec := w.do("alice", "POST", "/v2.0/ports", `{"ports":[`+strings.Join(bulk, ",")+`]}`, nil)
			ids, bulk = append(ids, portIDs(t, rec.Body.Bytes())...), nil
		}
	}
	return ids
}

// read begins a request whose answer is not read before let is closed; wait returns
// the answer after that.
func (w *world) read(user, target string, let <-chan struct{}) (l *lazy, wait func() *httptest.ResponseRecorder) {
	l = &lazy{ResponseRecorder: httptest.NewRecorder(), let: let}
	done := make(chan struct{})
	go func() {
		defer close(done)
		rq := httptest.NewRequest("GET", "http://net:9696"+target, nil)
		rq.Header.Set("X-Auth-Token", user)
		w.api.ServeHTTP(l, rq)
	}()
	return l, func() *httptest.ResponseRecorder { <-done; return l.ResponseRecorder }
}

// soon fails the test if something that must not wait for others does.
func soon(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s waits for clients that do not read", what)
	}
}

func portIDs(t *testing.T, body []byte) []string {
	t.Helper()
	var list struct{ Ports []struct{ ID, Name string } }
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatalf("%v in %.200s", err, body)
	}
	ids := make([]string, len(list.Ports))
	for i, p := range list.Ports {
		ids[i] = p.ID
	}
	return ids
}

// Clients that do not read their answers keep nobody from the database.
func TestUnreadAnswers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		made := w.heavy(t, 100)
		let := make(chan struct{})
		free := sync.OnceFunc(func() { close(let) })
		defer free()
		var waits []func() *httptest.ResponseRecorder
		for i := range 40 { // more than there are connections to any database
			l, wait := w.read("alice", []string{"/v2.0/ports", "/v2.0/ports?sort_key=name&sort_dir=desc",
				"/v2.0/ports?limit=90&page_reverse=true"}[i%3], let)
			waits = append(waits, wait)
			for !l.began.Load() {
				time.Sleep(time.Millisecond)
			}
		}
		soon(t, "health", func() {
			if rec := w.do("nobody", "GET", "/healthz", "", nil); rec.Code != http.StatusOK {
				t.Errorf("health: %d %s", rec.Code, rec.Body)
			}
		})
		soon(t, "another's list", func() { w.get(t, "bob", "ports") })
		soon(t, "a write", func() { w.make(t, "bob", "networks", `{"network":{"name":"b"}}`) })
		free()
		slices.Sort(made)
		for i, wait := range waits {
			rec := wait()
			got, want := portIDs(t, rec.Body.Bytes()), made
			slices.Sort(got)
			if i%3 == 2 {
				want = want[10:]
			}
			if rec.Code != http.StatusOK || !slices.Equal(got, want) {
				t.Errorf("answer %d: %d with %d ports of %d", i, rec.Code, len(got), len(want))
			}
		}
	})
}

// A list of which more is unread than is kept goes on where it was: in order, without
// what is gone by then, and without what the caller may no longer see.
func TestLongListGoesOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.heavy(t, 600)
		for _, target := range []string{"/v2.0/ports?sort_key=name&sort_dir=asc",
			"/v2.0/ports?sort_key=name&sort_dir=desc&limit=590&page_reverse=true"} {
			whole := portIDs(t, w.do("alice", "GET", target, "", nil).Body.Bytes())
			let := make(chan struct{})
			l, wait := w.read("alice", target, let)
			for !l.began.Load() {
				time.Sleep(time.Millisecond)
			}
			for api.ListsReading(w.api) > 0 {
				time.Sleep(time.Millisecond)
			}
			last := len(whole) - 1
			if rec := w.do("alice", "DELETE", "/v2.0/ports/"+whole[last], "", nil); rec.Code != http.StatusNoContent {
				t.Fatal(rec.Code, rec.Body)
			}
			close(let)
			if got := portIDs(t, wait().Body.Bytes()); !slices.Equal(got, whole[:last]) {
				t.Errorf("%s: %d ports, not %d, or in another order", target, len(got), last)
			}
		}
	})
}
