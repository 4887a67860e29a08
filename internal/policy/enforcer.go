package policy

import (
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/weftnet/weft"
)

// Enforcer answers by a fixed set of rules. It is safe for concurrent use.
type Enforcer struct {
	rules map[string]check
	text  map[string]string
	attrs map[attrKey]string
}

type attrKey struct{ action, resource, attr string }

// New compiles the built-in rules, with those of overrides in place of theirs.
func New(overrides map[string]string) (*Enforcer, error) {
	e := &Enforcer{rules: map[string]check{}, text: map[string]string{}, attrs: map[attrKey]string{}}
	for _, set := range []map[string]string{defaults(), overrides} {
		for name, rule := range set {
			c, err := parse(rule)
			if err != nil {
				return nil, fmt.Errorf("policy %s: %w", name, err)
			}
			e.rules[name], e.text[name] = c, rule
			e.index(name)
		}
	}
	return e, nil
}

// Load is New with the overrides of a policy.yaml.
func Load(path string) (*Enforcer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	var overrides map[string]string
	if err := yaml.Unmarshal(data, &overrides); err != nil {
		return nil, fmt.Errorf("reading the policy %s: %w", path, err)
	}
	return New(overrides)
}

// index makes create_port:fixed_ips:ip_address findable by its parts.
func (e *Enforcer) index(name string) {
	head, attr, ok := strings.Cut(name, ":")
	action, resource, ok2 := strings.Cut(head, "_")
	if ok && ok2 {
		e.attrs[attrKey{action, resource, attr}] = name
	}
}

// Allow reports whether the caller may do what the rule is named after. target
// gives attributes of the object; nil for those it lacks. A rule that does not
// exist is decided by "default".
func (e *Enforcer) Allow(rule string, c *weft.Caller, target func(string) any) bool {
	r := e.rules[rule]
	if r == nil {
		r = e.rules["default"]
	}
	return r.eval(&question{rules: e.rules, caller: c, target: target})
}

// AttributeRule is the rule for an action on one attribute, if there is one.
func (e *Enforcer) AttributeRule(action, resource, attr string) (string, bool) {
	name, ok := e.attrs[attrKey{action, resource, attr}]
	return name, ok
}

// Explain says how a rule is decided: its text, and the outcome of every rule it
// refers to.
func (e *Enforcer) Explain(rule string, c *weft.Caller, target func(string) any) string {
	var b strings.Builder
	seen := map[string]bool{}
	var tell func(name, indent string)
	tell = func(name, indent string) {
		if seen[name] {
			return
		}
		seen[name] = true
		fmt.Fprintf(&b, "%s%s = %q: %t\n", indent, name, e.text[name], e.Allow(name, c, target))
		for _, word := range references(e.text[name]) {
			tell(word, indent+"  ")
		}
	}
	tell(rule, "")
	return b.String()
}

func references(rule string) []string {
	var out []string
	for _, w := range tokenize(rule) {
		if name, ok := strings.CutPrefix(w, "rule:"); ok {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}
