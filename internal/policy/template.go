package policy

import (
	"fmt"
	"strings"
)

// template is text with attributes of the target in it.
type template []part

// part is literal text, or the name of an attribute.
type part struct{ text, name string }

// parseTemplate reads Python's %-formatting as far as rules use it: %(name)s and %%.
func parseTemplate(s string) (template, error) {
	var out template
	for s != "" {
		text, rest, found := strings.Cut(s, "%")
		if text != "" {
			out = append(out, part{text: text})
		}
		if !found {
			break
		}
		if after, ok := strings.CutPrefix(rest, "%"); ok {
			out, s = append(out, part{text: "%"}), after
			continue
		}
		name, after, ok := strings.Cut(rest, ")s")
		if !ok || !strings.HasPrefix(name, "(") || strings.ContainsAny(name, "%)") || len(name) < 2 {
			return nil, fmt.Errorf("%q is not of the form %%(name)s", "%"+rest)
		}
		out, s = append(out, part{name: canonical(name[1:])}), after
	}
	return out, nil
}

// canonical is the spelling under which targets know an attribute: a project has
// two names everywhere.
func canonical(name string) string {
	switch parent, attr, nested := strings.Cut(name, ":"); {
	case name == "tenant_id":
		return "project_id"
	case nested && attr == "project_id":
		return parent + ":tenant_id"
	}
	return name
}

// is reports whether the template, filled in, is the text. An attribute that is
// not there is like nothing but the literal None.
func (t template) is(target Target, s string, literal bool) bool {
	if len(t) == 1 && t[0].name != "" {
		v := ask(target, t[0].name)
		if isNull(v) {
			return literal && s == "None"
		}
		return textIs(v, s)
	}
	for _, p := range t {
		value := p.text
		if p.name != "" {
			v := ask(target, p.name)
			if isNull(v) {
				return false
			}
			value = textOf(v)
		}
		rest, ok := strings.CutPrefix(s, value)
		if !ok {
			return false
		}
		s = rest
	}
	return s == ""
}
