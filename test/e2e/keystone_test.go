package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
)

// keystone is Debian's Keystone on this host, on a database of its own.
type keystone struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	done chan struct{}
	out  output
}

const keystoneURL = "http://127.0.0.1:5000/v3"

var keystoneConf = template.Must(template.New("").Parse(`[DEFAULT]
log_file = {{.Dir}}/keystone.log
[database]
connection = sqlite:///{{.Dir}}/keystone.db
[fernet_tokens]
key_repository = {{.Dir}}/fernet
[credential]
key_repository = {{.Dir}}/credential
[token]
expiration = {{.Expiration}}
[cache]
enabled = false
[identity]
password_hash_rounds = 4
`))

// newKeystone is one that knows an administrator with password secret, and does not
// run yet.
func newKeystone(t *testing.T) *keystone {
	t.Helper()
	k := &keystone{t: t, dir: t.TempDir()}
	k.configure(3600)
	for _, d := range []string{"fernet", "credential"} {
		if err := os.Mkdir(filepath.Join(k.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	k.manage("db_sync")
	k.useWAL()
	k.manage("fernet_setup", "--keystone-user", "root", "--keystone-group", "root")
	k.manage("bootstrap", "--bootstrap-password", "secret", "--bootstrap-region-id", "RegionOne", "--bootstrap-public-url", keystoneURL)
	t.Cleanup(func() {
		k.stop()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(k.dir, "keystone.log"))
			t.Logf("keystone said:\n%s\n%s", k.out.tail(20), log[max(0, len(log)-4000):])
		}
	})
	return k
}

func (k *keystone) conf() string { return filepath.Join(k.dir, "keystone.conf") }

// configure sets how many seconds tokens live that are issued after the next start.
func (k *keystone) configure(expiration int) {
	k.t.Helper()
	var b bytes.Buffer
	if err := keystoneConf.Execute(&b, map[string]any{"Dir": k.dir, "Expiration": expiration}); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(k.conf(), b.Bytes(), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keystone) manage(args ...string) {
	k.t.Helper()
	out, err := exec.CommandContext(k.t.Context(), "keystone-manage", append([]string{"--config-file", k.conf()}, args...)...).CombinedOutput()
	if err != nil {
		k.t.Fatalf("keystone-manage %v: %v\n%s", args, err, out)
	}
}

// useWAL lets its connections write while others read: they are in one thread, and
// would wait for each other in vain.
func (k *keystone) useWAL() {
	k.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(k.dir, "keystone.db"))
	if err != nil {
		k.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(k.t.Context(), "PRAGMA journal_mode = WAL"); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keystone) start() {
	k.t.Helper()
	k.cmd = exec.Command("keystone-wsgi-public", "--host", "127.0.0.1", "--port", "5000")
	k.cmd.Env = append(os.Environ(), "OS_KEYSTONE_CONFIG_FILES="+k.conf())
	k.cmd.Stdout, k.cmd.Stderr = &k.out, &k.out
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	done := make(chan struct{})
	k.done = done
	go func(cmd *exec.Cmd) {
		cmd.Wait()
		close(done)
	}(k.cmd)
	waitFor(k.t, "keystone to answer", func() bool {
		select {
		case <-done:
			k.t.Fatalf("keystone ended: %s", k.out.tail(20))
		default:
		}
		res, err := http.Get(keystoneURL)
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

func (k *keystone) stop() {
	if k.cmd == nil {
		return
	}
	k.cmd.Process.Kill()
	<-k.done
	k.cmd = nil
}

// as is the openstack client of a user of the default domain.
func (k *keystone) as(user, project string) *openstack {
	return &openstack{k.t, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + k.t.TempDir(), "OS_AUTH_URL=" + keystoneURL, "OS_IDENTITY_API_VERSION=3",
		"OS_USERNAME=" + user, "OS_PASSWORD=secret", "OS_PROJECT_NAME=" + project, "OS_USER_DOMAIN_ID=default", "OS_PROJECT_DOMAIN_ID=default"}}
}

// weftConf is how an operator points weft at that Keystone. The user has the roles
// that installers give to Neutron's.
const weftConf = `[identity]
url = ` + keystoneURL + `
username = weft
password = secret
revocation_cache_time = 1
token_cache_time = 3600
`

// keystoneTest is a weft beside a Keystone with a member alice and a reader rob of
// project web.
type keystoneTest struct {
	*cloud
	keystone            *keystone
	admin, alice, rob   *openstack
	token, serviceToken string // of alice and of the service
}

// It takes minutes, most of them Python's, so it runs only when asked to
// (make test-keystone).
func TestKeystone(t *testing.T) {
	if os.Getenv("WEFT_TEST_KEYSTONE") == "" {
		t.Skip("WEFT_TEST_KEYSTONE is not set")
	}
	onHost(t, testKeystone, "openstack", "keystone-manage", "keystone-wsgi-public")
}

func testKeystone(t *testing.T) {
	k := newKeystone(t)
	c := newCloud(t)
	conf := filepath.Join(t.TempDir(), "weft.conf")
	if err := os.WriteFile(conf, []byte(weftConf), 0o600); err != nil {
		t.Fatal(err)
	}
	c.args = []string{"--config", conf}
	w := &keystoneTest{cloud: c, keystone: k, admin: k.as("admin", "admin"), alice: k.as("alice", "web"), rob: k.as("rob", "web")}
	w.withoutKeystone()
	k.start()
	w.register()
	w.untouched()
	w.users()
	w.ownCommands()
	w.credentials()
	w.revoked()
	w.late()
	w.scopes(conf)
	w.away()
}

// get is the status of a request to weft, and its headers.
func (w *keystoneTest) get(path, token, service string) (int, http.Header) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), hang)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", w.network, path), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	if service != "" {
		req.Header.Set("X-Service-Token", service)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode, res.Header
}

func (w *keystoneTest) expect(what string, want int, path, token, service string) {
	w.t.Helper()
	if got, _ := w.get(path, token, service); got != want {
		w.t.Errorf("%s: status %d, want %d", what, got, want)
	}
}

// withoutKeystone: weft starts first, and says what it cannot do yet.
func (w *keystoneTest) withoutKeystone() {
	w.start()
	w.expect("before keystone has started", 503, "/v2.0/networks", "anything", "")
	status, h := w.get("/v2.0/networks", "", "")
	if got, want := h.Get("WWW-Authenticate"), `Keystone uri="`+keystoneURL+`"`; status != 401 || got != want {
		w.t.Errorf("without a token: status %d, WWW-Authenticate %q, want %q", status, got, want)
	}
}

// register does what a deployment does at Keystone for Neutron, but for the
// catalogue.
func (w *keystoneTest) register() {
	w.admin.run("role create service")
	w.admin.run("project create service")
	w.admin.run("project create web")
	for user, roles := range map[string][]string{"weft": {"service", "admin"}, "alice": {"member"}, "rob": {"reader"}} {
		project := "web"
		if user == "weft" {
			project = "service"
		}
		w.admin.run("user create --password secret " + user)
		for _, role := range roles {
			w.admin.run("role add --user " + user + " --project " + project + " " + role)
		}
	}
	w.token = w.alice.run("token issue -f value -c id")
	w.serviceToken = w.keystone.as("weft", "service").run("token issue -f value -c id")
	w.waitFor("weft to log in", func() bool {
		status, _ := w.get("/v2.0/networks", w.token, "")
		return status == http.StatusOK
	})
}

// untouched: weft has registered nothing. Then the operator registers it.
func (w *keystoneTest) untouched() {
	if services := w.admin.list("service list"); len(services) != 1 || services[0].text("Type") != "identity" {
		w.t.Errorf("services at keystone: %v", services)
	}
	if users := w.admin.list("user list"); len(users) != 4 {
		w.t.Errorf("users at keystone: %v", users)
	}
	w.admin.run("service create --name neutron network")
	w.admin.run(fmt.Sprintf("endpoint create --region RegionOne network public http://127.0.0.1:%d", w.network))
}

// users do what their roles let them.
func (w *keystoneTest) users() {
	n := w.alice.show("network create mine")
	w.alice.run("subnet create --network mine --subnet-range 10.0.0.0/24 sub")
	project := w.alice.run("token issue -f value -c project_id")
	w.alice.expect("a member's network", n, fields{"name": "mine", "project_id": project, "provider:network_type": nil})
	w.rob.listed("what a reader sees", w.rob.list("network list"), fields{"ID": n["id"], "Name": "mine"})
	for who, args := range map[*openstack]string{w.rob: "network create his", w.alice: "network create ext --external"} {
		if _, err := who.try(args); err == nil || !strings.Contains(err.Error(), "403") {
			w.t.Errorf("%s: %v", args, err)
		}
	}
	w.admin.run("network create ext --external --provider-network-type flat --provider-physical-network provider")
	w.admin.expect("what an administrator sees", w.admin.show("network show mine"), fields{"project_id": project, "provider:network_type": "vxlan"})
	w.alice.listed("external networks", w.alice.list("network list --external"), fields{"Name": "ext"})
}

// ownCommands log in as the service's user, and clouds.yaml keeps what else is in it.
func (w *keystoneTest) ownCommands() {
	port := w.alice.show("port create --network mine p1")
	out := w.must("plug", "--port", port.text("id"), "--netns", "vm1")
	if !strings.Contains(out, "is ACTIVE") || !strings.Contains(out, "eth0 in vm1 has 10.0.0.") {
		w.t.Errorf("weft plug: %s", out)
	}
	w.must("unplug", "--port", port.text("id"), "--netns", "vm1")
	own := newOpenstack(w.cloud, "weft")
	own.listed("the cloud weft of clouds.yaml", own.list("network list"), fields{"Name": "mine"})
}

// credentials: an application credential with access rules is good for those
// requests only.
func (w *keystoneTest) credentials() {
	rules := `[{"service": "network", "method": "GET", "path": "/v2.0/networks"}]`
	made := w.alice.show("application credential create ci --access-rules", rules)
	o := &openstack{w.t, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.t.TempDir(), "OS_AUTH_URL=" + keystoneURL, "OS_IDENTITY_API_VERSION=3",
		"OS_AUTH_TYPE=v3applicationcredential", "OS_APPLICATION_CREDENTIAL_ID=" + made.text("id"), "OS_APPLICATION_CREDENTIAL_SECRET=" + made.text("secret")}}
	token := o.run("token issue -f value -c id")
	w.expect("what the rules allow", 200, "/v2.0/networks", token, "")
	w.expect("what they do not", 401, "/v2.0/ports", token, "")
	w.expect("what a service does for it", 200, "/v2.0/ports", token, w.serviceToken)
	w.expect("itself in the place of the service's", 401, "/v2.0/ports", token, token)
	w.expect("another member's in the place of the service's", 401, "/v2.0/ports", token, w.token)
}

