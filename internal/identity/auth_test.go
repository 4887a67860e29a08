package identity

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func TestVersions(t *testing.T) {
	c := newCloud(t)
	for path, status := range map[string]int{"/": 300, "/v3": 200, "/v3/": 200} {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", c.server.URL+path, nil)
		req.Host = "cloud.example.org:5000"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("GET %s: status %d, %s", path, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
	}
	d := c.must(300, "", "GET", "/", "")
	if got := d.str("versions.values.0.links.0.href"); got != c.server.URL+"/v3/" {
		t.Errorf("versions link to %q", got)
	}
	d = c.must(200, "", "GET", "/v3", "", "X-Forwarded-Proto", "https")
	if got := d.str("version.links.0.href"); got != strings.Replace(c.server.URL, "http:", "https:", 1)+"/v3/" {
		t.Errorf("behind TLS the version links to %q", got)
	}
}

func TestIssue(t *testing.T) {
	c := newCloud(t)
	pw := c.passwords[DemoUser]
	byID := func(id string) string {
		return fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":%q,"password":%q}}}}}`, id, pw)
	}
	admin := c.admin()
	demo := c.find(admin, "users", "demo")
	tests := []struct {
		name, body string
		status     int
		want       string // path=value of the document
	}{
		{"unscoped", passwordBody("demo", pw, ""), 201, "token.methods.0=password"},
		{"by id", byID(demo), 201, "token.user.name=demo"},
		{"by names", strings.Replace(passwordBody("demo", pw, projectScope("demo")), `"id":"default"`, `"name":"Default"`, 1), 201, "token.project.name=demo"},
		{"project", passwordBody("demo", pw, projectScope("demo")), 201, "token.roles.0.name=member"},
		{"implied role", passwordBody("demo", pw, projectScope("demo")), 201, "token.roles.1.name=reader"},
		{"system", passwordBody("admin", c.passwords["admin"], `{"system":{"all":true}}`), 201, "token.roles.0.name=admin"},
		{"explicitly unscoped", passwordBody("demo", pw, `{"unscoped":{}}`), 201, "token.project=<nil>"},
		{"unscoped, as text", passwordBody("demo", pw, `"unscoped"`), 201, "token.catalog=<nil>"},
		{"wrong password", passwordBody("demo", "x", ""), 401, "error.message=The request you have made requires authentication."},
		{"unknown user", passwordBody("nobody", "x", ""), 401, "error.message=The request you have made requires authentication."},
		{"unknown id", byID("nobody"), 401, "error.title=Unauthorized"},
		{"a project of others", passwordBody("demo", pw, projectScope("admin")), 401, "error.code=401"},
		{"unknown project", passwordBody("demo", pw, projectScope("nowhere")), 401, "error.code=401"},
		{"unknown domain", passwordBody("demo", pw, `{"domain":{"id":"nowhere"}}`), 401, "error.code=401"},
		{"domain without a role", passwordBody("demo", pw, `{"domain":{"id":"default"}}`), 401, "error.code=401"},
		{"system without a role", passwordBody("demo", pw, `{"system":{"all":true}}`), 401, "error.code=401"},
		{"unsupported method", `{"auth":{"identity":{"methods":["totp"],"totp":{}}}}`, 401, "error.message=Attempted to authenticate with an unsupported method."},
		{"no method", `{"auth":{"identity":{"methods":[]}}}`, 401, "error.code=401"},
		{"bad token", `{"auth":{"identity":{"methods":["token"],"token":{"id":"x"}}}}`, 401, "error.code=401"},
		{"empty", ``, 400, "error.message=Malformed json in request body"},
		{"no JSON", `{`, 400, "error.message=Malformed json in request body"},
		{"more than JSON", `{} {}`, 400, "error.message=Malformed json in request body"},
		{"no auth", `{}`, 400, "error.message=Expecting to find auth in request body. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error."},
		{"no identity", `{"auth":{}}`, 400, "error.code=400"},
		{"no domain", strings.Replace(passwordBody("demo", pw, ""), `"domain":{"id":"default"},`, "", 1), 400, "error.code=400"},
		{"no password", byID(demo)[:len(byID(demo))-len(pw)-8-14] + `}}}}}`, 400, "error.code=400"},
		{"password not text", strings.Replace(passwordBody("demo", "PW", ""), `"PW"`, `7`, 1), 400, "error.code=400"},
		{"two scopes", passwordBody("demo", pw, `{"project":{"id":"x"},"domain":{"id":"y"}}`), 400, "error.code=400"},
		{"a NUL", passwordBody("demo", pw, `{"project":{"id":"\u0000"}}`), 400, "error.code=400"},
		{"an unknown scope", passwordBody("demo", pw, `{"OS-TRUST:trust":{"id":"x"}}`), 400, "error.code=400"},
		{"too large", `{"auth":"` + strings.Repeat("x", maxBody) + `"}`, 413, "error.code=413"},
		{"too deep", strings.Repeat(`{"auth":`, 20000), 413, "error.code=413"},
		{"deep", strings.Repeat(`[`, 100000), 400, "error.code=400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, d, h := c.do("", "POST", "/v3/auth/tokens", tt.body)
			path, want, _ := strings.Cut(tt.want, "=")
			if got := fmt.Sprint(d.at(path)); status != tt.status || got != want {
				t.Errorf("status %d, %s is %s, want %d, %s; %v", status, path, got, tt.status, want, d)
			}
			if (h.Get("X-Subject-Token") != "") != (status == 201) || h.Get("X-Openstack-Request-Id") == "" || h.Get("Vary") != "X-Auth-Token" {
				t.Errorf("headers %v", h)
			}
			if tt.status == 401 && !strings.HasPrefix(h.Get("WWW-Authenticate"), "Keystone uri=") {
				t.Errorf("WWW-Authenticate is %q", h.Get("WWW-Authenticate"))
			}
		})
	}
}

