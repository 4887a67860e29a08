package identity

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	gccredentials "github.com/gophercloud/gophercloud/v2/openstack/identity/v3/applicationcredentials"
	gcprojects "github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	gcroles "github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	gctokens "github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	gcusers "github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"

	"github.com/weftnet/weft/internal/needs"
)

// openstackClient runs the openstack client as a user.
type openstackClient struct {
	c   *cloud
	env []string
}

func (c *cloud) openstackClient(user, project string) openstackClient {
	c.t.Helper()
	needs.Programs(c.t, "openstack")
	return openstackClient{c, append(os.Environ(), "HOME="+c.t.TempDir(), "OS_CLIENT_CONFIG_FILE=/nonexistent",
		"OS_AUTH_URL="+c.server.URL+"/v3", "OS_USERNAME="+user, "OS_PASSWORD="+c.passwords[user], "OS_PROJECT_NAME="+project,
		"OS_USER_DOMAIN_ID=default", "OS_PROJECT_DOMAIN_ID=default", "OS_IDENTITY_API_VERSION=3")}
}

// step is a command and something it prints.
type step struct{ command, want string }

// script runs commands in one process, since starting it is what takes time, and
// looks for what they should print in what was printed since the one before.
func (o openstackClient) script(steps []step) {
	o.c.t.Helper()
	var input strings.Builder
	for _, s := range steps {
		input.WriteString(s.command + "\n")
	}
	cmd := exec.CommandContext(o.c.t.Context(), "openstack")
	cmd.Env = o.env
	cmd.Stdin = strings.NewReader(input.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.c.t.Errorf("openstack: %v", err)
	}
	refused := 0 // steps that should be
	rest := string(out)
	for _, s := range steps {
		_, after, found := strings.Cut(rest, s.want)
		if !found {
			o.c.t.Fatalf("openstack %s: no %q in\n%s", s.command, s.want, rest)
		}
		rest = after
		if strings.HasSuffix(s.want, ".") {
			refused++
		}
	}
	if n := strings.Count(string(out), "HTTP 4") + strings.Count(string(out), "No project with"); n != refused {
		o.c.t.Errorf("%d refusals instead of %d in\n%s", n, refused, out)
	}
}

func (o openstackClient) run(dest any, args ...string) {
	o.c.t.Helper()
	cmd := exec.CommandContext(o.c.t.Context(), "openstack", args...)
	cmd.Env = o.env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		o.c.t.Fatalf("openstack %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	if dest == nil {
		return
	}
	if err := json.Unmarshal(out, dest); err != nil {
		o.c.t.Fatalf("openstack %s prints %q", strings.Join(args, " "), out)
	}
}

