package peer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftnet/weft/internal/peer"
)

const (
	secret  = "s3cret-password"
	request = "req-01234567-89ab-cdef-0123-456789abcdef"
)

// cloud is a Keystone whose tokens last for an hour, and a service in its catalogue
// that takes the newest of them.
type cloud struct {
	t      *testing.T
	server *httptest.Server

	mu     sync.Mutex
	now    time.Time
	logins int
	status int // of every answer of the service, if not 0
	body   string
	asked  []*http.Request
	sent   []map[string]any
	login  map[string]any // the last
}

func newCloud(t *testing.T) *cloud {
	c := &cloud{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	c.server = httptest.NewServer(c)
	t.Cleanup(c.server.Close)
	return c
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var body map[string]any
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			c.t.Error(err)
		}
	}
	if r.URL.Path == "/v3/auth/tokens" {
		c.logins++
		c.login = body
		w.Header().Set("X-Subject-Token", c.token())
		w.WriteHeader(http.StatusCreated)
		// Keystone's clock is a day ahead.
		fmt.Fprintf(w, `{"token": {"issued_at": %q, "expires_at": %q, "catalog": [
			{"type": "network", "endpoints": [{"interface": "public", "region": "one", "region_id": "one", 
				"url": "http://192.0.2.1:9696"}]},
			{"type": "compute", "endpoints": [
				{"interface": "public", "region": "two", "region_id": "two", "url": "http://192.0.2.1:1/"},
				{"interface": "internal", "region": "one", "region_id": "one", "url": "%[3]s/internal/"},
				{"interface": "public", "region": "one", "region_id": "one", "url": "%[3]s/public/"}]}]}}`,
			c.now.Add(24*time.Hour).Format(time.RFC3339), c.now.Add(25*time.Hour).Format(time.RFC3339), c.server.URL)
		return
	}
	c.asked, c.sent = append(c.asked, r), append(c.sent, body)
	w.Header().Set("X-Openstack-Request-Id", "req-of-the-service")
	switch {
	case r.Header.Get("X-Auth-Token") != c.token():
		w.WriteHeader(http.StatusUnauthorized)
	case c.status != 0:
		w.WriteHeader(c.status)
	}
	fmt.Fprint(w, c.body)
}

func (c *cloud) token() string { return fmt.Sprintf("token-%d", c.logins) }

func (c *cloud) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func (c *cloud) session(t *testing.T, change func(*peer.Config)) *peer.Session {
	t.Helper()
	conf := peer.Config{URL: c.server.URL, User: peer.User{Name: "neutron", Password: secret, Domain: "Users",
		Project: "service", ProjectDomainID: "default"},
		Now: func() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }}
	if change != nil {
		change(&conf)
	}
	s, err := peer.NewSession(conf)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func compute(region string, interfaces ...string) peer.Where {
	return peer.Where{Type: "compute", Region: region, Interfaces: interfaces}
}

func TestDo(t *testing.T) {
	c := newCloud(t)
	c.body = `{"events": [{"code": 200}]}`
	nova := c.session(t, nil).Service(compute("one", "public"))
	a, err := nova.Do(t.Context(), peer.Request{Method: http.MethodPost, Path: "/os-server-external-events", Request: request,
		Header: map[string]string{"OpenStack-API-Version": "compute 2.1"}, Body: map[string]any{"events": []string{"one"}}})
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Events []struct{ Code int } }
	if err := a.Decode(&got); err != nil || len(got.Events) != 1 || got.Events[0].Code != 200 || a.Request != "req-of-the-service" {
		t.Errorf("%v, %+v of %s", err, got, a.Request)
	}
	r := c.asked[0]
	for header, want := range map[string]string{"X-Auth-Token": "token-1", "X-Openstack-Request-Id": request,
		"OpenStack-API-Version": "compute 2.1", "Content-Type": "application/json"} {
		if got := r.Header.Get(header); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
	if r.URL.Path != "/public/os-server-external-events" || fmt.Sprint(c.sent[0]) != "map[events:[one]]" {
		t.Errorf("%s %v", r.URL.Path, c.sent[0])
	}
	want := `map[auth:map[identity:map[methods:[password] password:map[user:map[domain:map[name:Users] name:neutron password:` +
		secret +
		`]]] scope:map[project:map[domain:map[id:default] name:service]]]]`
	if got := fmt.Sprint(c.login); got != want {
		t.Errorf("login\n%s, want\n%s", got, want)
	}
}

