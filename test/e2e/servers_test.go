package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weftnet/weft/internal/client"
	"github.com/weftnet/weft/internal/store/storetest"
)

// newServer is a weft that serves only, on a database.
func newServer(t *testing.T, url string) *cloud {
	c := newCloud(t)
	c.useFreePorts()
	file := filepath.Join(t.TempDir(), "weft.conf")
	if err := os.WriteFile(file, []byte("[database]\nconnection = "+url+"\ntimeout = 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.args = []string{"--no-agent", "--config", file}
	return c
}

// TestServersTogether starts servers at once on an empty database: they make one cloud
// of it. One that comes later changes nothing: no password, and not the catalogue.
func TestServersTogether(t *testing.T) {
	for range 2 {
		testServersTogether(t, storetest.PostgreSQL(t))
	}
	testServersTogether(t, "sqlite:"+filepath.Join(t.TempDir(), "shared.db"))
}

func testServersTogether(t *testing.T, url string) {
	var servers []*cloud
	for range 4 {
		servers = append(servers, newServer(t, url))
	}
	for _, c := range servers {
		c.launch()
	}
	var founder *cloud
	for _, c := range servers {
		c.waitFor("a server to be ready", func() bool { return c.ready() })
		if _, err := os.Stat(c.clouds()); err == nil {
			if founder != nil {
				t.Error("two servers believe to have made the users")
			}
			founder = c
		}
	}
	if founder == nil {
		t.Fatal("no server has made the users")
	}
	before := founder.catalogue()
	later := newServer(t, url)
	later.launch()
	later.waitFor("a later server to be ready", func() bool { return later.ready() })
	if after := founder.catalogue(); after != before {
		t.Errorf("a later server has changed the catalogue from\n%s\nto\n%s", before, after)
	}
	if !strings.Contains(later.out.String(), "--new-passwords") {
		t.Error("a server that does not know the passwords does not say what to do")
	}
	// The passwords of the one are good at all others.
	for _, c := range append(servers, later) {
		u := c.at(founder, "weft")
		if res, err := u.do(http.MethodGet, "/v2.0/networks", ""); err != nil || res.status != http.StatusOK {
			t.Errorf("asking another server: %v %d %s", err, res.status, res.body)
		}
	}
	later.kill()
	later.args = append(later.args, "--new-passwords")
	later.launch()
	later.waitFor("the users to have new passwords", func() bool { return later.ready() })
	later.login("weft")
	later.login("weft-demo")
	if after := later.catalogueAt(later.login("weft")); after != before {
		t.Error("new passwords have changed the catalogue")
	}
}

// ready reports whether the server said so since it was launched last.
func (c *cloud) ready() bool {
	c.t.Helper()
	select {
	case <-c.ended:
		c.t.Fatalf("weft up ended: %v", c.up.ProcessState)
	default:
	}
	said := c.out.String()
	return strings.Contains(said[strings.LastIndex(said, "--- weft up"):], "weft: ready")
}

// at is a user of this server with the passwords that another knows.
func (c *cloud) at(other *cloud, name string) *user {
	c.t.Helper()
	clouds, err := client.ReadClouds(other.clouds())
	if err != nil {
		c.t.Fatal(err)
	}
	a := clouds.Clouds[name].Auth
	a.AuthURL = fmt.Sprintf("http://127.0.0.1:%d/v3", c.identity)
	return c.loginAs(name, a)
}

func (c *cloud) catalogue() string {
	c.t.Helper()
	return c.catalogueAt(c.login("weft"))
}

func (c *cloud) catalogueAt(u *user) string {
	c.t.Helper()
	res, err := send(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/v3/auth/catalog", c.identity), "",
		http.Header{"X-Auth-Token": {u.token}})
	if err != nil || res.status != http.StatusOK {
		c.t.Fatalf("asking for the catalogue: %v %d %s", err, res.status, res.body)
	}
	_, list, _ := strings.Cut(string(res.body), `"catalog":`)
	list, _, _ = strings.Cut(list, `"links":{"`)
	return list
}

// TestFullDisk fills the disk under a weft. Whoever writes is told to try again, health
// says so, and reading goes on.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making a full disk takes root")
	}
	disk := t.TempDir()
	if err := syscall.Mount("weft-e2e", disk, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("mounting: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	c := newServer(t, "sqlite:"+filepath.Join(disk, "weft.db"))
	c.start()
	u := c.login("weft")
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	var res answer
	for range 10000 {
		if res, _ = u.do(http.MethodPost, "/v2.0/networks", `{"network":{}}`); res.status != http.StatusCreated {
			break
		}
	}
	if res.status != http.StatusServiceUnavailable || res.header.Get("Retry-After") == "" {
		t.Errorf("a write on a full disk: %d %s, Retry-After %q", res.status, res.body, res.header.Get("Retry-After"))
	}
	health := func() int {
		res, err := u.do(http.MethodGet, "/healthz", "")
		if err != nil {
			t.Fatal(err)
		}
		return res.status
	}
	if status := health(); status != http.StatusServiceUnavailable {
		t.Errorf("health on a full disk: %d", status)
	}
	// A user is written too.
	res, err := send(http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/v3/users", c.identity),
		`{"user":{"name":"u","description":"`+strings.Repeat("x", 50000)+`"}}`,
		http.Header{"X-Auth-Token": {u.token}, "Content-Type": {"application/json"}})
	if err != nil || res.status != http.StatusServiceUnavailable || res.header.Get("Retry-After") == "" {
		t.Errorf("making a user on a full disk: %v %d %s", err, res.status, res.body)
	}
	if res, err := u.do(http.MethodGet, "/v2.0/networks", ""); err != nil || res.status != http.StatusOK {
		t.Errorf("reading beside a full disk: %v %d", err, res.status)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	c.waitFor("health when there is room again", func() bool { return health() == http.StatusOK })
	u.make(c, "networks", "network", `{}`)
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for b := make([]byte, 4096); err == nil; {
		_, err = f.Write(b)
	}
}

// TestDatabaseAway kills PostgreSQL under a weft, and starts it again.
func TestDatabaseAway(t *testing.T) {
	pg := storetest.Own(t)
	c := newServer(t, pg.URL)
	c.start()
	u := c.login("weft")
	kept := u.make(c, "networks", "network", `{}`)
	pg.Kill()
	ask := func(method, url, body string) answer {
		res, err := send(method, url, body, http.Header{"X-Auth-Token": {u.token}, "Content-Type": {"application/json"}})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	keystone := fmt.Sprintf("http://127.0.0.1:%d/v3", c.identity)
	password := `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"demo","domain":{"id":"default"},"password":"x"}}}}}`
	for _, q := range [][3]string{
		{http.MethodGet, u.base + "/v2.0/networks", ""}, {http.MethodPost, u.base + "/v2.0/networks", `{"network":{}}`},
		{http.MethodDelete, u.base + "/v2.0/networks/" + kept, ""}, {http.MethodGet, u.base + "/healthz", ""},
		{http.MethodPost, keystone + "/auth/tokens", password}, {http.MethodGet, keystone + "/projects", ""},
		{http.MethodPost, keystone + "/projects", `{"project":{"name":"p"}}`},
	} {
		if res := ask(q[0], q[1], q[2]); res.status != http.StatusServiceUnavailable || res.header.Get("Retry-After") == "" {
			t.Errorf("%s %s without a database: %d %s", q[0], q[1], res.status, res.body)
		}
	}
	pg.Start()
	c.waitFor("health when the database is back", func() bool {
		return ask(http.MethodGet, u.base+"/healthz", "").status == http.StatusOK
	})
	if res := ask(http.MethodGet, u.base+"/v2.0/networks/"+kept, ""); res.status != http.StatusOK {
		t.Errorf("what was made before: %d %s", res.status, res.body)
	}
	u.make(c, "networks", "network", `{}`)
}
