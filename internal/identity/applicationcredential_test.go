package identity

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func credentialBody(id, secret string) string {
	return fmt.Sprintf(`{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":%q,"secret":%q}}}}`, id, secret)
}

// byCredential is a token made of an application credential.
func (c *cloud) byCredential(id, secret string) string {
	c.t.Helper()
	status, d, h := c.do("", "POST", "/v3/auth/tokens", credentialBody(id, secret))
	if status != 201 {
		c.t.Fatalf("status %d: %v", status, d)
	}
	return h.Get("X-Subject-Token")
}

// owner is a user and where the user's application credentials are.
type owner struct {
	*cloud
	token, id, path string
}

func (c *cloud) owner(name, token string) owner {
	c.t.Helper()
	id := c.find(c.admin(), "users", name)
	return owner{c, token, id, "/v3/users/" + id + "/application_credentials"}
}

// make makes a credential of attributes in JSON.
func (o owner) make(attributes string) doc {
	o.t.Helper()
	d := o.must(201, o.token, "POST", o.path, `{"application_credential":{`+attributes+`}}`)
	v, _ := d.at("application_credential").(map[string]any)
	return v
}

func names(list any) []string {
	var out []string
	l, _ := list.([]any)
	for _, v := range l {
		out = append(out, doc(v.(map[string]any)).str("name"))
	}
	slices.Sort(out)
	return out
}

