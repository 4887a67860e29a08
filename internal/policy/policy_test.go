package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
)

func TestDefaultsAreSound(t *testing.T) {
	e := must(t, nil)
	if p := e.Problems(); len(p) > 0 {
		t.Error(strings.Join(p, "\n"))
	}
	admin := &weft.Caller{Roles: []string{"admin"}}
	// What is no permission but says something about the target, or another role.
	aboutOthers := map[string]bool{"owner": true, "network_owner": true, "sg_owner": true, "ext_parent_owner": true,
		"context_is_advsvc": true, "service_api": true, "external": true, "external_network": true, "network_device": true}
	for name := range e.rules {
		if !e.Allow(name, admin, nil) && !aboutOthers[name] && !strings.HasPrefix(name, "shared") {
			t.Errorf("%s refuses the admin", name)
		}
	}
}

// The names that operators override most; a typo in the table would make one of
// them a rule that nobody asks for.
func TestNamesAreNeutrons(t *testing.T) {
	e := must(t, nil)
	for _, name := range strings.Fields(`
		context_is_admin admin_only admin_or_owner default regular_user shared external
		create_network create_network:shared create_network:router:external create_network:provider:network_type
		create_network:provider:physical_network create_network:provider:segmentation_id create_network:segments
		create_network:is_default create_network:port_security_enabled get_network get_network:provider:network_type
		get_network:segments update_network update_network:shared update_network:router:external delete_network
		create_subnet create_subnet:segment_id create_subnet:service_types get_subnet get_subnet:segment_id update_subnet delete_subnet
		create_port create_port:device_owner create_port:mac_address create_port:fixed_ips create_port:fixed_ips:ip_address
		create_port:fixed_ips:subnet_id create_port:port_security_enabled create_port:binding:host_id create_port:binding:profile
		create_port:binding:vnic_type create_port:allowed_address_pairs create_port:allowed_address_pairs:mac_address
		create_port:allowed_address_pairs:ip_address get_port get_port:binding:vif_type get_port:binding:vif_details
		get_port:binding:host_id get_port:binding:profile get_port:resource_request update_port update_port:device_owner
		update_port:mac_address update_port:fixed_ips update_port:fixed_ips:ip_address update_port:fixed_ips:subnet_id
		update_port:port_security_enabled update_port:binding:host_id update_port:data_plane_status delete_port
		create_subnetpool create_subnetpool:shared create_subnetpool:is_default update_subnetpool:is_default add_prefixes remove_prefixes
		create_address_scope create_address_scope:shared update_address_scope:shared
		create_security_group get_security_group update_security_group delete_security_group
		create_security_group_rule get_security_group_rule delete_security_group_rule
		create_router create_router:distributed create_router:ha create_router:external_gateway_info
		create_router:external_gateway_info:network_id create_router:external_gateway_info:enable_snat
		create_router:external_gateway_info:external_fixed_ips get_router get_router:distributed get_router:ha
		update_router:external_gateway_info:enable_snat delete_router add_router_interface remove_router_interface
		add_extraroutes remove_extraroutes
		create_floatingip create_floatingip:floating_ip_address get_floatingip update_floatingip delete_floatingip
		create_rbac_policy create_rbac_policy:target_tenant update_rbac_policy:target_tenant
		get_agent update_agent delete_agent create_dhcp-network get_dhcp-networks delete_dhcp-network create_l3-router get_l3-routers
		delete_l3-router get_dhcp-agents get_l3-agents get_availability_zone get_service_provider get_quota update_quota delete_quota
		create_network:tags get_network:tags update_port:tags delete_router:tags`) {
		if !e.Has(name) {
			t.Errorf("there is no %s", name)
		}
	}
	if e.Has("update_security_group_rule") {
		t.Error("rules of security groups cannot be updated")
	}
}

// caller has the role in project p; "a+b" has two, "" none.
func caller(roles string) *weft.Caller {
	c := &weft.Caller{UserID: "u", ProjectID: "p"}
	if roles != "" {
		c.Roles = strings.Split(roles, "+")
	}
	return c
}

func on(pairs ...any) Target {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return func(name string) any { return m[name] }
}

