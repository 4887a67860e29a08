package identity

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft/internal/store"
)

func TestRefusals(t *testing.T) {
	c := newCloud(t)
	admin, demo := c.admin(), c.demo()
	adminUser, adminProject := c.find(admin, "users", "admin"), c.find(admin, "projects", "admin")
	member := c.find(admin, "roles", "member")
	noAccess := func(action string) string {
		return "You are not authorized to perform the requested action: " + action + "."
	}
	const noToken = "The request you have made requires authentication."
	tests := []struct {
		token, method, path, body string
		status                    int
		message                   string
	}{
		{"", "GET", "/v3/projects", "", 401, noToken},
		{"rubbish", "GET", "/v3/projects", "", 401, noToken},
		{"", "DELETE", "/v3/auth/tokens", "", 401, noToken},

		{demo, "POST", "/v3/projects", `{"project":{"name":"x"}}`, 403, noAccess("identity:create_project")},
		{demo, "GET", "/v3/projects", "", 403, noAccess("identity:list_projects")},
		{demo, "GET", "/v3/projects/" + adminProject, "", 403, noAccess("identity:get_project")},
		{demo, "GET", "/v3/projects/nowhere", "", 403, noAccess("identity:get_project")},
		{demo, "GET", "/v3/users", "", 403, noAccess("identity:list_users")},
		{demo, "GET", "/v3/users/" + adminUser, "", 403, noAccess("identity:get_user")},
		{demo, "GET", "/v3/users/" + adminUser + "/projects", "", 403, noAccess("identity:list_user_projects")},
		{demo, "GET", "/v3/role_assignments", "", 403, noAccess("identity:list_role_assignments")},
		{demo, "PUT", "/v3/projects/" + adminProject + "/users/" + adminUser + "/roles/" + member, "", 403, noAccess("identity:create_grant")},
		{demo, "DELETE", "/v3/projects/" + adminProject + "/users/" + adminUser + "/roles/" + member, "", 403, noAccess("identity:revoke_grant")},
		{demo, "PUT", "/v3/system/users/" + adminUser + "/roles/" + member, "", 403, noAccess("identity:create_grant")},

		{admin, "GET", "/v3/projects/nowhere", "", 404, "Could not find project: nowhere."},
		{admin, "PATCH", "/v3/users/nobody", `{"user":{}}`, 404, "Could not find user: nobody."},
		{admin, "DELETE", "/v3/roles/none", "", 404, "Could not find role: none."},
		{admin, "GET", "/v3/domains/none", "", 404, "Could not find domain: none."},
		{admin, "GET", "/v3/regions/none", "", 404, "Could not find region: none."},
		{admin, "POST", "/v3/projects", `{"project":{"name":"x","domain_id":"none"}}`, 404, "Could not find domain: none."},
		{admin, "POST", "/v3/projects", `{"project":{"name":"x","parent_id":"none"}}`, 404, "Could not find project: none."},
		{admin, "POST", "/v3/endpoints", `{"endpoint":{"service_id":"none","interface":"public","url":"http://x"}}`, 404, "Could not find service: none."},
		{admin, "PUT", "/v3/projects/" + adminProject + "/users/" + adminUser + "/roles/none", "", 404, "Could not find role: none."},
		{admin, "HEAD", "/v3/projects/" + adminProject + "/users/" + adminUser + "/roles/" + member, "", 404, ""},
		{admin, "GET", "/v3/projects/" + adminProject + "/users/" + adminUser + "/roles/" + member, "", 404,
			"Could not find role assignment with role: " + member + ", user or group: " + adminUser + ", project, domain, or system: " + adminProject + "."},
		{admin, "GET", "/v3/nothing", "", 404, errNoURL.Message},
		{admin, "GET", "/v3/projects/%00", "", 404, errNoURL.Message},
		{admin, "GET", "/v3/projects?name=%ff", "", 400, "The query is not valid text."},
		{admin, "PUT", "/v3/projects", "", 405, "The method is not allowed for the requested URL."},

		{admin, "POST", "/v3/projects", `{"project":{"name":"demo"}}`, 409, "Conflict occurred attempting to store project - Duplicate entry found with name demo at domain ID default."},
		{admin, "PATCH", "/v3/projects/" + adminProject, `{"project":{"name":"demo"}}`, 409, "Conflict occurred attempting to store project - Duplicate entry found with name demo at domain ID default."},
		{admin, "POST", "/v3/users", `{"user":{"name":"demo"}}`, 409, "Conflict occurred attempting to store user - Duplicate entry found with name demo at domain ID default."},
		{admin, "POST", "/v3/roles", `{"role":{"name":"member"}}`, 409, "Conflict occurred attempting to store role - Duplicate entry found with name member."},
		{admin, "POST", "/v3/domains", `{"domain":{"name":"Default"}}`, 409, "Conflict occurred attempting to store domain - Duplicate entry found with name Default."},
		{admin, "POST", "/v3/regions", `{"region":{"id":"RegionOne"}}`, 409, "Conflict occurred attempting to store region - Duplicate ID, RegionOne."},

		{admin, "POST", "/v3/projects", `{"project":{}}`, 400, "'name' is a required property"},
		{admin, "POST", "/v3/projects", `{"user":{"name":"x"}}`, 400, "'project' is a required property"},
		{admin, "POST", "/v3/projects", `{"project":[]}`, 400, "Invalid input for field 'project': [] is not of type 'object'"},
		{admin, "POST", "/v3/projects", `{"project":{"name":null}}`, 400, "Invalid input for field 'name': None is not of type 'string'"},
		{admin, "POST", "/v3/projects", `{"project":{"name":"  "}}`, 400, "Invalid input for field 'name': '  ' is too short"},
		{admin, "POST", "/v3/projects", `{"project":{"name":"` + strings.Repeat("n", 65) + `"}}`, 400, "Invalid input for field 'name': '" + strings.Repeat("n", 65) + "' is too long"},
		{admin, "POST", "/v3/projects", `{"project":{"name":"x","enabled":"yes"}}`, 400, "Invalid input for field 'enabled': 'yes' is not of type 'boolean'"},
		{admin, "PATCH", "/v3/projects/" + adminProject, `{"project":{"domain_id":"other"}}`, 400, "Cannot change domain_id."},
		{admin, "POST", "/v3/users", `{"user":{"name":"x","password":7}}`, 400, "Invalid input for field 'password': it is not of type 'string' or 'null'"},
		{admin, "POST", "/v3/endpoints", `{"endpoint":{"service_id":"x","interface":"secret","url":"http://x"}}`, 400, "Invalid input for field 'interface': 'secret' is not one of ['admin', 'internal', 'public']"},
		{admin, "POST", "/v3/endpoints", `{"endpoint":{"service_id":"x","interface":"public","url":"nowhere"}}`, 400, "Invalid input for field 'url': 'nowhere' is not a 'uri'"},

		{admin, "DELETE", "/v3/domains/default", "", 403, noAccess("Cannot delete the default domain")},
		{admin, "GET", "/v3/auth/tokens", "", 400, "The header X-Subject-Token is missing."},
	}
	before := c.head()
	for _, tt := range tests {
		status, d, _ := c.do(tt.token, tt.method, tt.path, tt.body)
		want := doc{"error": map[string]any{"code": float64(tt.status), "title": http.StatusText(tt.status), "message": tt.message}}
		if tt.method == "HEAD" {
			want = nil
		}
		if diff := cmp.Diff(want, d); status != tt.status || diff != "" {
			t.Errorf("%s %s %s: status %d, want %d (-want +got):\n%s", tt.method, tt.path, tt.body, status, tt.status, diff)
		}
	}
	if after := c.head(); after != before {
		t.Errorf("refused requests have made %d changes", after-before)
	}
}