func TestOpenstackClient(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many slow processes")
	}
	c := newCloud(t)
	admin := c.openstackClient(AdminUser, "admin")
	var token struct{ ID, ProjectID, UserID, Expires string }
	admin.run(&token, "token", "issue", "-f", "json")
	if token.ID == "" || token.Expires == "" {
		t.Errorf("token issue prints %+v", token)
	}
	steps := []step{
		{"catalog list -f json", `"public"`},
		{"catalog show network -f json", testNetworkURL},
		{"service list -f json", `"neutron"`},
		{"endpoint list -f json", `"RegionOne"`},
		{"endpoint list --service network --interface public -f json", testNetworkURL},
		{"region list -f json", `"RegionOne"`},
		{"versions show --service identity -f json", `"CURRENT"`},
		{"domain create --description d1 d1 -f json", `"d1"`},
		{"domain list -f json", `"default"`},
		{"domain set --disable d1", ""},
		{"domain show d1 -f json", `"enabled": false`},
		{"domain delete d1", ""},
		{"project create --description first --tag t1 p1 -f json", `"description": "first"`},
		{"project create p1 -f json", "Duplicate entry found with name p1 at domain ID default."},
		{"project create --parent p1 p2 -f json", `"parent_id"`},
		{"project set --name p3 --property colour=red p2", ""},
		{"project show p3 -f json", `"colour": "red"`},
		{"project list -f json", `"p3"`},
		{"user create --project p1 --password secret --email u1@example.org u1 -f json", `"email": "u1@example.org"`},
		{"user show u1 -f json", `"default_project_id"`},
		{"user list --domain default -f json", `"u1"`},
		{"role add --project p1 --user u1 member", ""},
		{"role assignment list --user u1 --names -f json", `"Project": "p1@Default"`},
		{"role assignment list --user u1 --effective --names -f json", `"reader"`},
		{"role assignment list --role admin --system all -f json", `"all"`},
		{"user list --project p1 -f json", `"u1"`},
		{"project list --user u1 -f json", `"p1"`},
		{"role remove --project p1 --user u1 member", ""},
		{"role create r1 -f json", `"r1"`},
		{"role list -f json", `"member"`},
		{"role show r1 -f json", `"r1"`},
		{"implied role create r1 --implied-role reader -f json", `"implies"`},
		{"implied role list -f json", `"manager"`},
		{"role delete r1", ""},
		{"group create g1 -f json", `"g1"`},
		{"group add user g1 u1", ""},
		{"group contains user g1 u1", "u1 in group g1"},
		{"role add --group g1 --project p1 reader", ""},
		{"group list --user u1 -f json", `"g1"`},
		{"group delete g1", ""},
		{"user set --password other --disable u1", ""},
		{"user delete u1", ""},
		{"project delete p3", ""},
		{"project delete p1", ""},
		{"project show p1", "No project with a name or ID of 'p1' exists."},
		{"service create --name s1 --description s metering -f json", `"metering"`},
		{"endpoint create --region Two metering public http://127.0.0.1:1/%(project_id)s -f json", `"Two"`},
		{"service show s1 -f json", `"metering"`},
		{"service delete s1", ""},
		{"region create Three -f json", `"Three"`},
		{"region delete Three", ""},
		{"token revoke " + token.ID, ""},
	}
	admin.script(steps)
	if _, err := c.Authenticate(t.Context(), token.ID); err == nil {
		t.Error("a token that was given back is still good")
	}
	demo := c.openstackClient(DemoUser, "demo")
	demo.script([]step{
		{"project create mine", "You are not authorized to perform the requested action: identity:create_project."},
		{"project list -f json", `"demo"`},
		{"project show demo -f json", `"parent_id": "default"`},
		{"user show demo -f json", `"demo"`},
		{"catalog list -f json", `"network"`},
		{"user password set --original-password " + c.passwords[DemoUser] + " --password changed", ""},
	})
	c.login(DemoUser, "changed", projectScope("demo"))
}

// The client makes a credential, and works with nothing else.
func TestOpenstackClientCredential(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many slow processes")
	}
	c := newCloud(t)
	demo := c.openstackClient(DemoUser, "demo")
	var made struct{ ID, Secret, Roles string }
	demo.run(&made, "application", "credential", "create", "--role", "reader", "--expiration", "2099-01-01T00:00:00", "--unrestricted", "ci", "-f", "json")
	if made.ID == "" || made.Secret == "" || made.Roles != "reader" {
		t.Errorf("application credential create prints %+v", made)
	}
	demo.run(nil, "application", "credential", "create", "ruled", "--access-rules", `[{"service":"network","method":"GET","path":"/v2.0/networks"}]`)
	env := slices.DeleteFunc(demo.env, func(v string) bool {
		return strings.HasPrefix(v, "OS_USER") || strings.HasPrefix(v, "OS_PASSWORD") || strings.HasPrefix(v, "OS_PROJECT")
	})
	program := openstackClient{c, append(env, "OS_AUTH_TYPE=v3applicationcredential", "OS_APPLICATION_CREDENTIAL_ID="+made.ID,
		"OS_APPLICATION_CREDENTIAL_SECRET="+made.Secret)}
	program.script([]step{
		{"token issue -f json", `"project_id"`},
		{"project list -f json", `"demo"`},
		{"application credential list -f json", `"ruled"`},
		{"application credential show ci -f json", `"reader"`},
		{"application credential create ci", "Duplicate entry found with name ci."},
		{"application credential delete ruled", ""},
		{"access rule list -f json", `"/v2.0/networks"`},
		{"application credential delete ci", ""},
	})
	if status, _, _ := c.do("", "POST", "/v3/auth/tokens", credentialBody(made.ID, made.Secret)); status != 401 {
		t.Errorf("after it was deleted: status %d", status)
	}
}