func must(t testing.TB, overrides map[string]string) *Enforcer {
	t.Helper()
	e, err := New(overrides)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestWhoMay lists, for each rule and kind of ownership, which roles are let
// through.
func TestWhoMay(t *testing.T) {
	e := must(t, nil)
	roles := []string{"", "reader", "member", "manager", "admin", "service", "advsvc"}
	mine, theirs := on("project_id", "p"), on("project_id", "q")
	myNet := on("project_id", "q", "network:tenant_id", "p", "device_owner", "network:dhcp")
	theirNet := on("project_id", "p", "network:tenant_id", "q", "device_owner", "network:dhcp")
	const writers, readers, nobodyElse = "member manager admin", "reader member manager admin", "admin"
	for _, tt := range []struct {
		rule   string
		on     string
		target Target
		want   string
	}{
		{"create_network", "mine", mine, writers},
		{"create_network", "theirs", theirs, nobodyElse},
		{"create_network:shared", "mine", mine, nobodyElse},
		{"create_network:provider:segmentation_id", "mine", mine, nobodyElse},
		{"create_network:port_security_enabled", "mine", mine, writers},
		{"get_network", "mine", mine, readers + " service advsvc"},
		{"get_network", "theirs", theirs, "admin service advsvc"},
		{"get_network", "shared", on("project_id", "q", "shared", true), "* reader member manager admin service advsvc"},
		{"get_network", "external", on("project_id", "q", "router:external", true), "* reader member manager admin service advsvc"},
		{"get_network", "not shared", on("project_id", "q", "shared", false), "admin service advsvc"},
		{"get_network:provider:network_type", "mine", mine, nobodyElse},
		{"update_network", "mine", mine, writers},
		{"delete_network", "theirs", theirs, nobodyElse},

		{"create_subnet", "own network", myNet, writers},
		{"create_subnet", "their network", theirNet, nobodyElse},
		{"update_subnet", "own", theirNet, writers},
		{"get_subnet", "own network", myNet, readers + " service"},

		{"create_port", "mine", mine, writers + " service"},
		{"get_port", "own network", myNet, readers + " service advsvc"},
		{"update_port", "own network", myNet, "admin service advsvc"},
		{"delete_port", "own network", myNet, writers + " service advsvc"},
		{"create_port:device_owner", "an instance", on("device_owner", "compute:nova"), "* reader member manager admin service advsvc"},
		{"create_port:device_owner", "their network", theirNet, "admin service advsvc"},
		{"create_port:device_owner", "own network", myNet, writers + " service advsvc"},
		{"create_port:mac_address", "own network", myNet, writers + " service advsvc"},
		{"update_port:mac_address", "own network", myNet, "manager admin service advsvc"},
		{"create_port:fixed_ips:ip_address", "their network", theirNet, "admin service advsvc"},
		{"create_port:fixed_ips:subnet_id", "shared network", on("project_id", "p", "network:tenant_id", "q", "network:shared", true),
			"* reader member manager admin service advsvc"},
		{"create_port:binding:host_id", "mine", mine, "admin service"},
		{"update_port:data_plane_status", "mine", mine, nobodyElse},

		{"create_security_group_rule", "own group", on("security_group:tenant_id", "p"), writers},
		{"create_security_group_rule", "their group", on("project_id", "p", "security_group:tenant_id", "q"), nobodyElse},
		{"add_router_interface", "mine", mine, writers},
		{"create_router:external_gateway_info", "mine", mine, writers},
		{"create_router:external_gateway_info:enable_snat", "mine", mine, nobodyElse},
		{"create_floatingip", "mine", mine, writers},
		{"create_floatingip:floating_ip_address", "mine", mine, "manager admin"},
		{"create_floatingip_port_forwarding", "own address", on("ext_parent:tenant_id", "p"), writers},
		{"create_rbac_policy:target_tenant", "one project", on("target_tenant", "q"), "* reader member manager admin service advsvc"},
		{"create_rbac_policy:target_tenant", "everybody", on("target_tenant", "*"), nobodyElse},
		{"get_quota", "mine", mine, readers},
		{"get_agent", "mine", mine, nobodyElse},
		{"get_availability_zone", "any", nil, readers},
		{"create_no_such_thing", "mine", mine, ""},
	} {
		var got []string
		for _, role := range roles {
			if e.Allow(tt.rule, caller(role), tt.target) {
				if role == "" {
					role = "*"
				}
				got = append(got, role)
			}
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s, %s (-want +got):\n%s%s", tt.rule, tt.on, diff, e.Explain(tt.rule, caller("member"), tt.target))
		}
	}
}

func TestCallersWithoutProjectOwnNothing(t *testing.T) {
	e := must(t, map[string]string{"x": "project_id:%(project_id)s", "y": "not project_id:%(project_id)s"})
	unscoped := &weft.Caller{Roles: []string{"member"}}
	for _, target := range []Target{nil, on("project_id", ""), on("project_id", nil)} {
		if e.Allow("x", unscoped, target) || !e.Allow("y", unscoped, target) {
			t.Error("a caller without project owns what has none")
		}
	}
	if e.Allow("x", nil, nil) || e.Allow("regular_user", nil, nil) {
		t.Error("no caller at all is let through")
	}
}

func TestLanguage(t *testing.T) {
	c := &weft.Caller{UserID: "u", UserName: "ann", UserDomainID: "d", ProjectID: "p", Roles: []string{"Member", "auditor"}, ServiceRoles: []string{"service"}}
	target := on("project_id", "p", "user", "u", "name", "http", "flag", true, "off", false, "none", weft.ID(""), "ref", weft.ID("r"),
		"count", 4.0, "vid", int64(10), "device_owner", "network:dhcp", "text", "ab-u-cd", "roles", "auditor", "percent", "50%")
	for text, want := range map[string]outcome{
		"": yes, "  ": yes, "@": yes, "!": no, "not !": yes, "not not @": yes, "NOT @ OR @": yes,
		"@ or !": yes, "@ and !": no, "! and ! or @": yes, "@ or ! and !": yes, "(@ or !) and !": no, "((@))": yes, "not (@ and !)": yes,
		"not ! and !": no, "! or not ! and @": yes,
		"role:member": yes, "role:READER": yes, "role:manager": no, "role:admin": no, "role:Auditor": yes, "role:audit": no,
		"project_id:%(project_id)s": yes, "tenant_id:%(tenant_id)s": yes, "tenant:%(project_id)s": yes, "project_id:p": yes, "project_id:q": no,
		"user_id:%(user)s": yes, "user_name:ann": yes, "user_domain_id:d": yes, "is_admin:False": yes, "is_admin:True": no, "system_scope:all": no,
		"roles:%(roles)s": yes, "roles:member": no, "service_roles:service": yes, "service_roles:auditor": no,
		"'http':%(name)s": yes, `"http":%(name)s`: yes, "'https':%(name)s": no, "True:%(flag)s": yes, "False:%(off)s": yes, "True:%(off)s": no,
		"None:%(none)s": yes, "None:%(absent)s": yes, "None:%(name)s": no, "'':%(none)s": no, "4:%(count)s": yes, "10:%(vid)s": yes, "5:%(count)s": no,
		"'r':%(ref)s": yes, "'ab-u-cd':ab-%(user)s-cd": yes, "'ab':ab%(user)s": no, "'%':%%": yes, "'50%':%(percent)s": yes, "'u-absent':%(absent)s": no,
		"field:port:device_owner=~^network:": yes, "field:port:device_owner=~network:": yes, "field:port:device_owner=~^dhcp": no,
		"field:port:device_owner=~.*:dhcp$": yes, "field:port:device_owner=~dhcp": no, "field:port:absent=~.*": no,
		"field:x:flag=True": yes, "field:x:flag=true": yes, "field:x:off=True": no, "field:x:off=False": yes, "field:x:name=http": yes,
		"field:x:count=4": yes, "field:x:none=None": no, "not field:x:absent=1": yes,
		"rule:nothing": undefined, "not rule:nothing": undefined, "rule:nothing or @": yes, "rule:nothing and !": no, "rule:nothing or !": undefined,
		"group:x": undefined, "not group:x": undefined,
	} {
		p, err := parse(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := p.eval(c, target); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

func TestRefusedTexts(t *testing.T) {
	for _, text := range []string{"role", "role:", "(role:a", "role:a)", "role:a or", "and", "not", "or role:a", "role:a role:b", "()", ":x",
		"project_id:%(x", "project_id:%x", "project_id:%()s", "project_id:%(x)d", "role:%(x)s", "'x:%(y)s", "field:a", "field:a:b", "field:a:=x",
		"field:a:b=~(", "http://example.org/%(x)s", strings.Repeat("(", 1000), strings.Repeat("not ", 1000) + "@"} {
		if c, err := parse(text); err == nil {
			t.Errorf("%.20q was read as %v", text, c)
		}
	}
	if _, err := New(map[string]string{"create_port": "role:"}); err == nil || !strings.Contains(err.Error(), "policy create_port:") {
		t.Errorf("the error does not name the rule: %v", err)
	}
}

func TestRulesFailClosed(t *testing.T) {
	e := must(t, map[string]string{
		"self": "rule:self or @", "notself": "not rule:notself", "ping": "rule:pong", "pong": "role:admin or rule:ping",
		"onloop": "not rule:ping", "unknown": "not rule:nosuch", "careful": "rule:nosuch or role:member",
	})
	for rule, want := range map[string]bool{"self": false, "notself": false, "ping": false, "pong": false, "onloop": false,
		"unknown": false, "nosuch": false, "careful": true} {
		if got := e.Allow(rule, caller("admin"), nil); got != want {
			t.Errorf("%s: %t, want %t", rule, got, want)
		}
	}
	problems := strings.Join(e.Problems(), "\n")
	for _, want := range []string{"careful is never asked for", "careful refers to nosuch, which does not exist", "ping refers to itself"} {
		if !strings.Contains(problems, "policy "+want) {
			t.Errorf("the problems do not say that %s:\n%s", want, problems)
		}
	}
	if strings.Contains(problems, "policy pong is never") {
		t.Error("a rule that another refers to is reported as unused")
	}
}

func TestOverrides(t *testing.T) {
	e := must(t, map[string]string{"context_is_admin": "role:boss", "delete_network": "!", "create_network:mtu": "rule:admin_only"})
	for _, tt := range []struct {
		rule, roles string
		want        bool
	}{
		{"get_agent", "boss", true},   // through admin_only
		{"get_agent", "admin", false}, // no longer what makes an admin
		{"delete_network", "admin", false},
		{"create_network:mtu", "member", false},
	} {
		if got := e.Allow(tt.rule, caller(tt.roles), on("project_id", "p")); got != tt.want {
			t.Errorf("%s by %s: %t", tt.rule, tt.roles, got)
		}
	}
	if _, ok := e.AttributeRule("create", "network", "mtu"); !ok {
		t.Error("a rule for one more attribute is not found")
	}
	if p := e.Problems(); p != nil {
		t.Error(p)
	}
}

func TestAttributeRule(t *testing.T) {
	e := must(t, nil)
	for _, tt := range []struct{ action, resource, attr, want string }{
		{"create", "network", "shared", "create_network:shared"},
		{"create", "port", "fixed_ips:ip_address", "create_port:fixed_ips:ip_address"},
		{"get", "port", "binding:host_id", "get_port:binding:host_id"},
		{"update", "router", "external_gateway_info:enable_snat", "update_router:external_gateway_info:enable_snat"},
		{"create", "security_group", "tags", "create_security_group:tags"},
		{"create", "network", "name", ""},
		{"delete", "network", "shared", ""},
	} {
		got, ok := e.AttributeRule(tt.action, tt.resource, tt.attr)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s %s %s: %q, %t", tt.action, tt.resource, tt.attr, got, ok)
		}
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`
# Readers may do this.
"create_network": "role:reader and project_id:%(project_id)s"
create_subnet: [["role:member", "project_id:%(project_id)s"], ["role:subnet maker"]]
create_port: []
create_router: [[]]
delete_port: ["role:a", ["role:b"]]
`)
	e, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		rule, roles string
		want        bool
	}{
		{"create_network", "reader", true}, {"create_network", "", false},
		{"create_subnet", "member", true}, {"create_subnet", "subnet maker", true}, {"create_subnet", "reader", false},
		{"create_port", "", true}, {"create_router", "admin", false},
		{"delete_port", "a", true}, {"delete_port", "b", true}, {"delete_port", "c", false},
		{"delete_network", "member", true},
	} {
		if got := e.Allow(tt.rule, caller(tt.roles), on("project_id", "p")); got != tt.want {
			t.Errorf("%s by %q: %t", tt.rule, tt.roles, got)
		}
	}
	for text, want := range map[string]string{
		"create_network:": "nothing is given", "create_network: true": "neither text nor a list", "create_network: [[1]]": "not a check",
		"- a": path, "create_network: 'role'": "kind:match", "a: b\n  c": path,
	} {
		write(text)
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	write("")
	if _, err := Load(path); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := Load(path + ".absent"); err == nil {
		t.Error("no file, no error")
	}
}

func TestExplain(t *testing.T) {
	e := must(t, map[string]string{"create_port:device_owner": "not rule:network_device or rule:admin_only or (role:member and rule:network_owner) or rule:gone"})
	got := e.Explain("create_port:device_owner", caller("member"), on("device_owner", "network:dhcp", "network:tenant_id", "q"))
	want := `create_port:device_owner: denied by "not rule:network_device or rule:admin_only or (role:member and rule:network_owner) or rule:gone"
  undefined (not rule:network_device or rule:admin_only or (role:member and rule:network_owner) or rule:gone)
    no        not rule:network_device
      yes       rule:network_device
        yes       field:port:device_owner=~^network:  (device_owner is "network:dhcp")
    no        rule:admin_only
      no        rule:context_is_admin
        no        role:admin  (the caller has member)
    no        (role:member and rule:network_owner)
      yes       role:member  (the caller has member)
      no        rule:network_owner
        no        project_id:%(network:project_id)s  (the caller has project_id "p", network:tenant_id of the target is "q")
    undefined rule:gone  (there is no such rule)
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, rule := range []string{"create_network", "no_such_rule"} {
		if x := e.Explain(rule, caller("admin"), nil); x.Allowed != e.Allow(rule, caller("admin"), nil) || x.String() == "" {
			t.Errorf("%s: %v", rule, x)
		}
	}
}

func TestAllowAllocatesNothing(t *testing.T) {
	e := must(t, nil)
	var own, foreign any = "p", "q"
	target := func(name string) any {
		switch name {
		case "project_id":
			return foreign
		case "network:tenant_id":
			return own
		}
		return nil
	}
	for _, rule := range []string{"create_network", "get_network", "create_port", "create_port:fixed_ips:ip_address", "create_port:device_owner", "get_subnet"} {
		for _, role := range []string{"admin", "member", "reader"} {
			c := caller(role)
			if n := testing.AllocsPerRun(100, func() { e.Allow(rule, c, target) }); n != 0 {
				t.Errorf("%s by %s: %v allocations", rule, role, n)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { e.AttributeRule("create", "port", "binding:host_id") }); n != 0 {
		t.Errorf("AttributeRule: %v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"role:admin or (project_id:%(project_id)s and not rule:x)", "", "field:port:device_owner=~^network:", "'a':%%%(x)s", "not ((@ or !))"} {
		f.Add(text)
	}
	c := &weft.Caller{ProjectID: "p", Roles: []string{"member"}}
	target := on("x", "y", "project_id", "p", "device_owner", 7)
	f.Fuzz(func(t *testing.T, text string) {
		first, err := parse(text)
		if err != nil {
			return
		}
		again, err := parse(first.String())
		if err != nil {
			t.Fatalf("%q prints as %q: %v", text, first, err)
		}
		if first.String() != again.String() || first.eval(c, target) != again.eval(c, target) {
			t.Errorf("%q prints as %q, which is something else: %q", text, first, again)
		}
		if _, err := New(map[string]string{"fuzz": text}); err != nil {
			t.Errorf("%q is read alone but not in a set: %v", text, err)
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	e := must(b, nil)
	target := on("project_id", any("p"), "network:tenant_id", any("p"))
	for _, role := range []string{"admin", "member"} {
		for _, rule := range []string{"create_network", "create_port:fixed_ips:ip_address"} {
			b.Run(fmt.Sprintf("%s/%s", rule, role), func(b *testing.B) {
				c := caller(role)
				for b.Loop() {
					e.Allow(rule, c, target)
				}
			})
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		must(b, nil)
	}
}
