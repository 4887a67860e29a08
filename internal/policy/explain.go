package policy

import (
	"fmt"
	"strings"

	"github.com/weftnet/weft"
)

// Explanation is how a rule was decided.
type Explanation struct {
	Rule    string
	Text    string // of the rule, as written; "" if there is no such rule
	Allowed bool
	Steps   []Step // the rule's checks, each before the checks it is made of
}

// Step is the outcome of one check.
type Step struct {
	Depth   int
	Check   string
	Outcome string // "yes", "no", or "undefined" if it cannot be decided
	Note    string // what was compared
}

// String is the explanation in lines, each check indented below the one it is part
// of.
func (x Explanation) String() string {
	var b strings.Builder
	verdict := "denied"
	if x.Allowed {
		verdict = "allowed"
	}
	fmt.Fprintf(&b, "%s: %s by %q\n", x.Rule, verdict, x.Text)
	for _, s := range x.Steps {
		fmt.Fprintf(&b, "%s%-9s %s", strings.Repeat("  ", s.Depth+1), s.Outcome, s.Check)
		if s.Note != "" {
			fmt.Fprintf(&b, "  (%s)", s.Note)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Explain decides as Allow does and says how: every check is evaluated, also those
// that no longer matter. What the target holds appears in the notes.
func (e *Enforcer) Explain(rule string, c *weft.Caller, target Target) Explanation {
	x := Explanation{Rule: rule, Allowed: e.Allow(rule, c, target)}
	r := e.rules[rule]
	switch {
	case r == nil:
		x.Steps = []Step{{Check: "rule:" + rule, Outcome: undefined.String(), Note: "there is no such rule"}}
		return x
	case c == nil:
		x.Text = r.text
		return x
	}
	x.Text = r.text
	w := explainer{caller: c, target: target, told: map[string]bool{rule: true}}
	w.tell(r.check, 0)
	x.Steps = w.steps
	return x
}

type explainer struct {
	caller *weft.Caller
	target Target
	told   map[string]bool // rules whose checks are in the steps
	steps  []Step
}

func (w *explainer) tell(c check, depth int) {
	w.steps = append(w.steps, Step{depth, c.String(), c.eval(w.caller, w.target).String(), w.note(c)})
	switch c := c.(type) {
	case not:
		w.tell(c.check, depth+1)
	case anyOf:
		w.tellAll(c, depth+1)
	case allOf:
		w.tellAll(c, depth+1)
	case *reference:
		if c.rule != nil && !w.told[c.name] {
			w.told[c.name] = true
			w.tell(c.rule.check, depth+1)
		}
	}
}

func (w *explainer) tellAll(list []check, depth int) {
	for _, c := range list {
		w.tell(c, depth)
	}
}

// note is what a check looked at.
func (w *explainer) note(c check) string {
	switch c := c.(type) {
	case role:
		return "the caller has " + strings.Join(w.caller.Roles, ", ")
	case field:
		return c.attr + " is " + shown(c.get(w.target))
	case comparison:
		return w.compared(c)
	case *reference:
		switch {
		case c.rule == nil:
			return "there is no such rule"
		case c.rule.cyclic:
			return "it refers to itself"
		}
	}
	return ""
}

func (w *explainer) compared(c comparison) string {
	var parts []string
	left, known := c.who.of(w.caller)
	roles, list := c.who.roles(w.caller)
	switch {
	case c.literal:
	case list:
		parts = append(parts, fmt.Sprintf("the caller has %s %q", c.kind, roles))
	case known:
		parts = append(parts, fmt.Sprintf("the caller has %s %q", c.kind, left))
	default:
		parts = append(parts, "weft does not know "+c.kind+" of callers")
	}
	for _, p := range c.right {
		if p.name != "" {
			parts = append(parts, p.name+" of the target is "+shown(ask(w.target, p.name)))
		}
	}
	return strings.Join(parts, ", ")
}

func shown(v any) string {
	if isNull(v) {
		return "not there"
	}
	return fmt.Sprintf("%q", textOf(v))
}