func TestGophercloudCredential(t *testing.T) {
	c := newCloud(t)
	ctx := t.Context()
	demo, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{IdentityEndpoint: c.server.URL, Username: DemoUser,
		Password: c.passwords[DemoUser], DomainID: "default", TenantName: "demo"})
	if err != nil {
		t.Fatal(err)
	}
	client, err := openstack.NewIdentityV3(demo, gophercloud.EndpointOpts{Region: "RegionOne"})
	if err != nil {
		t.Fatal(err)
	}
	user := c.find(c.admin(), "users", "demo")
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	made, err := gccredentials.Create(ctx, client, user, gccredentials.CreateOpts{Name: "ci", ExpiresAt: &ends,
		Roles: []gccredentials.Role{{Name: "reader"}}, AccessRules: []gccredentials.AccessRule{{Service: "network", Method: "GET", Path: "/v2.0/**"}}}).Extract()
	if err != nil || !made.ExpiresAt.Equal(ends) || len(made.Roles) != 1 || len(made.AccessRules) != 1 {
		t.Fatalf("%+v, error %v", made, err)
	}
	shown, err := gccredentials.Get(ctx, client, user, made.ID).Extract()
	if err != nil || shown.Name != "ci" || shown.Secret != "" {
		t.Errorf("%+v, error %v", shown, err)
	}
	byName, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{IdentityEndpoint: c.server.URL, Username: DemoUser, DomainID: "default",
		ApplicationCredentialName: "ci", ApplicationCredentialSecret: made.Secret})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.Look(ctx, byName.Token(), false); err != nil || len(s.Rules) != 1 || s.Caller.HasRole("member") {
		t.Errorf("%+v, error %v", s, err)
	}
	if err := gccredentials.Delete(ctx, client, user, made.ID).ExtractErr(); err != nil {
		t.Error(err)
	}
	if err := gccredentials.DeleteAccessRule(ctx, client, user, made.AccessRules[0].ID).ExtractErr(); err != nil {
		t.Error(err)
	}
}

func TestGophercloud(t *testing.T) {
	c := newCloud(t)
	ctx := context.Background()
	provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{IdentityEndpoint: c.server.URL, Username: AdminUser,
		Password: c.passwords[AdminUser], DomainID: "default", TenantName: "admin", AllowReauth: true})
	if err != nil {
		t.Fatal(err)
	}
	client, err := openstack.NewIdentityV3(provider, gophercloud.EndpointOpts{Region: "RegionOne"})
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := gctokens.Get(ctx, client, provider.Token()).ExtractServiceCatalog()
	if err != nil || len(catalog.Entries) != 2 || len(catalog.Entries[1].Endpoints) != 3 {
		t.Errorf("catalogue %+v, error %v", catalog, err)
	}
	project, err := gcprojects.Create(ctx, client, gcprojects.CreateOpts{Name: "p", DomainID: "default", Tags: []string{"a"}}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	user, err := gcusers.Create(ctx, client, gcusers.CreateOpts{Name: "u", DomainID: "default", Password: "pw", DefaultProjectID: project.ID,
		Extra: map[string]any{"email": "u@example.org"}}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if user.Extra["email"] != "u@example.org" || user.DefaultProjectID != project.ID {
		t.Errorf("user %+v", user)
	}
	pages, err := gcroles.List(client, gcroles.ListOpts{Name: "member"}).AllPages(ctx)
	if err != nil {
		t.Fatal(err)
	}
	member, err := gcroles.ExtractRoles(pages)
	if err != nil || len(member) != 1 {
		t.Fatalf("roles %v, error %v", member, err)
	}
	if err := gcroles.Assign(ctx, client, member[0].ID, gcroles.AssignOpts{UserID: user.ID, ProjectID: project.ID}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	result := gctokens.Create(ctx, client, &gctokens.AuthOptions{IdentityEndpoint: c.server.URL, UserID: user.ID, Password: "pw"})
	owner, err := result.ExtractProject()
	if err != nil || owner.ID != project.ID {
		t.Fatalf("the token is for %+v, error %v", owner, err)
	}
	if err := gcusers.Delete(ctx, client, user.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	if err := gcprojects.Delete(ctx, client, project.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
}