func TestTokenDocument(t *testing.T) {
	c := newCloud(t)
	token := c.demo()
	d := c.must(200, token, "GET", "/v3/auth/tokens", "", "X-Subject-Token", token)
	body, _ := d["token"].(map[string]any)
	const form = "2006-01-02T15:04:05.000000Z"
	issued, err1 := time.Parse(form, d.str("token.issued_at"))
	expires, err2 := time.Parse(form, d.str("token.expires_at"))
	if err1 != nil || err2 != nil || expires.Sub(issued) != time.Hour {
		t.Errorf("from %s to %s", d.str("token.issued_at"), d.str("token.expires_at"))
	}
	if d.len("token.audit_ids") != 1 || len(d.str("token.audit_ids.0")) != 22 || d.len("token.catalog") != 2 {
		t.Errorf("token %v", body)
	}
	role := func(i int) map[string]any {
		return map[string]any{"id": d.str(fmt.Sprintf("token.roles.%d.id", i)), "name": []string{"member", "reader"}[i]}
	}
	want := map[string]any{
		"methods":   []any{"password"},
		"user":      map[string]any{"id": d.str("token.user.id"), "name": "demo", "domain": map[string]any{"id": "default", "name": "Default"}, "password_expires_at": nil},
		"project":   map[string]any{"id": d.str("token.project.id"), "name": "demo", "domain": map[string]any{"id": "default", "name": "Default"}},
		"is_domain": false, "roles": []any{role(0), role(1)},
	}
	for _, key := range []string{"issued_at", "expires_at", "audit_ids", "catalog"} {
		delete(body, key)
	}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d := c.must(200, token, "GET", "/v3/auth/tokens?nocatalog", "", "X-Subject-Token", token); d.at("token.catalog") != nil {
		t.Error("a catalogue that nobody asked for")
	}
	if status, _, h := c.do(token, "HEAD", "/v3/auth/tokens", "", "X-Subject-Token", token); status != 200 || h.Get("X-Subject-Token") != token {
		t.Errorf("HEAD: status %d", status)
	}
}

