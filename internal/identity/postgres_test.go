package identity

import (
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/needs"
	"github.com/weftnet/weft/internal/store"
)

// startPostgres starts a PostgreSQL of Debian's packages and returns its URL.
func startPostgres(t *testing.T) string {
	t.Helper()
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(dirs) == 0 {
		needs.Missing(t, "PostgreSQL is not installed (postgresql)")
	}
	bin := dirs[len(dirs)-1]
	dir, err := os.MkdirTemp("", "wt-pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	attr := asPostgres(t, dir)
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-A", "trust", "-U", "weft", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-F")
	server.SysProcAttr, server.Dir = attr, dir
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGQUIT)
		server.Wait()
	})
	for range 600 {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			conn.Close()
			return fmt.Sprintf("postgresql://weft@127.0.0.1:%d/postgres?sslmode=disable", port)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("PostgreSQL does not answer")
	return ""
}

// asPostgres makes root, as whom PostgreSQL refuses to run, the user postgres.
func asPostgres(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		needs.Missing(t, "root cannot run PostgreSQL, and there is no user postgres")
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// Two servers on one PostgreSQL: they open each other's tokens, bootstrap once, and
// what one takes away the other refuses.
func TestTwoServers(t *testing.T) {
	url := startPostgres(t)
	var servers [2]*cloud
	for i := range servers {
		db, err := store.Open(t.Context(), url, store.Options{})
		if err != nil {
			for range 100 { // it answers before it is ready
				time.Sleep(50 * time.Millisecond)
				if db, err = store.Open(t.Context(), url, store.Options{}); err == nil {
					break
				}
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		c := &cloud{t: t}
		if c.Service, err = New(t.Context(), Config{DB: db, PasswordCost: bcrypt.MinCost}); err != nil {
			t.Fatal(err)
		}
		c.server = httptest.NewServer(c.Handler())
		defer c.server.Close()
		servers[i] = c
		go c.Run(t.Context())
	}
	type result struct {
		passwords map[string]string
		err       error
	}
	results := make(chan result)
	for _, c := range servers {
		go func() {
			p, err := c.Bootstrap(t.Context(), Bootstrap{IdentityURL: "http://a/v3", NetworkURL: "http://b"})
			results <- result{p, err}
		}()
	}
	first, second := <-results, <-results
	if err := errors.Join(first.err, second.err); err != nil || (first.passwords == nil) == (second.passwords == nil) {
		t.Fatalf("bootstraps end with %v and %v, error %v", first.passwords, second.passwords, err)
	}
	a, b := servers[0], servers[1]
	a.passwords = first.passwords
	if a.passwords == nil {
		a.passwords = second.passwords
	}
	b.passwords = a.passwords
	admin, demo := a.admin(), a.demo()
	if _, err := b.Authenticate(t.Context(), demo); err != nil {
		t.Fatal(err)
	}
	a.must(204, demo, "DELETE", "/v3/auth/tokens", "", "X-Subject-Token", demo)
	for {
		_, err := b.Authenticate(t.Context(), demo)
		if weft.IsKind(err, weft.Unauthorized) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	for path, want := range map[string]int{"projects?tags=x": 0, "projects?enabled=true": 3, "role_assignments?effective": 10, "users?name=demo": 1, "endpoints": 6} {
		d := b.must(200, admin, "GET", "/v3/"+path, "")
		if got := max(d.len("projects"), d.len("role_assignments"), d.len("users"), d.len("endpoints")); got != want {
			t.Errorf("GET %s: %d, want %d", path, got, want)
		}
	}
	credentialsOnTwo(t, a, b)
	d := b.must(201, admin, "POST", "/v3/domains", `{"domain":{"name":"d"}}`).str("domain.id")
	u := a.must(201, admin, "POST", "/v3/users", `{"user":{"name":"u","password":"\u0000","extra":"\u0000","domain_id":"`+d+`"}}`).str("user.id")
	b.must(200, admin, "GET", "/v3/users/"+u, "")
	b.must(400, admin, "POST", "/v3/users", `{"user":{"name":"\u0000"}}`)
	b.must(200, admin, "PATCH", "/v3/domains/"+d, `{"domain":{"enabled":false}}`)
	a.must(204, admin, "DELETE", "/v3/domains/"+d, "")
	b.must(404, admin, "GET", "/v3/users/"+u, "")
}

// credentialsOnTwo: a credential of one server is good at the other, until deleted.
func credentialsOnTwo(t *testing.T, a, b *cloud) {
	demo := a.demo()
	user := a.find(a.admin(), "users", "demo")
	d := a.must(201, demo, "POST", "/v3/users/"+user+"/application_credentials",
		`{"application_credential":{"name":"ci","access_rules":[{"service":"network","method":"GET","path":"/v2.0/networks"}]}}`)
	id := d.str("application_credential.id")
	a.must(409, demo, "POST", "/v3/users/"+user+"/application_credentials", `{"application_credential":{"name":"ci"}}`)
	a.must(400, demo, "POST", "/v3/users/"+user+"/application_credentials", `{"application_credential":{"name":"\u0000"}}`)
	token := b.byCredential(id, d.str("application_credential.secret"))
	s, err := b.Look(t.Context(), token, false)
	if err != nil || len(s.Rules) != 1 {
		t.Fatalf("%+v, error %v", s, err)
	}
	a.must(204, demo, "DELETE", "/v3/users/"+user+"/application_credentials/"+id, "")
	for {
		_, err := b.Look(t.Context(), token, false)
		if weft.IsKind(err, weft.Unauthorized) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}