// scopes: what an administrator of the system may do is what his roles say, or nothing
// where the operator holds Neutron's rules to be about projects.
func (w *keystoneTest) scopes(conf string) {
	w.admin.run("role add --user admin --system all admin")
	system := &openstack{w.t, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.t.TempDir(), "OS_AUTH_URL=" + keystoneURL,
		"OS_IDENTITY_API_VERSION=3",
		"OS_USERNAME=admin", "OS_PASSWORD=secret", "OS_SYSTEM_SCOPE=all", "OS_USER_DOMAIN_ID=default"}}
	token, project := system.run("token issue -f value -c id"), w.admin.run("token issue -f value -c id")
	w.expect("a token of the system", 200, "/v2.0/networks", token, "")
	w.stop()
	if err := os.WriteFile(conf, []byte(weftConf+"[oslo_policy]\nenforce_scope = true\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.start()
	w.waitFor("weft to know tokens again", func() bool {
		status, _ := w.get("/v2.0/networks", project, "")
		return status == http.StatusOK
	})
	w.expect("a token of the system where only those of projects count", 403, "/v2.0/networks", token, "")
}

func (w *keystoneTest) revoked() {
	token := w.alice.run("token issue -f value -c id")
	w.expect("a new token", 200, "/v2.0/networks", token, "")
	w.alice.run("token revoke " + token)
	w.waitFor("a revoked token to be refused", func() bool {
		status, _ := w.get("/v2.0/networks", token, "")
		return status == http.StatusUnauthorized
	})
	w.expect("another token of the user", 200, "/v2.0/networks", w.token, "")
	other := w.rob.run("token issue -f value -c id")
	w.expect("a reader", 200, "/v2.0/networks", other, "")
	w.admin.run("role remove --user rob --project web reader")
	w.waitFor("somebody without a role to be refused", func() bool {
		status, _ := w.get("/v2.0/networks", other, "")
		return status == http.StatusUnauthorized
	})
}

// late: a token that has ended is good in the hands of a service. Weft's own tokens
// end here as well, and are renewed.
func (w *keystoneTest) late() {
	w.keystone.stop()
	w.keystone.configure(5)
	w.keystone.start()
	token := w.alice.run("token issue -f value -c id")
	w.waitFor("the token to end", func() bool {
		status, _ := w.get("/v2.0/networks", token, "")
		return status == http.StatusUnauthorized
	})
	w.expect("the token of a service beside it", 200, "/v2.0/networks", token, w.serviceToken)
	w.expect("one that is no service's", 401, "/v2.0/networks", token, w.token)
	w.expect("a service's token that is none", 401, "/v2.0/networks", w.token, "none")
	w.keystone.stop()
	w.keystone.configure(3600)
	w.keystone.start()
}

// away: those whom weft knows do not notice that Keystone is away.
func (w *keystoneTest) away() {
	unknown := w.alice.run("token issue -f value -c id")
	w.expect("while keystone is there", 200, "/v2.0/networks", w.token, "")
	w.keystone.stop()
	w.expect("a known token while keystone is away", 200, "/v2.0/networks", w.token, "")
	w.waitFor("weft to notice", func() bool {
		w.expect("a known token while keystone is away", 200, "/v2.0/networks", w.token, "")
		return strings.Contains(w.out.String(), "validating a token")
	})
	w.expect("an unknown token while keystone is away", 503, "/v2.0/networks", unknown, "")
	w.keystone.start()
	w.expect("an unknown token when keystone is back", 200, "/v2.0/networks", unknown, "")
	w.stop()
}
