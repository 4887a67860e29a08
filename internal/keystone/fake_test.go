package keystone_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/weftnet/weft/internal/keystone"
	"github.com/weftnet/weft/internal/peer"
)

// fake is a Keystone of few words. Its user is weft, with password secret.
type fake struct {
	t      *testing.T
	server *httptest.Server

	mu        sync.Mutex
	tokens    map[string]string // the answer to a question
	own       string            // the token that may ask; "" before the first login
	logins    int
	questions []string      // the queries
	status    int           // of every answer, if not 0
	gate      chan struct{} // if not nil, questions wait for it
	asked     chan struct{} // gets something for each question that waits
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, tokens: map[string]string{}, asked: make(chan struct{}, 100)}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	gate := f.gate
	f.mu.Unlock()
	if r.Method == http.MethodGet && gate != nil {
		f.asked <- struct{}{}
		<-gate
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r.URL.Path != "/v3/auth/tokens":
		f.t.Errorf("asked for %s", r.URL.Path)
	case f.status != 0:
		w.WriteHeader(f.status)
	case r.Method == http.MethodPost:
		f.login(w, r)
	case f.own == "" || r.Header.Get("X-Auth-Token") != f.own:
		f.questions = append(f.questions, r.URL.RawQuery)
		w.WriteHeader(http.StatusUnauthorized)
	default:
		f.questions = append(f.questions, r.URL.RawQuery)
		if r.Header.Get("Openstack-Identity-Access-Rules") == "" {
			f.t.Error("asked without support of access rules")
		}
		answer, ok := f.tokens[r.Header.Get("X-Subject-Token")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, answer)
	}
}

// login lets in who says what the configuration of these tests says.
func (f *fake) login(w http.ResponseWriter, r *http.Request) {
	f.logins++
	type domain struct{ Name string }
	var body struct {
		Auth struct {
			Identity struct {
				Password struct {
					User struct {
						Name, Password string
						Domain         domain
					}
				}
			}
			Scope struct {
				Project struct {
					Name   string
					Domain domain
				}
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		f.t.Error(err)
	}
	u, p := body.Auth.Identity.Password.User, body.Auth.Scope.Project
	if u.Name != "weft" || u.Password != "secret" || u.Domain.Name != "users" || p.Name != "service" || p.Domain.Name != "projects" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	f.own = fmt.Sprintf("own-%d", f.logins)
	w.Header().Set("X-Subject-Token", f.own)
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, `{"token": {}}`)
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// count is how often it was asked about tokens, and how often logged in to.
func (f *fake) count() (questions, logins int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.questions), f.logins
}

// clock is a time that passes when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func configured(f *fake, c *clock) keystone.Config {
	return keystone.Config{Recheck: 10 * time.Second, CacheTime: 5 * time.Minute,
		Keystone: peer.Config{URL: f.server.URL, Now: c.Now,
			User: peer.User{Name: "weft", Password: "secret", Domain: "users", Project: "service", ProjectDomain: "projects"}}}
}

func newValidator(t *testing.T, c keystone.Config) *keystone.Validator {
	t.Helper()
	v, err := keystone.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
