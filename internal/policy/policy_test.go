package policy

import (
	"strings"
	"testing"

	"github.com/weftnet/weft"
)

func TestDefaultsAreSound(t *testing.T) {
	e, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, rule := range e.text {
		for _, r := range references(rule) {
			if e.rules[r] == nil {
				t.Errorf("%s refers to %s, which does not exist", name, r)
			}
		}
	}
}

func TestAllow(t *testing.T) {
	e, err := New(map[string]string{"get_secret": "not role:member and 'x':%(name)s", "loop": "rule:loop"})
	if err != nil {
		t.Fatal(err)
	}
	admin := &weft.Caller{ProjectID: "a", Roles: []string{"admin", "member", "reader"}}
	member := &weft.Caller{ProjectID: "p", Roles: []string{"member", "reader"}}
	reader := &weft.Caller{ProjectID: "p", Roles: []string{"reader"}}
	stranger := &weft.Caller{ProjectID: "q", Roles: []string{"member", "reader"}}
	unscoped := &weft.Caller{Roles: []string{"member", "reader"}}
	for _, c := range []struct {
		rule   string
		caller *weft.Caller
		target map[string]any
		want   bool
	}{
		{"create_network", member, map[string]any{"project_id": "p"}, true},
		{"create_network", reader, map[string]any{"project_id": "p"}, false},
		{"get_network", reader, map[string]any{"project_id": "p"}, true},
		{"delete_network", stranger, map[string]any{"project_id": "p"}, false},
		{"delete_network", unscoped, map[string]any{"project_id": ""}, false},
		{"delete_network", admin, map[string]any{"project_id": "p"}, true},
		{"create_network:shared", member, map[string]any{"project_id": "p"}, false},
		{"create_network:shared", admin, nil, true},
		{"create_port:device_owner", member, map[string]any{"device_owner": "compute:nova"}, true},
		{"create_port:device_owner", member, map[string]any{"device_owner": "network:dhcp", "network:tenant_id": "q"}, false},
		{"create_port:device_owner", member, map[string]any{"device_owner": "network:dhcp", "network:tenant_id": "p"}, true},
		{"create_port:fixed_ips:ip_address", stranger, map[string]any{"network:tenant_id": "p"}, false},
		{"get_secret", reader, map[string]any{"name": "x"}, true},
		{"get_secret", member, map[string]any{"name": "x"}, false},
		{"loop", admin, nil, false},
		{"no_such_rule", member, map[string]any{"project_id": "p"}, true},
	} {
		got := e.Allow(c.rule, c.caller, func(name string) any { return c.target[name] })
		if got != c.want {
			t.Errorf("%s for %v on %v: %t\n%s", c.rule, c.caller.Roles, c.target, got, e.Explain(c.rule, c.caller, func(n string) any { return c.target[n] }))
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"role", "(role:a", "role:a or", "and", "not", "role:a role:b", strings.Repeat("(", 1000)} {
		if _, err := parse(text); err == nil {
			t.Errorf("%.20q was accepted", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("role:admin or (project_id:%(project_id)s and not rule:x)")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(text)
		if err != nil {
			return
		}
		c.eval(&question{rules: map[string]check{}, caller: &weft.Caller{}, target: func(string) any { return nil }})
		if _, err := parse(c.String()); err != nil && !strings.Contains(text, "%") {
			t.Errorf("%q prints as %q, which does not parse: %v", text, c, err)
		}
	})
}