func TestWhere(t *testing.T) {
	c := newCloud(t)
	s := c.session(t, nil)
	other := compute("none", "public")
	other.URL = c.server.URL + "/override/"
	for _, tt := range []struct {
		where      peer.Where
		path, fail string
	}{
		{compute("one", "internal"), "/internal/x", ""},
		{compute("one", "admin", "public"), "/public/x", ""},
		{compute("", "internal", "public"), "/internal/x", ""},
		{other, "/override/x", ""},
		{compute("two", "internal"), "", "no internal endpoint of type compute in region two"},
		{peer.Where{Type: "placement", Interfaces: []string{"public", "internal"}}, "",
			"no public or internal endpoint of type placement"},
	} {
		c.set(func() { c.asked = nil })
		_, err := s.Service(tt.where).Do(t.Context(), peer.Request{Method: http.MethodGet, Path: "/x"})
		if tt.fail != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("%+v: %v", tt.where, err)
			}
		} else if err != nil || len(c.asked) != 1 || c.asked[0].URL.Path != tt.path {
			t.Errorf("%+v: %v, asked %d", tt.where, err, len(c.asked))
		}
	}
}

// A token serves until shortly before its end by the time that has passed here, or
// until it is refused.
func TestTokens(t *testing.T) {
	c := newCloud(t)
	nova := c.session(t, nil).Service(compute("one", "public"))
	ask := func(logins int, fails bool) {
		t.Helper()
		_, err := nova.Do(t.Context(), peer.Request{Method: http.MethodGet, Path: "/"})
		if c.logins != logins || (err != nil) != fails {
			t.Errorf("%d logins, want %d; %v", c.logins, logins, err)
		}
	}
	ask(1, false)
	c.set(func() { c.now = c.now.Add(58 * time.Minute) })
	ask(1, false)
	c.set(func() { c.now = c.now.Add(time.Minute) })
	ask(2, false)
	c.set(func() { c.logins++ }) // all tokens so far are revoked
	ask(4, false)
	c.set(func() { c.status, c.asked = http.StatusUnauthorized, nil })
	ask(5, true)
	if len(c.asked) != 2 {
		t.Errorf("asked %d times", len(c.asked))
	}
}

func TestErrors(t *testing.T) {
	c := newCloud(t)
	nova := c.session(t, nil).Service(compute("one", "public"))
	for _, tt := range []struct {
		status     int
		body       string
		code, text string
	}{
		{404, `{"itemNotFound": {"code": 404, "message": "No instances\nfound"}}`, "",
			"compute answers GET /x with 404: No instances found (req-of-the-service)"},
		{409, `{"errors": [{"code": "placement.concurrent_update", "detail": "again"}]}`, "placement.concurrent_update",
			"compute answers GET /x with 409: again (req-of-the-service)"},
		{503, `<html>`, "", "compute answers GET /x with 503 (req-of-the-service)"},
		{500, `{"error": {"message": "` + strings.Repeat("é", 1000) + `"}}`, "",
			"compute answers GET /x with 500: " + strings.Repeat("é", 250) + "… (req-of-the-service)"},
		{302, ``, "", "compute answers GET /x with 302 (req-of-the-service)"},
	} {
		c.set(func() { c.status, c.body = tt.status, tt.body })
		_, err := nova.Do(t.Context(), peer.Request{Method: http.MethodGet, Path: "/x?token=no"})
		var e *peer.Error
		if !errors.As(err, &e) || e.Status != tt.status || e.Code != tt.code || e.Error() != tt.text {
			t.Errorf("%d: %v", tt.status, err)
		}
	}
}

// Answers have a bound, waiting has an end, and a token goes to no other host.
func TestBounds(t *testing.T) {
	c := newCloud(t)
	c.body = strings.Repeat(" ", 5<<20)
	get := peer.Request{Method: http.MethodGet, Path: "/x"}
	if _, err := c.session(t, nil).Service(compute("one", "public")).Do(t.Context(), get); err == nil {
		t.Error("an endless answer is read")
	}
	var leaked bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked = true }))
	defer elsewhere.Close()
	gate := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away/x" {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
			return
		}
		<-gate
	}))
	defer slow.Close()
	defer close(gate)
	s := c.session(t, func(c *peer.Config) { c.Timeout = 200 * time.Millisecond })
	if _, err := s.Service(peer.Where{URL: slow.URL}).Do(t.Context(), get); err == nil {
		t.Error("a silent service is waited for")
	}
	if _, err := s.Service(peer.Where{URL: slow.URL + "/away"}).Do(t.Context(), get); err == nil || leaked {
		t.Errorf("%v, token shown elsewhere: %t", err, leaked)
	}
}

// Nothing that goes wrong tells the password.
func TestSecrets(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, secret)
	}))
	defer refusing.Close()
	for _, url := range []string{refusing.URL, "http://127.0.0.1:1", "http://neutron:" + secret + "@127.0.0.1:1"} {
		s, err := peer.NewSession(peer.Config{URL: url, User: peer.User{Name: "neutron", Password: secret}})
		if err == nil {
			_, err = s.Service(compute("")).Do(t.Context(), peer.Request{Method: http.MethodGet})
		}
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
