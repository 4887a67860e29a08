package api

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/weftnet/weft"
)

// CheckTables runs the checks on the tables of all resources of a server.
func CheckTables(t *testing.T, s *Server) {
	for _, c := range s.order {
		singular, _, _ := c.names()
		t.Run(singular, func(t *testing.T) { c.(interface{ checkTable(*testing.T) }).checkTable(t) })
	}
	for alias := range s.aliases {
		if lookup(alias) == nil {
			t.Errorf("the extension %s is announced and not in the catalogue", alias)
		}
	}
}

// Decode takes a text the way of a POST and of a PUT to each resource of a server,
// as far as the noun. Every error has to be a refusal: others would be shown as a
// 500. The member of the body is named "it" in the text.
func Decode(t *testing.T, s *Server, text string) {
	for _, c := range s.order {
		c.(interface{ decode(*testing.T, string) }).decode(t, text)
	}
}

func (r *served[T]) decode(t *testing.T, text string) {
	body, err := parseBody([]byte(text))
	if err != nil {
		return
	}
	in, ok := body["it"].(map[string]any)
	if !ok {
		return
	}
	caller := &weft.Caller{ProjectID: "p"}
	values, _, err := r.schema.create(in, caller)
	if err == nil {
		err = overlay(new(T), values)
	}
	r.mustRefuse(t, text, err)
	if values, _, err = r.schema.update(in); err == nil {
		err = overlay(new(T), values)
	}
	r.mustRefuse(t, text, err)
}

func (r *served[T]) mustRefuse(t *testing.T, text string, err error) {
	var e *weft.Error
	if err != nil && !errors.As(err, &e) {
		t.Errorf("%s: %q: %v is no refusal", r.Singular, text, err)
	}
}

// RequiredSeeds are texts for Decode that come past the required attributes of each
// resource.
func RequiredSeeds(s *Server) []string {
	var out []string
	for _, c := range s.order {
		var parts []string
		for _, a := range c.table() {
			if a.Post {
				parts = append(parts, `"`+a.Name+`":`+sample(a))
			}
		}
		out = append(out, `{"it":{`+strings.Join(parts, ",")+`}}`)
	}
	return out
}

// sample is a value that an attribute accepts, if one of the usual does.
func sample(a Attr) string {
	for text, v := range map[string]any{`"0f7a1b0e-6c43-4c9e-a2a5-1f1c1f1c1f1c"`: "0f7a1b0e-6c43-4c9e-a2a5-1f1c1f1c1f1c", `1`: int64(1),
		`"10.0.0.0/24"`: "10.0.0.0/24", `true`: true, `[]`: []any{}, `{}`: map[string]any{}, `"ingress"`: "ingress", `"tcp"`: "tcp"} {
		if _, err := a.accept(v); err == nil {
			return text
		}
	}
	return "null"
}

// Noun is what a test may know of a resource.
type Noun struct {
	Path, Singular, Plural string
	Within                 string // the path of the resource above, if it is nested
	Actions                []string
	Attrs                  []NounAttr
	Create                 bool
}

// NounAttr is what a test may know of an attribute.
type NounAttr struct {
	Name                string
	Required, Post, Put bool
	Kind                string         // the type's name
	Schema              map[string]any // JSON schema of what it may be
}

// Nouns are the resources of a server.
func Nouns(s *Server) []Noun {
	var out []Noun
	for _, c := range s.order {
		out = append(out, c.(interface{ noun() Noun }).noun())
	}
	return out
}

func (r *served[T]) noun() Noun {
	n := Noun{Path: r.path(), Singular: r.Singular, Plural: r.Plural, Create: r.Create != nil}
	if r.Within != nil && r.Within.Of == nil {
		n.Within = r.Within.Path
	}
	for name := range r.Actions {
		n.Actions = append(n.Actions, name)
	}
	for name := range r.Below {
		n.Actions = append(n.Actions, name)
	}
	slices.Sort(n.Actions)
	for _, a := range r.Attrs {
		n.Attrs = append(n.Attrs, NounAttr{a.Name, a.Required, a.Post, a.Put, a.Type.Name, a.Type.schema()})
	}
	return n
}

// SettableBy are the rules of the attributes of those names in all tables, where a
// request can set them and the rule of the noun alone does not keep it from managers.
func SettableBy(s *Server, attrs ...string) iter.Seq[string] {
	return func(yield func(string) bool) {
		manager := &weft.Caller{ProjectID: "p", Roles: []string{"manager", "member", "reader"}}
		for _, c := range s.order {
			noun := c.(interface{ rule() string }).rule()
			for _, a := range c.table() {
				for action, settable := range map[string]bool{"create_" + noun: a.Post, "update_" + noun: a.Put} {
					if settable && slices.Contains(attrs, a.Name) && s.Policy.Allow(action, manager, func(string) any { return "p" }) &&
						!yield(action+":"+a.Name) {
						return
					}
				}
			}
		}
	}
}
