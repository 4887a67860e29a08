package policy

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/weftnet/weft"
)

// field is Neutron's field:RESOURCE:ATTR=VALUE: the target's attribute has the
// value. A value that begins with ~ is a regular expression which the beginning of
// the attribute must match.
type field struct {
	match  string
	attr   string
	other  string // where the attribute is, if not under its own name
	value  string
	truth  outcome // what the value is of a boolean attribute
	prefix bool    // value is a plain prefix
	re     *regexp.Regexp
}

func newField(match string) (check, error) {
	resource, rest, ok := strings.Cut(match, ":")
	attr, value, eq := strings.Cut(rest, "=")
	if !ok || !eq || attr == "" {
		return nil, fmt.Errorf("field:%s is not of the form field:RESOURCE:ATTR=VALUE", match)
	}
	f := field{match: match, attr: attr, value: value, truth: truth(value)}
	if resource == "networks" {
		// Rules of ports and subnets ask in this way about their network.
		f.other = "network:" + attr
	}
	pattern, ok := strings.CutPrefix(value, "~")
	if !ok {
		return f, nil
	}
	if plain := strings.TrimPrefix(pattern, "^"); regexp.QuoteMeta(plain) == plain {
		f.value, f.prefix = plain, true
		return f, nil
	}
	var err error
	if f.re, err = regexp.Compile(`\A(?:` + pattern + `)`); err != nil {
		return nil, fmt.Errorf("field:%s: %w", match, err)
	}
	return f, nil
}

// truth reads a boolean as the Networking API does.
func truth(s string) outcome {
	switch strings.ToLower(s) {
	case "true", "1":
		return yes
	case "false", "0":
		return no
	}
	return undefined
}

// get is the attribute of the target; nil if it has none.
func (f field) get(t Target) any {
	v := ask(t, f.attr)
	if v == nil && f.other != "" {
		v = ask(t, f.other)
	}
	return v
}

func (f field) eval(_ *weft.Caller, t Target) outcome {
	v := f.get(t)
	if isNull(v) {
		return no
	}
	if f.prefix || f.re != nil {
		s, ok := v.(string)
		return decided(ok && f.matches(s))
	}
	if b, ok := v.(bool); ok && f.truth != undefined {
		return decided(b == (f.truth == yes))
	}
	return decided(textIs(v, f.value))
}

func (f field) matches(s string) bool {
	if f.prefix {
		return strings.HasPrefix(s, f.value)
	}
	return f.re.MatchString(s)
}

func (f field) String() string { return "field:" + f.match }