func (c *cloud) head() int64 {
	c.t.Helper()
	n, err := c.db.Read(c.t.Context(), nil).Head()
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// collections is every collection, with a noun that can be made in it.
var collections = map[string]string{
	"domains":  `{"domain":{"name":"n"}}`,
	"projects": `{"project":{"name":"n"}}`,
	"users":    `{"user":{"name":"n"}}`,
	"groups":   `{"group":{"name":"n"}}`,
	"roles":    `{"role":{"name":"n"}}`,
	"regions":  `{"region":{"id":"n"}}`,
	"services": `{"service":{"type":"n"}}`,
}

func TestMembersMayNotWrite(t *testing.T) {
	c := newCloud(t)
	demo, admin := c.demo(), c.admin()
	c.must(201, admin, "POST", "/v3/groups", collections["groups"])
	before := c.head()
	for plural, body := range collections {
		singular := strings.TrimSuffix(plural, "s")
		one := c.must(200, admin, "GET", "/v3/"+plural, "").str(plural + ".0.id")
		c.must(403, demo, "POST", "/v3/"+plural, body)
		c.must(403, demo, "PATCH", "/v3/"+plural+"/"+one, `{"`+singular+`":{}}`)
		c.must(403, demo, "DELETE", "/v3/"+plural+"/"+one, "")
		c.must(403, demo, "DELETE", "/v3/"+plural+"/none", "")
	}
	me := c.must(200, admin, "GET", "/v3/users?name=demo", "").str("users.0.id")
	c.must(403, demo, "PATCH", "/v3/users/"+me, `{"user":{"enabled":true}}`)
	if c.head() != before {
		t.Error("something has changed")
	}
}

func TestMembersSeeThemselves(t *testing.T) {
	c := newCloud(t)
	demo, admin := c.demo(), c.admin()
	me, mine := c.find(admin, "users", "demo"), c.find(admin, "projects", "demo")
	for path, want := range map[string]string{
		"/v3/users/" + me:                "user.name=demo",
		"/v3/users/" + me + "/projects":  "projects.0.name=demo",
		"/v3/users/" + me + "/groups":    "links.next=<nil>",
		"/v3/projects/" + mine:           "project.parent_id=default",
		"/v3/projects/" + mine + "/tags": "links.next=<nil>",
		"/v3/domains/default":            "domain.name=Default",
		"/v3/auth/projects":              "projects.0.id=" + mine,
		"/v3/auth/domains":               "domains.0=<nil>",
		"/v3/auth/system":                "system.0=<nil>",
		"/v3/auth/catalog":               "catalog.0.endpoints.0.region=RegionOne",
		"/v3/regions":                    "regions.0.id=RegionOne",
	} {
		d := c.must(200, demo, "GET", path, "")
		at, value, _ := strings.Cut(want, "=")
		if got := fmt.Sprint(d.at(at)); got != value {
			t.Errorf("GET %s: %s is %s, want %s", path, at, got, value)
		}
	}
	unscoped := c.login("demo", c.passwords["demo"], "")
	c.must(200, unscoped, "GET", "/v3/auth/projects", "")
	c.must(403, unscoped, "GET", "/v3/auth/catalog", "")
}

func TestSystemReadersSeeAll(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	c.must(204, admin, "PUT", "/v3/system/users/"+c.find(admin, "users", "demo")+"/roles/"+c.find(admin, "roles", "reader"), "")
	reader := c.login("demo", c.passwords["demo"], `{"system":{"all":true}}`)
	for plural, body := range collections {
		c.must(200, reader, "GET", "/v3/"+plural, "")
		c.must(403, reader, "POST", "/v3/"+plural, body)
	}
	c.must(200, reader, "GET", "/v3/role_assignments", "")
}

func TestDocuments(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	tests := []struct {
		path, body string
		want       map[string]any // without id and links
	}{
		{"/v3/domains", `{"domain":{"name":"d","description":null}}`,
			map[string]any{"name": "d", "description": "", "enabled": true, "tags": []any{}, "options": map[string]any{}}},
		{"/v3/projects", `{"project":{"name":"p","tags":["b","a","b"],"colour":"red","is_domain":false,"id":"mine"}}`,
			map[string]any{"name": "p", "domain_id": "default", "parent_id": "default", "description": "", "enabled": true, "is_domain": false,
				"tags": []any{"a", "b"}, "options": map[string]any{}, "colour": "red"}},
		{"/v3/users", `{"user":{"name":"u","email":"u@example.org","options":{"lock_password":true},"enabled":false}}`,
			map[string]any{"name": "u", "domain_id": "default", "default_project_id": nil, "enabled": false, "email": "u@example.org",
				"password_expires_at": nil, "options": map[string]any{"lock_password": true}}},
		{"/v3/groups", `{"group":{"name":"g"}}`, map[string]any{"name": "g", "domain_id": "default", "description": ""}},
		{"/v3/roles", `{"role":{"name":"r"}}`, map[string]any{"name": "r", "domain_id": nil, "description": nil, "options": map[string]any{}}},
		{"/v3/regions", `{"region":{"id":"Two","parent_region_id":"RegionOne"}}`, map[string]any{"description": "", "parent_region_id": "RegionOne"}},
		{"/v3/services", `{"service":{"type":"metering"}}`, map[string]any{"type": "metering", "name": "", "description": "", "enabled": true}},
	}
	for _, tt := range tests {
		d := c.must(201, admin, "POST", tt.path, tt.body)
		if len(d) != 1 {
			t.Fatalf("POST %s answers %v", tt.path, d)
		}
		for singular, v := range d {
			made := v.(map[string]any)
			id := made["id"].(string)
			shown := c.must(200, admin, "GET", tt.path+"/"+id, "")
			if diff := cmp.Diff(d, shown); diff != "" {
				t.Errorf("%s as made and as shown (-made +shown):\n%s", singular, diff)
			}
			if self := d.str(singular + ".links.self"); self != c.server.URL+tt.path+"/"+id {
				t.Errorf("%s links to %s", singular, self)
			}
			if singular != "region" && len(id) != 32 {
				t.Errorf("the id of a %s is %q", singular, id)
			}
			delete(made, "id")
			delete(made, "links")
			if diff := cmp.Diff(tt.want, made); diff != "" {
				t.Errorf("%s (-want +got):\n%s", singular, diff)
			}
			if singular == "domain" {
				c.must(200, admin, "PATCH", tt.path+"/"+id, `{"domain":{"enabled":false}}`)
			}
			c.must(204, admin, "DELETE", tt.path+"/"+id, "")
		}
	}
}

func TestFilters(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	d := c.must(201, admin, "POST", "/v3/domains", `{"domain":{"name":"d"}}`).str("domain.id")
	p := c.must(201, admin, "POST", "/v3/projects", `{"project":{"name":"p","domain_id":"`+d+`","tags":["red","big"],"enabled":false}}`).str("project.id")
	c.must(201, admin, "POST", "/v3/projects", `{"project":{"name":"demo","domain_id":"`+d+`","tags":["red"]}}`)
	for path, want := range map[string]int{
		"projects": 5, "projects?domain_id=" + d: 2, "projects?name=demo": 2, "projects?name=demo&domain_id=default": 1,
		"projects?enabled=false": 1, "projects?enabled=True&domain_id=" + d: 1, "projects?parent_id=" + d: 2, "projects?is_domain=true": 0,
		"projects?tags=red": 2, "projects?tags=red,big": 1, "projects?tags-any=big,small": 1, "projects?not-tags=red,big": 4, "projects?not-tags-any=red": 3,
		"projects?name=": 0, "projects?unknown=x": 5,
		"users": 2, "users?name=demo": 1, "users?domain_id=" + d: 0, "users?enabled=0": 0,
		"roles": 5, "roles?name=member": 1, "roles?domain_id=" + d: 0, "domains?name=d": 1, "domains?enabled=true": 2,
		"services?type=network": 1, "services?name=keystone": 1, "endpoints": 6, "endpoints?interface=public": 2, "endpoints?region_id=Two": 0,
		"role_assignments": 3, "role_assignments?scope.system=all": 1, "role_assignments?effective": 10,
		"role_assignments?scope.project.id=" + p: 0, "role_assignments?role.id=" + c.find(admin, "roles", "reader"): 0,
		"role_assignments?effective&role.id=" + c.find(admin, "roles", "reader"): 3,
		"role_assignments?user.id=" + c.find(admin, "users", "admin"):            2, "role_assignments?group.id=x": 0,
	} {
		plural, _, _ := strings.Cut(path, "?")
		got := c.must(200, admin, "GET", "/v3/"+path, "")
		if got.len(plural) != want || got.str("links.self") != c.server.URL+"/v3/"+path {
			t.Errorf("GET %s: %d, want %d; links %v", path, got.len(plural), want, got["links"])
		}
	}
	named := c.must(200, admin, "GET", "/v3/role_assignments?include_names=True&scope.project.id="+c.find(admin, "projects", "service"), "")
	if named.len("role_assignments") != 0 {
		t.Errorf("assignments %v", named)
	}
	demo := c.must(200, admin, "GET", "/v3/role_assignments?include_names=True&user.id="+c.find(admin, "users", "demo"), "")
	if got := demo.str("role_assignments.0.scope.project.domain.name") + demo.str("role_assignments.0.role.name"); got != "Defaultmember" {
		t.Errorf("assignments %v", demo)
	}
}

func TestProjectTree(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	parent, ids := "", []string{}
	for i := range maxDepth {
		body := fmt.Sprintf(`{"project":{"name":"p%d"}}`, i)
		if parent != "" {
			body = fmt.Sprintf(`{"project":{"name":"p%d","parent_id":%q}}`, i, parent)
		}
		parent = c.must(201, admin, "POST", "/v3/projects", body).str("project.id")
		ids = append(ids, parent)
	}
	c.must(403, admin, "POST", "/v3/projects", fmt.Sprintf(`{"project":{"name":"deep","parent_id":%q}}`, parent))
	c.must(403, admin, "DELETE", "/v3/projects/"+ids[0], "")
	c.must(403, admin, "PATCH", "/v3/projects/"+ids[0], `{"project":{"enabled":false}}`)
	c.must(400, admin, "PATCH", "/v3/projects/"+ids[0], fmt.Sprintf(`{"project":{"parent_id":%q}}`, ids[1]))
	c.must(204, admin, "DELETE", "/v3/projects/"+parent, "")
}

func TestProjectTags(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	path := "/v3/projects/" + c.find(admin, "projects", "demo") + "/tags"
	c.must(201, admin, "PUT", path+"/one", "")
	c.must(200, admin, "PUT", path, `{"tags":["two","three"]}`)
	c.must(204, admin, "GET", path+"/two", "")
	c.must(404, admin, "GET", path+"/one", "")
	c.must(404, admin, "DELETE", path+"/one", "")
	c.must(204, admin, "DELETE", path+"/two", "")
	c.must(400, admin, "PUT", path, `{"tags":["a,b"]}`)
	c.must(403, c.demo(), "DELETE", path, "")
	if d := c.must(200, admin, "GET", path, ""); d.len("tags") != 1 || d.str("tags.0") != "three" {
		t.Errorf("tags %v", d)
	}
}

// What is deleted leaves nothing behind.
func TestDeleteDomain(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	count := func() (n int) {
		tx := c.db.Read(t.Context(), nil)
		for _, table := range []string{"projects", "users", "user_groups", "group_members", "roles", "role_assignments", "user_passwords"} {
			var rows int
			if _, err := tx.QueryRow("SELECT COUNT(*) FROM "+table, nil, &rows); err != nil {
				t.Fatal(err)
			}
			n += rows
		}
		return n
	}
	before := count()
	d := c.must(201, admin, "POST", "/v3/domains", `{"domain":{"name":"d"}}`).str("domain.id")
	in := `"domain_id":"` + d + `"`
	p := c.must(201, admin, "POST", "/v3/projects", `{"project":{"name":"p",`+in+`}}`).str("project.id")
	c.must(201, admin, "POST", "/v3/projects", `{"project":{"name":"q","parent_id":"`+p+`",`+in+`}}`)
	u := c.must(201, admin, "POST", "/v3/users", `{"user":{"name":"u","password":"x","default_project_id":"`+p+`",`+in+`}}`).str("user.id")
	g := c.must(201, admin, "POST", "/v3/groups", `{"group":{"name":"g",`+in+`}}`).str("group.id")
	r := c.must(201, admin, "POST", "/v3/roles", `{"role":{"name":"r",`+in+`}}`).str("role.id")
	c.must(204, admin, "PUT", "/v3/groups/"+g+"/users/"+u, "")
	c.must(204, admin, "PUT", "/v3/projects/"+p+"/users/"+u+"/roles/"+r, "")
	c.must(204, admin, "PUT", "/v3/domains/"+d+"/groups/"+g+"/roles/"+c.find(admin, "roles", "reader"), "")
	c.must(403, admin, "DELETE", "/v3/domains/"+d, "")
	c.must(200, admin, "PATCH", "/v3/domains/"+d, `{"domain":{"enabled":false}}`)
	c.must(204, admin, "DELETE", "/v3/domains/"+d, "")
	if after := count(); after != before {
		t.Errorf("%d rows are left behind", after-before)
	}
}

// Whatever is sent, the answer is never that the server is at fault.
func TestHostileBodies(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	values := []string{`null`, `true`, `0`, `-1e999`, `1e999`, `"x"`, `""`, `"\u0000"`, `"\ud800"`, "\"\xff\"", `[]`, `[null]`, `{}`, `{"":null}`, `{"a":{"b":[1e999]}}`,
		`"` + strings.Repeat("ä", 5000) + `"`, strings.Repeat("[", 5000) + strings.Repeat("]", 5000)}
	const also = "password extra epoch \\u0000 tenant_id"
	endpoints := map[string]string{"endpoints": `{"endpoint":{"service_id":"x"}}`}
	for plural := range collections {
		endpoints[plural] = collections[plural]
	}
	service := c.find(admin, "services", "neutron")
	for plural := range endpoints {
		singular := strings.TrimSuffix(plural, "s")
		list := c.must(200, admin, "GET", "/v3/"+plural, "")
		one := list.str(plural + ".0.id")
		shown, _ := list.at(plural + ".0").(map[string]any)
		fields := append(strings.Fields(also), slices.Collect(maps.Keys(shown))...)
		if plural == "users" || plural == "projects" || plural == "domains" { // not those that the test works with
			one = "none"
		}
		for _, v := range values {
			bodies := []string{v, `{"` + singular + `":` + v + `}`}
			for _, f := range fields {
				bodies = append(bodies, fmt.Sprintf(`{%q:{"name":%q,"type":"t","service_id":%q,"interface":"public","url":"http://x","%s":%s}}`, singular, newID(), service, f, v))
			}
			for _, body := range bodies {
				for _, target := range [][2]string{{"POST", "/v3/" + plural}, {"PATCH", "/v3/" + plural + "/" + one}} {
					if status, d, _ := c.do(admin, target[0], target[1], body); status >= 500 {
						t.Fatalf("%s %s %.200s: status %d, %v", target[0], target[1], body, status, d)
					}
				}
			}
		}
		c.must(200, admin, "GET", "/v3/"+plural, "")
	}
	for _, v := range values {
		for _, body := range []string{v, `{"auth":` + v + `}`, `{"auth":{"identity":` + v + `}}`, `{"auth":{"identity":{"methods":` + v + `}}}`,
			`{"auth":{"identity":{"methods":["password"],"password":` + v + `}}}`,
			`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":` + v + `,"domain":{"id":` + v + `},"password":` + v + `}}}}}`,
			passwordBody("demo", c.passwords["demo"], v), passwordBody("demo", c.passwords["demo"], `{"project":{"name":`+v+`,"domain":`+v+`}}`)} {
			if status, d, _ := c.do("", "POST", "/v3/auth/tokens", body); status >= 500 {
				t.Fatalf("%.200s: status %d, %v", body, status, d)
			}
		}
	}
}

func TestBootstrap(t *testing.T) {
	c := newCloud(t)
	admin := c.admin()
	c.must(204, admin, "DELETE", "/v3/users/"+c.find(admin, "users", "demo"), "")
	public := c.must(200, admin, "GET", "/v3/endpoints?interface=public", "")
	var byHand string
	for i := range public.len("endpoints") {
		if id := public.str(fmt.Sprintf("endpoints.%d.id", i)); public.str(fmt.Sprintf("endpoints.%d.url", i)) == testNetworkURL {
			byHand = id
			c.must(200, admin, "PATCH", "/v3/endpoints/"+id, `{"endpoint":{"url":"http://by.hand"}}`)
		}
	}
	before := c.head()
	same := Bootstrap{IdentityURL: c.server.URL + "/v3", NetworkURL: testNetworkURL, Server: "a",
		Passwords: map[string]string{"admin": "another"}}
	if passwords, err := c.Bootstrap(t.Context(), same); err != nil || passwords != nil || c.head() != before {
		t.Errorf("a second bootstrap: passwords %v, error %v, %d changes", passwords, err, c.head()-before)
	}
	same.NetworkURL = "http://127.0.0.1:19696"
	if _, err := c.Bootstrap(t.Context(), same); err != nil || c.head() != before+2 {
		t.Errorf("a bootstrap at a new URL: error %v, %d changes", err, c.head()-before)
	}
	if d := c.must(200, admin, "GET", "/v3/endpoints/"+byHand, ""); d.str("endpoint.url") != "http://by.hand" {
		t.Errorf("the endpoint that was set by hand is at %s", d.str("endpoint.url"))
	}
	if d := c.must(200, admin, "GET", "/v3/users?name=demo", ""); d.len("users") != 0 {
		t.Error("a deleted user is back")
	}
	if _, err := c.ResetPassword(t.Context(), "demo", ""); err == nil {
		t.Error("the password of a deleted user is reset")
	}
	reset, err := c.ResetPassword(t.Context(), "admin", "")
	if err != nil || reset == "" {
		t.Fatal(err)
	}
	c.login("admin", reset, projectScope("admin"))
	c.must(401, admin, "GET", "/v3/users", "")
}

func TestBootstrapWithPasswords(t *testing.T) {
	db, err := store.Open(t.Context(), "sqlite:"+t.TempDir()+"/weft.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := New(t.Context(), Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	passwords, err := s.Bootstrap(t.Context(), Bootstrap{IdentityURL: "http://x/v3", NetworkURL: "http://y", Passwords: map[string]string{"admin": "chosen"}})
	if err != nil || passwords["admin"] != "chosen" || len(passwords["demo"]) < 20 {
		t.Fatalf("passwords %v, error %v", passwords, err)
	}
	for user, password := range passwords {
		if _, err := s.checkPassword(t.Context(), "", userRef{name: user, domain: domainRef{name: "Default"}}, password); err != nil {
			t.Errorf("%s cannot log in: %v", user, err)
		}
	}
}

// Load balancers ask on this port too, without a token and by any method.
func TestHealthcheck(t *testing.T) {
	c := newCloud(t)
	for method, want := range map[string]int{"GET": 200, "POST": 200, "OPTIONS": 200, "HEAD": 204} {
		for _, path := range []string{"/healthcheck", "/healthcheck/"} {
			rq, err := http.NewRequestWithContext(t.Context(), method, c.server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.DefaultClient.Do(rq)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != want || method != "HEAD" && string(body) != "OK" {
				t.Errorf("%s %s: %d %q", method, path, res.StatusCode, body)
			}
		}
	}
}
