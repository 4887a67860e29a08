package policy

import (
	"fmt"
	"strings"

	"github.com/weftnet/weft"
)

// question is one evaluation: may caller, given the target.
type question struct {
	rules  map[string]check
	caller *weft.Caller
	target func(string) any
	depth  int
}

type always bool

func (a always) eval(*question) bool { return bool(a) }
func (a always) String() string {
	if a {
		return "@"
	}
	return "!"
}

type anyOf []check

func (c anyOf) eval(q *question) bool {
	for _, x := range c {
		if x.eval(q) {
			return true
		}
	}
	return false
}
func (c anyOf) String() string { return "(" + join(c, " or ") + ")" }

type allOf []check

func (c allOf) eval(q *question) bool {
	for _, x := range c {
		if !x.eval(q) {
			return false
		}
	}
	return true
}
func (c allOf) String() string { return "(" + join(c, " and ") + ")" }

func join(list []check, sep string) string {
	parts := make([]string, len(list))
	for i, c := range list {
		parts[i] = c.String()
	}
	return strings.Join(parts, sep)
}

type not struct{ check }

func (n not) eval(q *question) bool { return !n.check.eval(q) }
func (n not) String() string        { return "not " + n.check.String() }

type role string

func (r role) eval(q *question) bool {
	for _, have := range q.caller.Roles {
		if strings.EqualFold(have, string(r)) {
			return true
		}
	}
	return false
}
func (r role) String() string { return "role:" + string(r) }

// reference is another rule. One that does not exist, or that refers to itself,
// admits nobody.
type reference string

func (r reference) eval(q *question) bool {
	c := q.rules[string(r)]
	if c == nil || q.depth > 50 {
		return false
	}
	q.depth++
	ok := c.eval(q)
	q.depth--
	return ok
}
func (r reference) String() string { return "rule:" + string(r) }

// fieldCheck is Neutron's field:RESOURCE:ATTR=VALUE: the target's attribute has
// the value. A value beginning with ~ is a prefix here, as the only pattern in use
// is that of device owners, ~^network:.
type fieldCheck struct{ text, attr, value string }

func field(match string) (check, error) {
	_, rest, ok := strings.Cut(match, ":")
	attr, value, eq := strings.Cut(rest, "=")
	if !ok || !eq {
		return nil, fmt.Errorf("field:%s is not of the form field:RESOURCE:ATTR=VALUE", match)
	}
	return fieldCheck{"field:" + match, attr, value}, nil
}

func (f fieldCheck) eval(q *question) bool {
	v := q.target(f.attr)
	if pattern, ok := strings.CutPrefix(f.value, "~^"); ok {
		s, _ := v.(string)
		return strings.HasPrefix(s, pattern)
	}
	return v != nil && text(v) == f.value
}
func (f fieldCheck) String() string { return f.text }

// comparison is kind:match, where kind is an attribute of the caller or a literal
// and match a literal or %(attribute of the target)s.
type comparison struct{ kind, match string }

func attribute(kind, match string) check { return comparison{kind, match} }

func (c comparison) eval(q *question) bool {
	right := c.match
	if name, ok := strings.CutPrefix(right, "%("); ok {
		name = strings.TrimSuffix(strings.TrimSuffix(name, "s"), ")")
		v := q.target(name)
		if v == nil {
			return false
		}
		right = text(v)
	}
	left, ok := credential(q.caller, c.kind)
	if !ok {
		left = strings.Trim(c.kind, `'"`)
	}
	return left == right
}
func (c comparison) String() string { return c.kind + ":" + c.match }

func credential(c *weft.Caller, name string) (string, bool) {
	switch name {
	case "user_id":
		return c.UserID, true
	case "project_id", "tenant_id", "tenant":
		return c.ProjectID, c.ProjectID != "" // an unscoped caller owns nothing
	case "domain_id":
		return c.DomainID, true
	case "user_domain_id":
		return c.UserDomainID, true
	case "system_scope":
		if c.System {
			return "all", true
		}
		return "", true
	case "is_admin":
		return text(c.IsAdmin()), true
	}
	return "", false
}

func text(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case bool:
		if x {
			return "True"
		}
		return "False"
	case nil:
		return "None"
	}
	return fmt.Sprint(v)
}