func TestExchange(t *testing.T) {
	c := newCloud(t)
	first := c.login("demo", c.passwords["demo"], "")
	exchange := func(token, scope string) (int, doc, string) {
		body := fmt.Sprintf(`{"auth":{"identity":{"methods":["token"],"token":{"id":%q}},"scope":%s}}`, token, scope)
		status, d, h := c.do("", "POST", "/v3/auth/tokens", body)
		return status, d, h.Get("X-Subject-Token")
	}
	was := c.must(200, first, "GET", "/v3/auth/tokens", "", "X-Subject-Token", first)
	c.clock += 10 * time.Minute
	status, d, second := exchange(first, projectScope("demo"))
	if status != 201 || d.str("token.expires_at") != was.str("token.expires_at") || d.str("token.audit_ids.1") != was.str("token.audit_ids.0") {
		t.Fatalf("status %d: %v, was %v", status, d, was)
	}
	if diff := cmp.Diff([]any{"token", "password"}, d.at("token.methods")); diff != "" {
		t.Errorf("methods (-want +got):\n%s", diff)
	}
	if status, _, _ := exchange(second, projectScope("admin")); status != 401 {
		t.Errorf("exchanged for a project of others: status %d", status)
	}
	c.clock += time.Hour
	if status, _, _ := exchange(first, projectScope("demo")); status != 401 {
		t.Errorf("exchanged after its end: status %d", status)
	}
}

