package policy

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/weftnet/weft"
)

// Enforcer answers by a fixed set of rules. It is safe for concurrent use.
type Enforcer struct {
	rules  map[string]*rule
	attrs  map[attrKey]string
	unused []string // overrides of rules that nobody asks for

	overridden map[string]bool
}

type attrKey struct{ action, resource, attr string }

// New compiles the built-in rules, with those of overrides in place of theirs. The
// error names the rule that is not of the language.
func New(overrides map[string]string) (*Enforcer, error) {
	given := make(map[string]any, len(overrides))
	for name, text := range overrides {
		given[name] = text
	}
	return build(given)
}

// Load is New with the overrides of a policy file, in YAML or JSON. There the older
// form of rules, lists of lists of checks, is understood as well.
func Load(path string) (*Enforcer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	var overrides map[string]any
	if err := yaml.Unmarshal(data, &overrides); err != nil {
		return nil, fmt.Errorf("reading the policy %s: %w", path, err)
	}
	e, err := build(overrides)
	if err != nil {
		return nil, fmt.Errorf("reading the policy %s: %w", path, err)
	}
	return e, nil
}

func build(overrides map[string]any) (*Enforcer, error) {
	e := &Enforcer{rules: map[string]*rule{}, attrs: map[attrKey]string{}, overridden: map[string]bool{}}
	for name, text := range defaults() {
		if err := e.add(name, text); err != nil {
			return nil, err
		}
	}
	builtin := maps.Clone(e.rules)
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		if err := e.add(name, overrides[name]); err != nil {
			return nil, err
		}
		e.overridden[name] = builtin[name] == nil || builtin[name].text != e.rules[name].text
	}
	asked := e.link()
	for name := range overrides {
		if builtin[name] == nil && !asked[name] && !isAttribute(name) {
			e.unused = append(e.unused, name)
		}
	}
	slices.Sort(e.unused)
	return e, nil
}

func (e *Enforcer) add(name string, value any) error {
	c, text, err := compile(value)
	if err != nil {
		return fmt.Errorf("policy %s: %w", name, err)
	}
	e.rules[name] = &rule{name: name, text: text, check: c}
	if key, ok := splitAttribute(name); ok {
		e.attrs[key] = name
	}
	return nil
}

// splitAttribute takes create_port:fixed_ips:ip_address apart.
func splitAttribute(name string) (attrKey, bool) {
	head, attr, ok := strings.Cut(name, ":")
	action, resource, ok2 := strings.Cut(head, "_")
	return attrKey{action, resource, attr}, ok && ok2
}

func isAttribute(name string) bool {
	_, ok := splitAttribute(name)
	return ok
}

// link finds the rules that rules refer to, and returns their names.
func (e *Enforcer) link() (asked map[string]bool) {
	asked = map[string]bool{}
	for _, r := range e.rules {
		for _, ref := range references(r.check) {
			ref.rule = e.rules[ref.name]
			asked[ref.name] = true
		}
	}
	for _, r := range e.rules {
		r.cyclic = reaches(r, r, map[*rule]bool{})
	}
	for _, r := range e.rules {
		r.admin = !r.cyclic && forAdmin(r.check) == yes
	}
	return asked
}

// reaches reports whether a rule refers to another, by whatever way.
func reaches(from, to *rule, seen map[*rule]bool) bool {
	for _, ref := range references(from.check) {
		switch {
		case ref.rule == nil || seen[ref.rule]:
			continue
		case ref.rule == to:
			return true
		}
		seen[ref.rule] = true
		if reaches(ref.rule, to, seen) {
			return true
		}
	}
	return false
}

// Allow reports whether the caller may do what the rule is named after, to the
// target. A rule that does not exist admits nobody.
func (e *Enforcer) Allow(rule string, c *weft.Caller, target Target) bool {
	r := e.rules[rule]
	if r == nil || c == nil {
		return false
	}
	if r.admin && c.HasRole(weft.RoleAdmin) {
		return true
	}
	return r.eval(c, target) == yes
}

// Judge decides what policy alone knows of a caller: whether it is an administrator
// (context_is_admin), or another service (context_is_advsvc, service_api). Nothing else
// asks for the roles that make one.
func (e *Enforcer) Judge(c *weft.Caller) {
	c.Admin, c.Advsvc = false, false
	admin, advsvc := e.Allow("context_is_admin", c, nil), e.Allow("context_is_advsvc", c, nil) || e.Allow("service_api", c, nil)
	c.Admin, c.Advsvc = admin, advsvc
}

// Possible reports whether there can be a target for which the rule admits the caller.
func (e *Enforcer) Possible(rule string, c *weft.Caller) bool {
	r := e.rules[rule]
	if r == nil || c == nil || r.cyclic {
		return false
	}
	return r.admin && c.HasRole(weft.RoleAdmin) || ever(r.check, c) != no
}

// Has reports whether there is a rule of the name.
func (e *Enforcer) Has(rule string) bool { return e.rules[rule] != nil }

// AttributeRule is the rule for an action on one attribute, if there is one:
// create_port:fixed_ips:ip_address for ("create", "port", "fixed_ips:ip_address").
func (e *Enforcer) AttributeRule(action, resource, attr string) (string, bool) {
	name, ok := e.attrs[attrKey{action, resource, attr}]
	return name, ok
}

// Rules are the rules in force with their texts, in order of name.
func (e *Enforcer) Rules() iter.Seq2[string, string] {
	return func(yield func(name, text string) bool) {
		for _, name := range slices.Sorted(maps.Keys(e.rules)) {
			if !yield(name, e.rules[name].text) {
				return
			}
		}
	}
}

// Overridden reports whether a rule is not the built-in one.
func (e *Enforcer) Overridden(rule string) bool { return e.overridden[rule] }

// Problems is what is odd about the rules, for the operator to read: a rule that is
// asked for by another and does not exist, a rule that refers to itself, an
// override of a rule that nobody asks for. The list is in a fixed order.
func (e *Enforcer) Problems() []string {
	var out []string
	for _, name := range e.unused {
		out = append(out, fmt.Sprintf("policy %s is never asked for", name))
	}
	for _, name := range slices.Sorted(maps.Keys(e.rules)) {
		r := e.rules[name]
		if r.cyclic {
			out = append(out, fmt.Sprintf("policy %s refers to itself and admits nobody", name))
		}
		for _, ref := range references(r.check) {
			if ref.rule == nil {
				out = append(out, fmt.Sprintf("policy %s refers to %s, which does not exist", name, ref.name))
			}
		}
	}
	return out
}
