package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weftnet/weft"
)

// Target gives attributes of the object that a rule is evaluated against; nil for
// those it lacks. Projects are asked for under one spelling each: project_id for
// the owner, and network:tenant_id, security_group:tenant_id and
// ext_parent:tenant_id for the owners of what the object belongs to. Whether the
// object's network is shared with the caller is shared or network:shared.
type Target = func(name string) any

// ask is the attribute of a target that may be nil.
func ask(t Target, name string) any {
	if t == nil {
		return nil
	}
	return t(name)
}

// check is a compiled expression. Evaluating it allocates nothing of its own.
type check interface {
	eval(c *weft.Caller, t Target) outcome
	String() string // parses to the same check, if it came from text
}

type always bool

func (a always) eval(*weft.Caller, Target) outcome { return decided(bool(a)) }

func (a always) String() string {
	if a {
		return "@"
	}
	return "!"
}

type anyOf []check

func (list anyOf) eval(c *weft.Caller, t Target) outcome {
	best := no
	for _, x := range list {
		if best = max(best, x.eval(c, t)); best == yes {
			return yes
		}
	}
	return best
}

func (list anyOf) String() string { return "(" + join(list, " or ") + ")" }

type allOf []check

func (list allOf) eval(c *weft.Caller, t Target) outcome {
	worst := yes
	for _, x := range list {
		if worst = min(worst, x.eval(c, t)); worst == no {
			return no
		}
	}
	return worst
}

func (list allOf) String() string { return "(" + join(list, " and ") + ")" }

func join(list []check, sep string) string {
	parts := make([]string, len(list))
	for i, c := range list {
		parts[i] = c.String()
	}
	return strings.Join(parts, sep)
}

type not struct{ check }

func (n not) eval(c *weft.Caller, t Target) outcome { return n.check.eval(c, t).not() }
func (n not) String() string                        { return "not " + n.check.String() }

// implied is the well-known roles, each with all those before it.
var implied = [...]string{weft.RoleReader, weft.RoleMember, weft.RoleManager, weft.RoleAdmin}

// role is held by callers with one of the roles that amount to it.
type role struct {
	name string
	held []string // the role and those that imply it
}

func newRole(name string) (check, error) {
	if name == "" || strings.Contains(name, "%") {
		return nil, fmt.Errorf("role:%s: the name of a role is to be given", name)
	}
	for i, r := range implied {
		if sameRole(r, name) {
			return role{name, implied[i:]}, nil
		}
	}
	return role{name, []string{name}}, nil
}

// sameRole compares as Keystone does, without regard to case.
func sameRole(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

func (r role) eval(c *weft.Caller, _ Target) outcome {
	for _, have := range c.Roles {
		for _, want := range r.held {
			if sameRole(have, want) {
				return yes
			}
		}
	}
	return no
}

func (r role) String() string { return "role:" + r.name }

// reference is another rule, found when all rules are known.
type reference struct {
	name string
	rule *rule // nil: there is none
}

func (r *reference) eval(c *weft.Caller, t Target) outcome {
	if r.rule == nil {
		return undefined
	}
	return r.rule.eval(c, t)
}

func (r *reference) String() string { return "rule:" + r.name }

// rule is a check with a name.
type rule struct {
	name   string
	text   string // as written
	check  check
	cyclic bool // it refers to itself, by whatever way
	admin  bool // it admits an admin, whatever the target
}

func (r *rule) eval(c *weft.Caller, t Target) outcome {
	if r.cyclic {
		return undefined
	}
	return r.check.eval(c, t)
}

// references is every reference in a check.
func references(c check) []*reference {
	switch c := c.(type) {
	case *reference:
		return []*reference{c}
	case not:
		return references(c.check)
	case anyOf:
		return referencesOf(c)
	case allOf:
		return referencesOf(c)
	}
	return nil
}

func referencesOf(list []check) []*reference {
	var out []*reference
	for _, c := range list {
		out = append(out, references(c)...)
	}
	return out
}

// ever is the outcome for a caller whose target can be any.
func ever(c check, who *weft.Caller) outcome {
	switch c := c.(type) {
	case always, role:
		return c.eval(who, nil)
	case *reference:
		if c.rule == nil || c.rule.cyclic {
			return undefined
		}
		return ever(c.rule.check, who)
	case not:
		return ever(c.check, who).not()
	case anyOf:
		best := no
		for _, x := range c {
			best = max(best, ever(x, who))
		}
		return best
	case allOf:
		worst := yes
		for _, x := range c {
			worst = min(worst, ever(x, who))
		}
		return worst
	}
	return undefined
}

// forAdmin is the outcome for an admin of whom, and of whose target, nothing else
// is known.
func forAdmin(c check) outcome {
	switch c := c.(type) {
	case always:
		return decided(bool(c))
	case role:
		if slices.Contains(c.held, weft.RoleAdmin) {
			return yes
		}
	case *reference:
		if c.rule != nil && !c.rule.cyclic {
			return forAdmin(c.rule.check)
		}
	case not:
		return forAdmin(c.check).not()
	case anyOf:
		best := no
		for _, x := range c {
			best = max(best, forAdmin(x))
		}
		return best
	case allOf:
		worst := yes
		for _, x := range c {
			worst = min(worst, forAdmin(x))
		}
		return worst
	}
	return undefined
}