func TestAuthenticate(t *testing.T) {
	c := newCloud(t)
	token := c.demo()
	got, err := c.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	want := &weft.Caller{UserID: got.UserID, UserName: "demo", UserDomainID: "default", ProjectID: got.ProjectID, ProjectName: "demo", Roles: []string{"member", "reader"}}
	if diff := cmp.Diff(want, got); diff != "" || len(got.UserID) != 32 || len(got.ProjectID) != 32 {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again, _ := c.Authenticate(t.Context(), token); again != got {
		t.Error("not remembered")
	}
	system, err := c.Authenticate(t.Context(), c.login("admin", c.passwords["admin"], `{"system":{"all":true}}`))
	if err != nil || !system.System || !system.HasRole(weft.RoleAdmin) || system.ProjectID != "" {
		t.Errorf("the system's caller is %+v, error %v", system, err)
	}
	for _, bad := range []string{"", "x", token[:20], token + "A"} {
		if _, err := c.Authenticate(t.Context(), bad); !weft.IsKind(err, weft.Unauthorized) {
			t.Errorf("token %q: error %v", bad, err)
		}
	}
	c.clock = time.Hour
	if _, err := c.Authenticate(t.Context(), token); !weft.IsKind(err, weft.Unauthorized) {
		t.Errorf("after an hour: error %v", err)
	}
}

// Who asks for late tokens is told of those that have ended, for two days; not of
// those that were given back.
func TestLateTokens(t *testing.T) {
	c := newCloud(t)
	token, revoked := c.demo(), c.demo()
	c.must(204, revoked, "DELETE", "/v3/auth/tokens", "", "X-Subject-Token", revoked)
	look := func(token string, late bool, known bool) {
		t.Helper()
		s, err := c.Look(t.Context(), token, late)
		if known && (err != nil || s.Caller.UserName != "demo") || !known && !weft.IsKind(err, weft.Unauthorized) {
			t.Errorf("after %s, late %t: %v", c.clock, late, err)
		}
	}
	look(token, false, true)
	c.clock = 2 * time.Hour
	admin := c.admin()
	look(token, false, false)
	look(token, true, true)
	look(token, false, false)
	look(revoked, true, false)
	c.must(404, admin, "GET", "/v3/auth/tokens", "", "X-Subject-Token", token)
	c.must(200, admin, "GET", "/v3/auth/tokens?allow_expired=1", "", "X-Subject-Token", token)
	c.clock = 49*time.Hour - time.Minute
	look(token, true, true)
	c.clock = 49 * time.Hour
	look(token, true, false)
}

// Every way in which a token dies, and that it stays dead, and that others live.
func TestTokensDie(t *testing.T) {
	tests := map[string]func(c *cloud, admin, token, user, project, domain string){
		"given back by its user": func(c *cloud, admin, token, user, project, domain string) {
			c.must(204, token, "DELETE", "/v3/auth/tokens", "", "X-Subject-Token", token)
		},
		"given back by an administrator": func(c *cloud, admin, token, user, project, domain string) {
			c.must(204, admin, "DELETE", "/v3/auth/tokens", "", "X-Subject-Token", token)
		},
		"password changed": func(c *cloud, admin, token, user, project, domain string) {
			c.must(204, "", "POST", "/v3/users/"+user+"/password", `{"user":{"original_password":"pw","password":"new"}}`)
		},
		"password set": func(c *cloud, admin, token, user, project, domain string) {
			c.must(200, admin, "PATCH", "/v3/users/"+user, `{"user":{"password":"new"}}`)
		},
		"user disabled and enabled": func(c *cloud, admin, token, user, project, domain string) {
			c.must(200, admin, "PATCH", "/v3/users/"+user, `{"user":{"enabled":false}}`)
			c.must(200, admin, "PATCH", "/v3/users/"+user, `{"user":{"enabled":true}}`)
		},
		"user deleted": func(c *cloud, admin, token, user, project, domain string) {
			c.must(204, admin, "DELETE", "/v3/users/"+user, "")
		},
		"project disabled": func(c *cloud, admin, token, user, project, domain string) {
			c.must(200, admin, "PATCH", "/v3/projects/"+project, `{"project":{"enabled":false}}`)
		},
		"project disabled and enabled": func(c *cloud, admin, token, user, project, domain string) {
			c.must(200, admin, "PATCH", "/v3/projects/"+project, `{"project":{"enabled":false}}`)
			c.must(200, admin, "PATCH", "/v3/projects/"+project, `{"project":{"enabled":true}}`)
		},
		"project deleted": func(c *cloud, admin, token, user, project, domain string) {
			c.must(204, admin, "DELETE", "/v3/projects/"+project, "")
		},
		"domain disabled": func(c *cloud, admin, token, user, project, domain string) {
			c.must(200, admin, "PATCH", "/v3/domains/"+domain, `{"domain":{"enabled":false}}`)
		},
		"domain disabled and enabled": func(c *cloud, admin, token, user, project, domain string) {
			c.must(200, admin, "PATCH", "/v3/domains/"+domain, `{"domain":{"enabled":false}}`)
			c.must(200, admin, "PATCH", "/v3/domains/"+domain, `{"domain":{"enabled":true}}`)
		},
		"domain deleted": func(c *cloud, admin, token, user, project, domain string) {
			c.must(200, admin, "PATCH", "/v3/domains/"+domain, `{"domain":{"enabled":false}}`)
			c.must(204, admin, "DELETE", "/v3/domains/"+domain, "")
		},
		"role taken away": func(c *cloud, admin, token, user, project, domain string) {
			c.must(204, admin, "DELETE", "/v3/projects/"+project+"/users/"+user+"/roles/"+c.find(admin, "roles", "member"), "")
		},
		"role deleted": func(c *cloud, admin, token, user, project, domain string) {
			c.must(204, admin, "DELETE", "/v3/roles/"+c.find(admin, "roles", "member"), "")
		},
	}
	for name, kill := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t)
			admin := c.admin()
			domain := c.must(201, admin, "POST", "/v3/domains", `{"domain":{"name":"d"}}`).str("domain.id")
			project := c.must(201, admin, "POST", "/v3/projects", `{"project":{"name":"p","domain_id":"`+domain+`"}}`).str("project.id")
			user := c.must(201, admin, "POST", "/v3/users", `{"user":{"name":"u","password":"pw","domain_id":"`+domain+`"}}`).str("user.id")
			c.must(204, admin, "PUT", "/v3/projects/"+project+"/users/"+user+"/roles/"+c.find(admin, "roles", "member"), "")
			_, _, h := c.do("", "POST", "/v3/auth/tokens", fmt.Sprintf(
				`{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":%q,"password":"pw"}}},"scope":{"project":{"id":%q}}}}`, user, project))
			token := h.Get("X-Subject-Token")
			if _, err := c.Authenticate(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			kill(c, admin, token, user, project, domain)
			if _, err := c.Authenticate(t.Context(), token); !weft.IsKind(err, weft.Unauthorized) {
				t.Errorf("the token lives on: %v", err)
			}
			if d := c.must(404, admin, "GET", "/v3/auth/tokens", "", "X-Subject-Token", token); d.str("error.title") != "Not Found" {
				t.Errorf("validation answers %v", d)
			}
			again, err := New(t.Context(), Config{DB: c.db, Now: c.now})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := again.Authenticate(t.Context(), token); !weft.IsKind(err, weft.Unauthorized) {
				t.Errorf("after a restart the token lives again: %v", err)
			}
			if _, err := again.Authenticate(t.Context(), admin); err != nil {
				t.Errorf("after a restart another's token is dead: %v", err)
			}
		})
	}
}

