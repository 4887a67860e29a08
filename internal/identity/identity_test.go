package identity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/weftnet/weft/internal/store"
)

// cloud is a service on a database of its own, served on loopback.
type cloud struct {
	*Service
	t         testing.TB
	server    *httptest.Server
	passwords map[string]string
	clock     time.Duration // ahead of the wall clock
	log       *bytes.Buffer
}

const testNetworkURL = "http://127.0.0.1:9696"

func newCloud(t testing.TB) *cloud {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "weft.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	c := &cloud{t: t, log: new(bytes.Buffer)}
	c.Service, err = New(t.Context(), Config{DB: db, PasswordCost: bcrypt.MinCost,
		Log: slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now: func() time.Time { return time.Now().Add(c.clock) }})
	if err != nil {
		t.Fatal(err)
	}
	c.server = httptest.NewServer(c.Handler())
	t.Cleanup(c.server.Close)
	c.passwords, err = c.Bootstrap(t.Context(), Bootstrap{IdentityURL: c.server.URL + "/v3", NetworkURL: testNetworkURL,
		Server: "a"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// doc is a JSON document; at walks into it.
type doc map[string]any

func (d doc) at(path string) any {
	var v any = map[string]any(d)
	for step := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i := 0
			fmt.Sscan(step, &i)
			if i >= len(x) {
				return nil
			}
			v = x[i]
		}
	}
	return v
}

func (d doc) str(path string) string { s, _ := d.at(path).(string); return s }

func (d doc) len(path string) int { l, _ := d.at(path).([]any); return len(l) }

// do sends a request with a token and returns status, document and headers.
func (c *cloud) do(token, method, path, body string, headers ...string) (int, doc, http.Header) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var d doc
	if len(text) > 0 && json.Unmarshal(text, &d) != nil && !json.Valid(text) { // 1e999 is valid, but no float64
		c.t.Fatalf("%s %s answers with %q", method, path, text)
	}
	return resp.StatusCode, d, resp.Header
}

// must is do with the status that is expected.
func (c *cloud) must(status int, token, method, path, body string, headers ...string) doc {
	c.t.Helper()
	got, d, _ := c.do(token, method, path, body, headers...)
	if got != status {
		c.t.Fatalf("%s %s %s: status %d, want %d: %v", method, path, body, got, status, d)
	}
	return d
}

func passwordBody(user, password, scope string) string {
	if scope != "" {
		scope = `,"scope":` + scope
	}
	return fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":%q,"domain":{"id":"default"},"password":%q}}}%s}}`, user, password, scope)
}

func projectScope(name string) string {
	return fmt.Sprintf(`{"project":{"name":%q,"domain":{"name":"Default"}}}`, name)
}

// login is a token of a user's for a scope.
func (c *cloud) login(user, password, scope string) string {
	c.t.Helper()
	status, d, h := c.do("", "POST", "/v3/auth/tokens", passwordBody(user, password, scope))
	if status != http.StatusCreated {
		c.t.Fatalf("logging in as %s on %s: status %d: %v", user, scope, status, d)
	}
	return h.Get("X-Subject-Token")
}

func (c *cloud) admin() string {
	c.t.Helper()
	return c.login(AdminUser, c.passwords[AdminUser], projectScope("admin"))
}

func (c *cloud) demo() string {
	c.t.Helper()
	return c.login(DemoUser, c.passwords[DemoUser], projectScope("demo"))
}

// find is the id of the noun of a name.
func (c *cloud) find(token, plural, name string) string {
	c.t.Helper()
	d := c.must(200, token, "GET", "/v3/"+plural+"?name="+name, "")
	if d.len(plural) != 1 {
		c.t.Fatalf("%d %s named %s", d.len(plural), plural, name)
	}
	return d.str(plural + ".0.id")
}
