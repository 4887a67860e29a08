package nova

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/peer"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// compute is a Nova that remembers what it was told, and a Keystone that lets in.
type compute struct {
	t      *testing.T
	server *httptest.Server
	took   chan struct{} // gets something with each message, if there is room

	mu      sync.Mutex
	answer  func(events []event) (status int, body string) // nil: as Nova does
	heard   []event
	refused int // messages that were not taken
}

func newCompute(t *testing.T) *compute {
	c := &compute{t: t, took: make(chan struct{}, 1)}
	c.server = httptest.NewServer(c)
	t.Cleanup(c.server.Close)
	return c
}

func (c *compute) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v3/auth/tokens" {
		w.Header().Set("X-Subject-Token", "token")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"token": {}}`)
		return
	}
	var body struct{ Events []event }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.Path != "/v2.1/os-server-external-events" {
		c.t.Errorf("%s: %v", r.URL.Path, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answer != nil {
		if status, text := c.answer(body.Events); status != 0 {
			c.refused++
			w.WriteHeader(status)
			fmt.Fprint(w, text)
			return
		}
	}
	c.heard = append(c.heard, body.Events...)
	select {
	case c.took <- struct{}{}:
	default:
	}
	fmt.Fprint(w, `{"events": []}`)
}

func (c *compute) set(answer func([]event) (int, string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

func (c *compute) service(t *testing.T, timeout time.Duration) *peer.Service {
	t.Helper()
	s, err := peer.NewSession(peer.Config{URL: c.server.URL, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return s.Service(peer.Where{Type: "compute", URL: c.server.URL + "/v2.1"})
}

// until waits until the events that were heard are as they should be.
func (c *compute) until(what string, ok func(heard []event) bool) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		c.mu.Lock()
		heard := slices.Clone(c.heard)
		c.mu.Unlock()
		if ok(heard) {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: heard %s", what, told(heard))
		}
		select {
		case <-c.took:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// start runs a notifier until it is stopped.
func start(t *testing.T, db *store.DB, nova Service, log *slog.Logger) (n *Notifier, stop func()) {
	t.Helper()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	n, err := New(t.Context(), Config{Log: log, DB: db, Nova: nova, Server: "s", Statuses: true, Data: true,
		Interval: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return n, stop
}

// servers are ports of servers that change.
type servers struct {
	t     *testing.T
	db    *store.DB
	ports []*weft.Port
	want  map[string][]event // by port, what Nova has to be told
}

func newServers(t *testing.T, db *store.DB, n int) *servers {
	s := &servers{t: t, db: db, want: map[string][]event{}}
	s.write(func(tx *store.Tx) error {
		network := &weft.Network{}
		if err := store.Networks.Insert(tx, network); err != nil {
			return err
		}
		for i := range n {
			p := &weft.Port{NetworkID: network.ID, Status: weft.StatusDown, DeviceOwner: "compute:nova", DeviceID: uuid.NewString(),
				MAC: weft.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}}
			if err := store.Ports.Insert(tx, p); err != nil {
				return err
			}
			s.ports = append(s.ports, p)
		}
		return nil
	})
	return s
}

func (s *servers) write(fn func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Update(context.Background(), &weft.Caller{Roles: []string{"admin"}}, fn); err != nil {
		s.t.Fatal(err)
	}
}

// flip wires a port, or unwires it.
func (s *servers) flip(i int) {
	s.t.Helper()
	s.write(func(tx *store.Tx) error {
		p, err := store.Ports.Get(tx, s.ports[i].ID)
		if err != nil {
			return err
		}
		before := p.Status
		p.Status = map[string]string{"DOWN": "ACTIVE", "ACTIVE": "DOWN"}[before]
		s.want[p.ID] = append(s.want[p.ID], about(p, true, ofStatus(before, p.Status))...)
		return store.Ports.Update(tx, p)
	})
}

// complete reports whether all was heard, in order for each port; what was heard again
// after an interruption does no harm.
func (s *servers) complete(heard []event) bool {
	for id, want := range s.want {
		var last event
		for _, e := range heard {
			if e.Tag != id {
				continue
			}
			last = e
			if len(want) > 0 && e == want[0] {
				want = want[1:]
			}
		}
		if len(want) > 0 || last != s.want[id][len(s.want[id])-1] {
			return false
		}
	}
	return true
}

// While Nova is away, ill or silent nobody waits for it, and when it is back it is told
// all, in order for each port. The log says so once.
func TestNovaIsAway(t *testing.T) {
	for name, answer := range map[string]func([]event) (int, string){
		"unavailable": func([]event) (int, string) { return http.StatusServiceUnavailable, "" },
		"ill": func([]event) (int, string) {
			return http.StatusInternalServerError, `{"computeFault": {"message": "no"}}`
		},
		"not there": func([]event) (int, string) { return http.StatusNotFound, "<html>" },
		"forbidden": func([]event) (int, string) { return http.StatusForbidden, `{"forbidden": {"message": "no"}}` },
		"nonsense":  func([]event) (int, string) { return http.StatusOK, "<html>" },
	} {
		t.Run(name, func(t *testing.T) {
			db, c := storetest.DB(t), newCompute(t)
			var log bytes.Buffer
			n, stop := start(t, db, c.service(t, 0), slog.New(slog.NewTextHandler(&log, nil)))
			c.set(answer)
			s := newServers(t, db, 5)
			for range 10 {
				for i := range s.ports {
					s.flip(i)
				}
			}
			for c.refusals() < 3 {
				time.Sleep(10 * time.Millisecond)
			}
			if st := n.Status(); st.Failing == nil || !st.Leads || st.Waiting == 0 {
				t.Errorf("%+v", st)
			}
			c.set(nil)
			c.until("back", s.complete)
			for n.Status().Waiting > 0 {
				time.Sleep(time.Millisecond)
			}
			if st := n.Status(); st.Failing != nil || st.Told < 50 {
				t.Errorf("%+v", st)
			}
			stop()
			if got := strings.Count(log.String(), "level=WARN"); got != 1 {
				t.Errorf("%d warnings:\n%s", got, &log)
			}
		})
	}
}

func (c *compute) refusals() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

// A Nova that does not answer in time is asked again.
func TestNovaIsSilent(t *testing.T) {
	db, c := storetest.DB(t), newCompute(t)
	gate := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
			c.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	session, err := peer.NewSession(peer.Config{URL: c.server.URL, Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := start(t, db, session.Service(peer.Where{URL: slow.URL + "/v2.1"}), nil)
	s := newServers(t, db, 1)
	s.flip(0)
	for n.Status().Failing == nil {
		time.Sleep(time.Millisecond)
	}
	s.flip(0)
	close(gate)
	c.until("back", s.complete)
}

// What Nova knows nothing of is forgotten, and what it refuses holds up nothing else.
func TestNovaRefuses(t *testing.T) {
	db, c := storetest.DB(t), newCompute(t)
	start(t, db, c.service(t, 0), nil)
	s := newServers(t, db, 8)
	bad := s.ports[3].ID
	c.set(func(events []event) (int, string) {
		if slices.ContainsFunc(events, func(e event) bool { return e.Tag == bad }) {
			return http.StatusBadRequest, `{"badRequest": {"message": "no"}}`
		}
		return 0, ""
	})
	for i := range s.ports {
		s.flip(i)
	}
	delete(s.want, bad)
	c.until("one refused", s.complete)
	c.set(func([]event) (int, string) {
		return http.StatusNotFound, `{"itemNotFound": {"message": "No instances found for any event"}}`
	})
	before := c.refusals()
	s.flip(3)
	for c.refusals() == before {
		time.Sleep(time.Millisecond)
	}
	c.set(nil)
	s.want = map[string][]event{}
	s.flip(5)
	c.until("after unknown ones", s.complete)
}

// crashing is a Nova before which weft ends at random: before it has asked, or when
// Nova has taken what it said and weft has not heard so.
type crashing struct {
	Service
	end func()
}

func (c crashing) Do(ctx context.Context, r peer.Request) (*peer.Answer, error) {
	switch rand.IntN(3) {
	case 0:
		c.end()
		return nil, context.Canceled
	case 1:
		if _, err := c.Service.Do(ctx, r); err != nil {
			return nil, err
		}
		c.end()
		return nil, context.Canceled
	}
	return c.Service.Do(ctx, r)
}

// Wherever weft ends, the next one tells what it has not.
func TestNothingIsLost(t *testing.T) {
	db, c := storetest.DB(t), newCompute(t)
	s := newServers(t, db, 4)
	if _, err := New(t.Context(), Config{DB: db, Server: "s"}); err != nil { // from here on
		t.Fatal(err)
	}
	for range 20 {
		ctx, end := context.WithCancel(t.Context())
		n, err := New(ctx, Config{Log: slog.New(slog.DiscardHandler), DB: db, Nova: crashing{c.service(t, 0), end}, Server: "s",
			Statuses: true, Data: true, Interval: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if err := n.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		for alive := true; alive; {
			s.flip(rand.IntN(len(s.ports)))
			select {
			case <-ended:
				alive = false
			case <-time.After(time.Duration(rand.IntN(20)) * time.Millisecond):
			}
		}
	}
	start(t, db, c.service(t, 0), nil)
	c.until("at the end", s.complete)
}

// When the log does not go back far enough, Nova is told of all ports as they are.
func TestLogIsGone(t *testing.T) {
	db, c := storetest.DB(t), newCompute(t)
	n, stop := start(t, db, c.service(t, 0), nil)
	for !n.Status().Leads {
		time.Sleep(time.Millisecond)
	}
	stop()
	s := newServers(t, db, 3)
	s.flip(1)
	s.write(func(tx *store.Tx) error {
		return store.Ports.Insert(tx, &weft.Port{NetworkID: s.ports[0].NetworkID, DeviceOwner: "network:dhcp",
			DeviceID: uuid.NewString()})
	})
	if _, err := db.TrimChanges(t.Context(), store.Keep{Age: time.Hour}); err != nil {
		t.Fatal(err)
	}
	start(t, db, c.service(t, 0), nil)
	for _, p := range s.ports {
		p, err := store.Ports.Get(db.Read(t.Context(), nil), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		s.want[p.ID] = append(about(p, true, event{Name: changed}), about(p, true, ofStatus("", p.Status))...)
	}
	c.until("all", s.complete)
	s.flip(2)
	c.until("and what comes after", s.complete)
	if len(c.heard) != 5 {
		t.Errorf("heard %s", told(c.heard))
	}
}

// Where many other things happen, what is to be told is told all the same.
func TestAmongOthers(t *testing.T) {
	db, c := storetest.DB(t), newCompute(t)
	start(t, db, c.service(t, 0), nil)
	s := newServers(t, db, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var noise sync.WaitGroup
	for range 4 {
		noise.Go(func() {
			for ctx.Err() == nil {
				s.write(func(tx *store.Tx) error { return store.Networks.Insert(tx, &weft.Network{}) })
			}
		})
	}
	for range 5 {
		s.flip(0)
		c.until("among others", s.complete)
	}
	cancel()
	noise.Wait()
}