func TestRevocationsAreForgotten(t *testing.T) {
	c := newCloud(t)
	old := c.demo()
	c.must(204, old, "DELETE", "/v3/auth/tokens", "", "X-Subject-Token", old)
	c.clock = 48*time.Hour + 3*time.Hour
	token := c.demo()
	c.must(204, token, "DELETE", "/v3/auth/tokens", "", "X-Subject-Token", token)
	if n, err := store.Revocations.Count(c.db.Read(t.Context(), nil)); n != 1 || err != nil {
		t.Errorf("%d revocations are kept, error %v", n, err)
	}
}

func TestDefaultProject(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	project := c.find(admin, "projects", "demo")
	demo := c.find(admin, "users", "demo")
	c.must(200, admin, "PATCH", "/v3/users/"+demo, `{"user":{"default_project_id":"`+project+`"}}`)
	caller, err := c.Authenticate(t.Context(), c.login("demo", c.passwords["demo"], ""))
	if err != nil || caller.ProjectID != project {
		t.Errorf("the caller is %+v, error %v", caller, err)
	}
	c.must(200, admin, "PATCH", "/v3/users/"+demo, `{"user":{"default_project_id":"`+c.find(admin, "projects", "admin")+`"}}`)
	caller, err = c.Authenticate(t.Context(), c.login("demo", c.passwords["demo"], ""))
	if err != nil || caller.ProjectID != "" {
		t.Errorf("without a role on the default project the caller is %+v, error %v", caller, err)
	}
}

func TestGroupRoles(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	group := c.must(201, admin, "POST", "/v3/groups", `{"group":{"name":"g"}}`).str("group.id")
	demo, project := c.find(admin, "users", "demo"), c.find(admin, "projects", "service")
	c.must(204, admin, "PUT", "/v3/projects/"+project+"/groups/"+group+"/roles/"+c.find(admin, "roles", "reader"), "")
	c.must(204, admin, "PUT", "/v3/groups/"+group+"/users/"+demo, "")
	c.must(204, admin, "HEAD", "/v3/groups/"+group+"/users/"+demo, "")
	token := c.login("demo", c.passwords["demo"], projectScope("service"))
	if caller, err := c.Authenticate(t.Context(), token); err != nil || !caller.HasRole("reader") || caller.HasRole("member") {
		t.Errorf("the caller is %+v, error %v", caller, err)
	}
	if d := c.must(200, token, "GET", "/v3/auth/projects", ""); d.len("projects") != 2 {
		t.Errorf("projects of the user: %v", d)
	}
	effective := c.must(200, admin, "GET", "/v3/role_assignments?effective&scope.project.id="+project+"&user.id="+demo, "")
	if effective.len("role_assignments") != 1 {
		t.Errorf("effective assignments: %v", effective)
	}
	c.must(204, admin, "DELETE", "/v3/groups/"+group+"/users/"+demo, "")
	if _, err := c.Authenticate(t.Context(), token); !weft.IsKind(err, weft.Unauthorized) {
		t.Errorf("out of the group the token lives on: %v", err)
	}
}