func TestApplicationCredential(t *testing.T) {
	c := newCloud(t)
	o := c.owner("demo", c.demo())
	made := o.make(`"name":"ci","description":"for CI","expires_at":"2099-01-02T03:04:05"`)
	project := c.find(c.admin(), "projects", "demo")
	want := doc{"id": made.str("id"), "name": "ci", "description": "for CI", "user_id": o.id, "project_id": project, "system": nil,
		"expires_at": "2099-01-02T03:04:05.000000", "unrestricted": nil, "roles": made["roles"], "secret": made.str("secret"),
		"links": map[string]any{"self": c.server.URL + "/v3/application_credentials/" + made.str("id")}}
	if diff := cmp.Diff(want, made); diff != "" || len(made.str("secret")) != 86 {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := names(made["roles"]); !slices.Equal(got, []string{"member", "reader"}) {
		t.Errorf("roles %v", got)
	}
	delete(want, "secret")
	shown := c.must(200, o.token, "GET", o.path+"/"+made.str("id"), "")
	if diff := cmp.Diff(map[string]any(want), shown.at("application_credential")); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
	o.make(`"name":"other"`)
	if got := names(c.must(200, o.token, "GET", o.path, "").at("application_credentials")); !slices.Equal(got, []string{"ci", "other"}) {
		t.Errorf("listed: %v", got)
	}
	if got := names(c.must(200, o.token, "GET", o.path+"?name=ci", "").at("application_credentials")); !slices.Equal(got, []string{"ci"}) {
		t.Errorf("listed by name: %v", got)
	}
	c.must(204, o.token, "DELETE", o.path+"/"+made.str("id"), "")
	for _, method := range []string{"GET", "DELETE"} {
		d := c.must(404, o.token, method, o.path+"/"+made.str("id"), "")
		if got, want := d.str("error.message"), "Could not find Application Credential: "+made.str("id")+"."; got != want {
			t.Errorf("%s: %q, want %q", method, got, want)
		}
	}
	if n, err := c.db.Read(t.Context(), nil).Secret(made.str("id")); n != "" || err != nil {
		t.Errorf("its secret is kept: %q, %v", n, err)
	}
}

func TestCredentialToken(t *testing.T) {
	c := newCloud(t)
	o := c.owner("demo", c.demo())
	made := o.make(`"name":"ci","secret":"s3cret","roles":[{"name":"reader"}]`)
	for what, body := range map[string]string{
		"by id":                 credentialBody(made.str("id"), "s3cret"),
		"by name and user's id": `{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"name":"ci","secret":"s3cret","user":{"id":"` + o.id + `"}}}}}`,
		"by names":              `{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"name":"ci","secret":"s3cret","user":{"name":"demo","domain":{"name":"Default"}}}}}}`,
	} {
		d := c.must(201, "", "POST", "/v3/auth/tokens", body)
		if got := names(d.at("token.roles")); !slices.Equal(got, []string{"reader"}) || d.str("token.project.name") != "demo" || d.str("token.methods.0") != "application_credential" {
			t.Errorf("%s: %v", what, d)
		}
		want := map[string]any{"id": made.str("id"), "name": "ci", "restricted": true}
		if diff := cmp.Diff(want, d.at("token.application_credential")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	token := c.byCredential(made.str("id"), "s3cret")
	caller, err := c.Authenticate(t.Context(), token)
	if err != nil || !slices.Equal(caller.Roles, []string{"reader"}) || caller.ProjectName != "demo" {
		t.Errorf("%+v, error %v", caller, err)
	}
	// It cannot be exchanged for more.
	for _, scope := range []string{"", `,"scope":` + projectScope("demo")} {
		c.must(404, "", "POST", "/v3/auth/tokens", `{"auth":{"identity":{"methods":["token"],"token":{"id":"`+token+`"}}`+scope+`}}`)
	}
}

func TestCredentialRefused(t *testing.T) {
	c := newCloud(t)
	o := c.owner("demo", c.demo())
	made := o.make(`"name":"ci","secret":"s3cret"`)
	in := func(credential, rest string) string {
		return `{"auth":{"identity":{"methods":["application_credential"],"application_credential":` + credential + `}` + rest + `}}`
	}
	good := `{"id":"` + made.str("id") + `","secret":"s3cret"}`
	for body, want := range map[string]struct {
		status  int
		message string
	}{
		in(`{"id":"`+made.str("id")+`","secret":"wrong"}`, ""):               {401, "The request you have made requires authentication."},
		in(`{"id":"`+made.str("id")+`"}`, ""):                                {401, "The request you have made requires authentication."},
		in(`{"id":"none","secret":"s3cret"}`, ""):                            {401, "The request you have made requires authentication."},
		in(`{"name":"none","secret":"s3cret","user":{"id":"`+o.id+`"}}`, ""): {401, "The request you have made requires authentication."},
		in(good, `,"scope":`+projectScope("demo")):                           {401, "Error authenticating with application credential: Application credentials cannot request a scope."},
		in(`{"name":"ci","secret":"s3cret"}`, ""):                            {400, "Expecting to find user in application credential. " + incorrect},
		in(`{"secret":"s3cret"}`, ""):                                        {400, "Expecting to find name or ID in application credential. " + incorrect},
	} {
		if d := c.must(want.status, "", "POST", "/v3/auth/tokens", body); d.str("error.message") != want.message {
			t.Errorf("%s: %q, want %q", body, d.str("error.message"), want.message)
		}
	}
}

func TestCredentialRequests(t *testing.T) {
	c := newCloud(t)
	o := c.owner("demo", c.demo())
	o.make(`"name":"taken"`)
	other := c.owner("admin", c.admin())
	for attributes, want := range map[string]struct {
		status  int
		message string
	}{
		``:                                      {400, "'name' is a required property"},
		`"name":""`:                             {400, "Invalid input for field 'name': '' is too short"},
		`"name":"taken"`:                        {409, "Conflict occurred attempting to store application_credential - Duplicate entry found with name taken."},
		`"name":"a","roles":[{"name":"no"}]`:    {404, "Role no is not defined"},
		`"name":"a","roles":[{"name":"admin"}]`: {400, "Invalid application credential: Cannot create an application credential with unassigned role"},
		`"name":"a","roles":[{"id":"no"}]`:      {400, "Invalid application credential: Cannot create an application credential with unassigned role"},
		`"name":"a","roles":[{"id":"r","name":"n"}]`:                                   {400, "Invalid input for field 'roles': each has an id or a name and nothing else"},
		`"name":"a","roles":["member"]`:                                                {400, "Invalid input for field 'roles': [\"member\"] is not of type 'array'"},
		`"name":"a","expires_at":"2001-01-01T00:00:00Z"`:                               {400, "The 'expires_at' must not be before now. " + incorrect},
		`"name":"a","expires_at":"soon"`:                                               {400, "Timestamp not in expected format. " + incorrect},
		`"name":"a","unrestricted":"x"`:                                                {400, "Invalid input for field 'unrestricted': 'x' is not of type 'boolean'"},
		`"name":"a","secret":1`:                                                        {400, "Invalid input for field 'password': it is not of type 'string' or 'null'"},
		`"name":"a","foo":"bar"`:                                                       {400, "'foo' is an invalid keyword argument for ApplicationCredentialModel"},
		`"name":"a","access_rules":[{"id":"no"}]`:                                      {404, "Could not find Access Rule: no."},
		`"name":"a","access_rules":[{"path":"/"}]`:                                     {400, "Invalid input for field 'access_rules/service': '' is not the type of a service"},
		`"name":"a","access_rules":[{"x":"/"}]`:                                        {400, "Invalid input for field 'access_rules': Additional properties are not allowed ('x' was unexpected)"},
		`"name":"a","access_rules":[{"id":"a","path":"/a"}]`:                           {400, "Invalid input for field 'access_rules': a rule is given by its id or by what it says"},
		`"name":"a","access_rules":[{"service":"network","method":"GET","path":"x"}]`:  {400, `Invalid input for field 'access_rules/path': 'x' does not match '^\/.*'`},
		`"name":"a","access_rules":[{"service":"network","method":"get","path":"/x"}]`: {400, "Invalid input for field 'access_rules/method': 'get' does not match '^(POST|GET|HEAD|PATCH|PUT|DELETE)$'"},
	} {
		d := c.must(want.status, o.token, "POST", o.path, `{"application_credential":{`+attributes+`}}`)
		if got := d.str("error.message"); got != want.message {
			t.Errorf("%s: %q, want %q", attributes, got, want.message)
		}
	}
	if n, err := store.ApplicationCredentials.Count(c.db.Read(t.Context(), nil)); n != 1 || err != nil {
		t.Errorf("%d credentials after refusals, error %v", n, err)
	}
	// Nobody makes credentials of others; administrators may see and delete them.
	c.must(403, other.token, "POST", o.path, `{"application_credential":{"name":"a"}}`)
	c.must(403, o.token, "GET", other.path, "")
	c.must(403, o.token, "GET", other.path+"/x", "")
	c.must(403, o.token, "DELETE", other.path+"/x", "")
	list := c.must(200, other.token, "GET", o.path, "")
	id := list.str("application_credentials.0.id")
	c.must(404, other.token, "GET", other.path+"/"+id, "")
	c.must(204, other.token, "DELETE", o.path+"/"+id, "")
	unscoped := c.login("demo", c.passwords["demo"], `"unscoped"`)
	c.must(403, unscoped, "POST", o.path, `{"application_credential":{"name":"a"}}`)
}

// With a credential one makes no other, unless it is unrestricted; and then none
// that is good for more.
func TestRestricted(t *testing.T) {
	c := newCloud(t)
	o := c.owner("demo", c.demo())
	made := o.make(`"name":"ci","secret":"s"`)
	token := c.byCredential(made.str("id"), "s")
	for method, path := range map[string]string{"POST": o.path, "DELETE": o.path + "/" + made.str("id")} {
		d := c.must(403, token, method, path, `{"application_credential":{"name":"more"}}`)
		want := "You are not authorized to perform the requested action: Using method 'application_credential' is not allowed for managing additional application credentials.."
		if got := d.str("error.message"); got != want {
			t.Errorf("%s: %q", method, got)
		}
	}
	c.must(200, token, "GET", o.path, "")
	free := o.make(`"name":"free","secret":"s","unrestricted":true,"roles":[{"name":"reader"}]`)
	token = c.byCredential(free.str("id"), "s")
	c.must(400, token, "POST", o.path, `{"application_credential":{"name":"more","roles":[{"name":"member"}]}}`)
	less := c.must(201, token, "POST", o.path, `{"application_credential":{"name":"more"}}`)
	if got := names(less.at("application_credential.roles")); !slices.Equal(got, []string{"reader"}) {
		t.Errorf("roles %v", got)
	}
	c.must(204, token, "DELETE", o.path+"/"+less.str("application_credential.id"), "")
}

// Whatever happens to what a credential stands on, its tokens die with it.
func TestCredentialsDie(t *testing.T) {
	for what, happen := range map[string]func(c *cloud, admin string, o owner, id string){
		"deleted": func(c *cloud, _ string, o owner, id string) { c.must(204, o.token, "DELETE", o.path+"/"+id, "") },
		"ended":   func(c *cloud, _ string, _ owner, _ string) { c.clock += 11 * time.Minute },
		"role taken away": func(c *cloud, admin string, o owner, _ string) {
			c.must(204, admin, "DELETE", "/v3/projects/"+c.find(admin, "projects", "demo")+"/users/"+o.id+"/roles/"+c.find(admin, "roles", "member"), "")
		},
		"user disabled": func(c *cloud, admin string, o owner, _ string) {
			c.must(200, admin, "PATCH", "/v3/users/"+o.id, `{"user":{"enabled":false}}`)
			c.must(200, admin, "PATCH", "/v3/users/"+o.id, `{"user":{"enabled":true}}`)
		},
		"user deleted": func(c *cloud, admin string, o owner, _ string) { c.must(204, admin, "DELETE", "/v3/users/"+o.id, "") },
		"project deleted": func(c *cloud, admin string, _ owner, _ string) {
			c.must(204, admin, "DELETE", "/v3/projects/"+c.find(admin, "projects", "demo"), "")
		},
		"role deleted": func(c *cloud, admin string, _ owner, _ string) {
			c.must(204, admin, "DELETE", "/v3/roles/"+c.find(admin, "roles", "member"), "")
		},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCloud(t)
			admin, o := c.admin(), c.owner("demo", c.demo())
			end := time.Now().Add(10 * time.Minute).UTC().Format("2006-01-02T15:04:05.000000")
			made := o.make(`"name":"ci","secret":"s","expires_at":"` + end + `","access_rules":[{"service":"network","method":"GET","path":"/x"}]`)
			token := c.byCredential(made.str("id"), "s")
			if s, err := c.Look(t.Context(), token, false); err != nil || s.Expires.Format("2006-01-02T15:04:05.000000") != end {
				t.Fatalf("%+v, error %v; it ends %s", s, err, end)
			}
			happen(c, admin, o, made.str("id"))
			if _, err := c.Authenticate(t.Context(), token); !weft.IsKind(err, weft.Unauthorized) {
				t.Errorf("the token: %v", err)
			}
			c.must(401, "", "POST", "/v3/auth/tokens", credentialBody(made.str("id"), "s"))
		})
	}
}

func TestAccessRules(t *testing.T) {
	c := newCloud(t)
	o := c.owner("demo", c.demo())
	rule := `{"service":"network","method":"GET","path":"/v2.0/networks"}`
	one := o.make(`"name":"one","secret":"s","access_rules":[` + rule + `,` + rule + `]`)
	two := o.make(`"name":"two","access_rules":[` + rule + `,{"service":"identity","method":"GET","path":"/v3/users/*/**"}]`)
	id := one.str("access_rules.0.id")
	if one.len("access_rules") != 1 || two.len("access_rules") != 2 || two.str("access_rules.0.id") != id {
		t.Errorf("the same rule is made twice: %v, %v", one, two)
	}
	o.make(`"name":"three","access_rules":[{"id":"` + id + `"}]`)
	rules := strings.TrimSuffix(o.path, "application_credentials") + "access_rules"
	want := doc{"access_rule": map[string]any{"id": id, "service": "network", "method": "GET", "path": "/v2.0/networks",
		"links": map[string]any{"self": c.server.URL + "/v3/access_rules/" + id}}}
	if diff := cmp.Diff(want, c.must(200, o.token, "GET", rules+"/"+id, "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for query, n := range map[string]int{"": 2, "?service=network": 1, "?method=GET": 2, "?path=/x": 0} {
		if d := c.must(200, o.token, "GET", rules+query, ""); d.len("access_rules") != n {
			t.Errorf("%s: %v", query, d)
		}
	}
	d := c.must(403, o.token, "DELETE", rules+"/"+id, "")
	if got := d.str("error.message"); got != "May not delete access rule in use" {
		t.Error(got)
	}
	token := c.byCredential(one.str("id"), "s")
	s, err := c.Look(t.Context(), token, false)
	if err != nil || len(s.Rules) != 1 || s.Rules[0].Path != "/v2.0/networks" {
		t.Errorf("%+v, error %v", s, err)
	}
	// A token of a rule is good for no other request; who does not know rules is not
	// told of it.
	c.must(401, token, "GET", o.path, "")
	c.must(200, token, "GET", "/v3/auth/tokens", "", "X-Subject-Token", token, "OpenStack-Identity-Access-Rules", "1")
	c.must(404, o.token, "GET", "/v3/auth/tokens", "", "X-Subject-Token", token)
	for _, name := range []string{"one", "two", "three"} {
		list := c.must(200, o.token, "GET", o.path+"?name="+name, "")
		c.must(204, o.token, "DELETE", o.path+"/"+list.str("application_credentials.0.id"), "")
	}
	c.must(204, o.token, "DELETE", rules+"/"+id, "")
	d = c.must(404, o.token, "GET", rules+"/"+id, "")
	if got := d.str("error.message"); got != "Could not find Access Rule: "+id+"." {
		t.Error(got)
	}
}
