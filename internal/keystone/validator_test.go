package keystone_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/authtoken"
	"github.com/weftnet/weft/internal/keystone"
)

const user = `"user": {"id": "u", "name": "alice", "domain": {"id": "d", "name": "Users"}}, "expires_at": "2030-01-01T00:00:00.000000Z"`

const alice = `{"token": {` + user + `, "project": {"id": "p", "name": "web", "domain": {"id": "d"}}, "is_domain": false, "roles": [{"id": "r", "name": "member"}, {"id": "s", "name": "reader"}]}}`

func start() *clock { return &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func TestLook(t *testing.T) {
	f := newFake(t)
	f.tokens = map[string]string{
		"project":  alice,
		"unscoped": `{"token": {` + user + `}}`,
		"domain":   `{"token": {` + user + `, "domain": {"id": "x", "name": "X"}, "roles": [{"id": "r", "name": "admin"}]}}`,
		"system":   `{"token": {` + user + `, "system": {"all": true}, "roles": [{"id": "r", "name": "reader"}]}}`,
		"limited": `{"token": {` + user + `, "project": {"id": "p", "name": "web"}, "application_credential": {"id": "a", "name": "ci", "restricted": true,
			"access_rules": [{"id": "i", "service": "network", "method": "GET", "path": "/v2.0/networks"}]}}}`,
		"without-rules": `{"token": {` + user + `, "project": {"id": "p", "name": "web"}, "application_credential": {"id": "a", "name": "ci"}}}`,
		"no-rule":       `{"token": {` + user + `, "project": {"id": "p", "name": "web"}, "application_credential": {"id": "a", "name": "ci", "access_rules": []}}}`,
	}
	v := newValidator(t, configured(f, start()))
	base := weft.Caller{UserID: "u", UserName: "alice", UserDomainID: "d"}
	with := func(change func(*weft.Caller)) weft.Caller {
		c := base
		change(&c)
		return c
	}
	web := with(func(c *weft.Caller) { c.ProjectID, c.ProjectName = "p", "web" })
	for token, want := range map[string]authtoken.Subject{
		"project": {Caller: with(func(c *weft.Caller) {
			c.ProjectID, c.ProjectName, c.Roles = "p", "web", []string{"member", "reader"}
		})},
		"unscoped":      {Caller: base},
		"domain":        {Caller: with(func(c *weft.Caller) { c.DomainID, c.Roles = "x", []string{"admin"} })},
		"system":        {Caller: with(func(c *weft.Caller) { c.System, c.Roles = true, []string{"reader"} })},
		"without-rules": {Caller: web}, "no-rule": {Caller: web, Rules: []weft.AccessRule{}},
		"limited": {Caller: web, Rules: []weft.AccessRule{{Service: "network", Method: "GET", Path: "/v2.0/networks"}}},
	} {
		want.Expires = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		got, err := v.Look(t.Context(), token, false)
		if diff := cmp.Diff(&want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", token, err, diff)
		}
	}
	if _, err := v.Look(t.Context(), "no such token", false); !weft.IsKind(err, weft.Unauthorized) {
		t.Error(err)
	}
}

// Answers are remembered for a while, also that a token is good for nothing; a
// question about late tokens is another question.
func TestRemembers(t *testing.T) {
	f, c := newFake(t), start()
	f.tokens["alice"] = alice
	v := newValidator(t, configured(f, c))
	expect := func(what string, want int) {
		t.Helper()
		if n, logins := f.count(); n != want || logins != 1 {
			t.Errorf("%s: %d questions and %d logins, want %d and 1", what, n, logins, want)
		}
	}
	look := func(token string, late bool) {
		t.Helper()
		v.Look(t.Context(), token, late) //nolint:errcheck // the questions count
	}
	for range 5 {
		look("alice", false)
		look("bad", false)
	}
	expect("two tokens", 2)
	c.pass(9 * time.Second)
	look("alice", false)
	expect("within the time", 2)
	look("alice", true)
	look("bad", true)
	expect("late ones", 4)
	c.pass(time.Second)
	look("alice", false)
	look("bad", false)
	expect("after the time", 6)
	want := []string{"nocatalog", "nocatalog", "nocatalog&allow_expired=1", "nocatalog&allow_expired=1", "nocatalog", "nocatalog"}
	if diff := cmp.Diff(want, f.questions); diff != "" {
		t.Error(diff)
	}
	for _, odd := range []string{"", "a b", "a\nb", "é", strings.Repeat("x", 9000)} {
		if _, err := v.Look(t.Context(), odd, false); !weft.IsKind(err, weft.Unauthorized) {
			t.Errorf("%.10q: %v", odd, err)
		}
	}
	expect("what cannot be a token", 6)
}

func TestRevoked(t *testing.T) {
	f, c := newFake(t), start()
	f.tokens["alice"] = alice
	v := newValidator(t, configured(f, c))
	if _, err := v.Look(t.Context(), "alice", false); err != nil {
		t.Fatal(err)
	}
	f.set(func() { delete(f.tokens, "alice") })
	c.pass(10 * time.Second)
	if _, err := v.Look(t.Context(), "alice", false); !weft.IsKind(err, weft.Unauthorized) {
		t.Errorf("after it was revoked: %v", err)
	}
	f.server.Close()
	c.pass(10 * time.Second)
	if _, err := v.Look(t.Context(), "alice", false); !weft.IsKind(err, weft.Unavailable) {
		t.Errorf("a revoked token while keystone is away: %v", err)
	}
}

// While Keystone is away, or ill, what was good is good for the longer time.
func TestAway(t *testing.T) {
	for name, fail := range map[string]func(*fake){
		"away":                    func(f *fake) { f.server.Close() },
		"ill":                     func(f *fake) { f.set(func() { f.status = 500 }) },
		"overloaded":              func(f *fake) { f.set(func() { f.status = 503 }) },
		"it forgets its own user": func(f *fake) { f.set(func() { f.status = 403 }) },
		"it refuses its own user": func(f *fake) { f.set(func() { f.status = 401 }) },
	} {
		t.Run(name, func(t *testing.T) {
			f, c := newFake(t), start()
			f.tokens["alice"] = alice
			v := newValidator(t, configured(f, c))
			if _, err := v.Look(t.Context(), "alice", false); err != nil {
				t.Fatal(err)
			}
			fail(f)
			for range 29 {
				c.pass(10 * time.Second)
				if s, err := v.Look(t.Context(), "alice", false); err != nil || s.Caller.UserID != "u" {
					t.Fatalf("known token: %v", err)
				}
				if _, err := v.Look(t.Context(), "bob", false); !weft.IsKind(err, weft.Unavailable) {
					t.Fatalf("unknown token: %v", err)
				}
			}
			c.pass(10 * time.Second)
			if _, err := v.Look(t.Context(), "alice", false); !weft.IsKind(err, weft.Unavailable) {
				t.Fatalf("known long ago: %v", err)
			}
		})
	}
}

// A Keystone that is away is not asked for each request.
func TestDoesNotInsist(t *testing.T) {
	f, c := newFake(t), start()
	f.tokens["alice"] = alice
	v := newValidator(t, configured(f, c))
	look := func() {
		t.Helper()
		if _, err := v.Look(t.Context(), "alice", false); err != nil {
			t.Fatal(err)
		}
	}
	look()
	c.pass(10 * time.Second)
	f.set(func() { f.tokens["alice"] = "not JSON" })
	for range 5 {
		look()
	}
	if n, _ := f.count(); n != 2 {
		t.Errorf("%d questions, want 2", n)
	}
	f.set(func() { f.tokens["alice"] = alice })
	c.pass(2 * time.Second)
	look()
	look()
	if n, _ := f.count(); n != 3 {
		t.Errorf("%d questions after a pause, want 3", n)
	}
}

// The user's own token may end, or be revoked with those of all.
func TestOwnTokenEnds(t *testing.T) {
	f, c := newFake(t), start()
	f.tokens["alice"] = alice
	v := newValidator(t, configured(f, c))
	for i := range 3 {
		if _, err := v.Look(t.Context(), "alice", false); err != nil {
			t.Fatal(err)
		}
		if _, logins := f.count(); logins != i+1 {
			t.Errorf("%d logins, want %d", logins, i+1)
		}
		f.set(func() { f.own = "of somebody else" })
		c.pass(10 * time.Second)
	}
}

// A wrong password is not tried with every request: Keystone may lock the user out.
func TestWrongPassword(t *testing.T) {
	f, c := newFake(t), start()
	conf := configured(f, c)
	conf.Keystone.User.Password = "wrong"
	v := newValidator(t, conf)
	refused := func(want int) {
		t.Helper()
		for range 3 {
			if _, err := v.Look(t.Context(), "alice", false); !weft.IsKind(err, weft.Unavailable) {
				t.Error(err)
			}
		}
		if _, logins := f.count(); logins != want {
			t.Errorf("%d logins, want %d", logins, want)
		}
	}
	refused(1)
	c.pass(5 * time.Second)
	refused(2)
}

func TestOneQuestionForMany(t *testing.T) {
	f := newFake(t)
	f.tokens["alice"] = alice
	f.gate = make(chan struct{})
	v := newValidator(t, configured(f, start()))
	var all, begun sync.WaitGroup
	for range 50 {
		begun.Add(1)
		all.Go(func() {
			begun.Done()
			if _, err := v.Look(t.Context(), "alice", false); err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	<-f.asked
	close(f.gate)
	all.Wait()
	if n, logins := f.count(); n != 1 || logins != 1 {
		t.Errorf("%d questions and %d logins", n, logins)
	}
}

func TestAuthorities(t *testing.T) {
	f := newFake(t)
	conf := configured(f, start())
	conf.Keystone.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	if _, err := keystone.New(conf); err == nil {
		t.Error("a file that is not there")
	}
	if err := os.WriteFile(conf.Keystone.CAFile, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keystone.New(conf); err == nil {
		t.Error("a file without certificates")
	}
}

// The validator may be told the URL in any of its forms.
func TestURL(t *testing.T) {
	f := newFake(t)
	f.tokens["alice"] = alice
	for _, end := range []string{"", "/", "/v3", "/v3/"} {
		conf := configured(f, start())
		conf.Keystone.URL = f.server.URL + end
		if _, err := newValidator(t, conf).Look(t.Context(), "alice", false); err != nil {
			t.Errorf("%q: %v", end, err)
		}
	}
}