func TestDomainTokens(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	d := c.must(201, admin, "POST", "/v3/domains", `{"domain":{"name":"d"}}`).str("domain.id")
	own := c.must(201, admin, "POST", "/v3/roles", `{"role":{"name":"admin","domain_id":"`+d+`"}}`).str("role.id")
	grant := "/v3/domains/" + d + "/users/" + c.find(admin, "users", "demo") + "/roles/" + own
	c.must(204, admin, "PUT", grant, "")
	body := passwordBody("demo", c.passwords["demo"], `{"domain":{"name":"d"}}`)
	c.must(401, "", "POST", "/v3/auth/tokens", body) // a domain's role by itself is nothing
	c.must(201, admin, "PUT", "/v3/roles/"+own+"/implies/"+c.find(admin, "roles", "member"), "")
	token := c.login("demo", c.passwords["demo"], `{"domain":{"name":"d"}}`)
	caller, err := c.Authenticate(t.Context(), token)
	if err != nil || caller.DomainID != d || caller.ProjectID != "" || strings.Join(caller.Roles, " ") != "member reader" {
		t.Errorf("the caller is %+v, error %v", caller, err)
	}
	if d := c.must(200, token, "GET", "/v3/auth/domains", ""); d.str("domains.0.name") != "d" {
		t.Errorf("domains of the user: %v", d)
	}
	if d := c.must(200, token, "GET", "/v3/auth/tokens", "", "X-Subject-Token", token); d.str("token.domain.name") != "d" || d.len("token.catalog") != 2 {
		t.Errorf("token %v", d)
	}
	c.must(204, admin, "DELETE", grant, "")
	c.must(401, token, "GET", "/v3/auth/domains", "")
}

// Once a change is acknowledged no token it concerns is good, however many ask
// while it happens.
func TestAtOnce(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	demo := c.find(admin, "users", "demo")
	for range 20 {
		token := c.demo()
		var acknowledged atomic.Bool
		var late, good atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					after := acknowledged.Load()
					_, err := c.Authenticate(t.Context(), token)
					switch {
					case err == nil && after:
						late.Add(1)
					case err == nil:
						good.Add(1)
					case after:
						return
					}
				}
			})
		}
		for good.Load() == 0 {
			runtime.Gosched()
		}
		c.must(200, admin, "PATCH", "/v3/users/"+demo, `{"user":{"enabled":false}}`)
		acknowledged.Store(true)
		wg.Wait()
		if n := late.Load(); n > 0 {
			t.Errorf("a dead token was good %d times", n)
		}
		c.must(200, admin, "PATCH", "/v3/users/"+demo, `{"user":{"enabled":true}}`)
	}
}

// No password, hash or token may be found in the log or the change log.
func TestSecretsStaySecret(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	user := c.must(201, admin, "POST", "/v3/users", `{"user":{"name":"u","password":"hunter22"}}`)
	if user.at("user.password") != nil {
		t.Errorf("the user is shown as %v", user)
	}
	id := user.str("user.id")
	c.must(401, "", "POST", "/v3/auth/tokens", passwordBody("u", "hunter33", ""))
	c.must(204, "", "POST", "/v3/users/"+id+"/password", `{"user":{"original_password":"hunter22","password":"hunter44"}}`)
	c.must(400, "", "POST", "/v3/users/"+id+"/password", `{"user":{"original_password":["hunter55"],"password":"x"}}`)
	c.must(204, admin, "DELETE", "/v3/auth/tokens", "", "X-Subject-Token", admin)
	hash, err := c.db.Read(t.Context(), nil).Password(id)
	if err != nil || hash == "" {
		t.Fatalf("hash %q, error %v", hash, err)
	}
	text := c.log.String()
	changes, err := c.db.Read(t.Context(), nil).Changes(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		text += string(change.Before) + string(change.After)
	}
	for _, secret := range []string{"hunter", "$2a$", hash, admin, c.passwords["admin"], c.passwords["demo"]} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in a log", secret)
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	c := newCloud(b)
	token := c.demo()
	b.Run("warm", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.Authenticate(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			c.cache.forget()
			if _, err := c.Authenticate(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("refused", func(b *testing.B) {
		for b.Loop() {
			c.Authenticate(b.Context(), token[:len(token)-4]+"AAAA")
		}
	})
}
