package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/body"
)

// readBody parses the body as one JSON object. It is for what the rule of policy is
// about.
func (rq *httpRequest) readBody(rule string) (map[string]any, error) {
	text, err := rq.readText(rule)
	if err != nil {
		return nil, err
	}
	return parseBody(text)
}

// readText reads the body. Policy comes after what is wrong with a body, as in Neutron,
// but for large ones: whoever may in no case do what the rule is about cannot make the
// server look into them.
func (rq *httpRequest) readText(rule string) ([]byte, error) {
	if body.Large(rq.r) && !rq.s.Policy.Possible(rule, rq.caller) {
		body.Skip(rq.r)
		return nil, disallowed("rule:" + rule)
	}
	b, err := rq.s.Bodies.Read(rq.r, cmp.Or(rq.caller.ProjectID, rq.caller.UserID), math.MaxInt64)
	if err != nil {
		return nil, err
	}
	rq.body = b
	return b.Text, nil
}

// parseBody gives an empty object for no body at all: what must be in it is missed
// by name.
func parseBody(data []byte) (map[string]any, error) {
	if len(data) == 0 {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, badRequest("Body contains invalid data")
	}
	body, ok := v.(map[string]any)
	if !ok || d.More() {
		return nil, badRequest("Body contains invalid data")
	}
	return body, nil
}

// objects takes the noun or, in bulk, the nouns out of a request body.
func objects(body map[string]any, singular, plural string) (list []map[string]any, bulk bool, err error) {
	if v := body[singular]; v != nil {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false, badRequest("Object '%s' contains invalid data", singular)
		}
		return []map[string]any{m}, false, nil
	}
	v, ok := body[plural]
	if !ok {
		return nil, false, badRequest("Unable to find '%s' in request body", singular)
	}
	items, ok := v.([]any)
	if !ok || len(items) == 0 {
		return nil, true, badRequest("Resources required")
	}
	for _, item := range items {
		m, ok := item.(map[string]any)
		if inner, wrapped := m[singular].(map[string]any); wrapped {
			m = inner
		}
		if !ok {
			return nil, true, badRequest("Object '%s' contains invalid data", singular)
		}
		list = append(list, m)
	}
	return list, true, nil
}

// schema is a resource's table, indexed.
type schema struct {
	attrs  []Attr
	byName map[string]*Attr
}

func newSchema(attrs []Attr) *schema {
	s := &schema{attrs: attrs, byName: make(map[string]*Attr, len(attrs))}
	for i := range attrs {
		s.byName[attrs[i].Name] = &attrs[i]
	}
	return s
}

// create checks the attributes of a POST and completes them with defaults. values
// is what results, given the names that the request had.
func (s *schema) create(in map[string]any, c *weft.Caller) (values map[string]any, given weft.Given, err error) {
	if err := s.fillProject(in, c); err != nil {
		return nil, nil, err
	}
	if err := s.unknown(in); err != nil {
		return nil, nil, err
	}
	if err := s.postable(in); err != nil {
		return nil, nil, err
	}
	values, given = make(map[string]any, len(s.attrs)), make(weft.Given, len(in))
	for i := range s.attrs {
		a := &s.attrs[i]
		v, ok := in[a.Name]
		switch {
		case ok:
			given[a.Name] = true
			if values[a.Name], err = a.accept(v); err != nil {
				return nil, nil, err
			}
		case a.Default != Unset && a.Post:
			values[a.Name] = a.Default
		}
	}
	return values, given, nil
}

// postable checks that a POST names what it must and nothing that it must not,
// before any value is looked at.
func (s *schema) postable(in map[string]any) error {
	for i := range s.attrs {
		if _, ok := in[s.attrs[i].Name]; !ok && s.attrs[i].Required {
			return badRequest("Failed to parse request. Required attribute '%s' not specified", s.attrs[i].Name)
		}
	}
	for i := range s.attrs {
		if _, ok := in[s.attrs[i].Name]; ok && !s.attrs[i].Post {
			return badRequest("Attribute '%s' not allowed in POST", s.attrs[i].Name)
		}
	}
	return nil
}

// update checks the attributes of a PUT.
func (s *schema) update(in map[string]any) (values map[string]any, given weft.Given, err error) {
	if err := s.unknown(in); err != nil {
		return nil, nil, err
	}
	values, given = make(map[string]any, len(in)), make(weft.Given, len(in))
	names := make([]string, 0, len(in))
	for name := range in {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if !s.byName[name].Put {
			return nil, nil, badRequest("Cannot update read-only attribute %s", name)
		}
	}
	for _, name := range names {
		given[name] = true
		if values[name], err = s.byName[name].accept(in[name]); err != nil {
			return nil, nil, err
		}
	}
	return values, given, nil
}

// accept converts and validates one value.
func (a *Attr) accept(v any) (any, error) {
	v, reason, err := a.Type.accept(v)
	if reason != "" {
		err = badRequest("Invalid input for %s. Reason: %s.", a.Name, strings.TrimSuffix(reason, "."))
	}
	return v, err
}

// fillProject makes tenant_id and project_id agree and defaults them to the
// caller's project.
func (s *schema) fillProject(in map[string]any, c *weft.Caller) error {
	tenant, hasTenant := in["tenant_id"]
	project, hasProject := in["project_id"]
	if hasTenant && hasProject && !reflect.DeepEqual(tenant, project) {
		return badRequest("'project_id' and 'tenant_id' do not match")
	}
	if hasTenant && !hasProject {
		project, hasProject = tenant, true
	}
	if err := checkProject(in, c); err != nil {
		return err
	}
	if !hasProject {
		project = c.ProjectID
	}
	if a := s.byName["project_id"]; a != nil && a.Post {
		in["project_id"], in["tenant_id"] = project, project
	}
	return nil
}

// checkProject refuses the project of somebody else.
func checkProject(in map[string]any, c *weft.Caller) error {
	for _, name := range []string{"tenant_id", "project_id"} {
		if project, ok := in[name]; ok && project != c.ProjectID && !c.Admin && !c.Advsvc {
			return badRequest("Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin or advsvc privileges")
		}
	}
	return nil
}

func (s *schema) unknown(in map[string]any) error {
	var names []string
	for name := range in {
		if s.byName[name] == nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	sort.Strings(names)
	return badRequest("Unrecognized attribute(s) '%s'", weft.Excerpt(strings.Join(names, ", ")))
}

// overlay sets the fields of a noun that values names, by way of JSON. Values
// that are no fields of the noun are left to the service. Fields are emptied first:
// decoding into a list would keep what old elements have and new ones lack.
func overlay(noun any, values map[string]any) error {
	data, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("encoding accepted values: %w", err)
	}
	clearFields(reflect.ValueOf(noun).Elem(), values)
	if err := json.Unmarshal(data, noun); err != nil {
		// The types of the table let something through that the noun cannot hold.
		return weft.Invalid("%v", err)
	}
	return nil
}

// clearFields sets the fields named in values to zero.
func clearFields(v reflect.Value, values map[string]any) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch _, named := values[name]; {
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			clearFields(v.Field(i), values)
		case named && name != "":
			v.Field(i).SetZero()
		}
	}
}
