package api

import (
	"encoding/json"
	"reflect"

	"github.com/weftnet/weft/internal/store"
)

// target gives policy the attributes of a noun; values are those of the request,
// which a noun need not have fields for.
func (r *served[T]) target(tx *store.Tx, v *T, values map[string]any) func(string) any {
	m := base(v)
	var doc map[string]any
	return func(name string) any {
		switch name {
		case "project_id", "tenant_id":
			return m.ProjectID
		case "id":
			return m.ID
		case "network:tenant_id", "network:project_id", "ext_parent:tenant_id", "security_group:tenant_id":
			if r.Parent == nil {
				return nil
			}
			return r.Parent(tx, v).owner
		case "network:shared":
			return r.Parent != nil && r.Parent(tx, v).shared
		}
		if x, ok := values[name]; ok {
			return x
		}
		if doc == nil {
			b, err := store.Encode(v)
			if err != nil || json.Unmarshal(b, &doc) != nil {
				doc = map[string]any{}
			}
		}
		return doc[name]
	}
}

// mayWrite checks the rule of the action and the rules of the attributes that the
// request names and that differ from their defaults. old is the noun before an
// update; a refusal of what the caller may see is 403.
func (r *served[T]) mayWrite(rq *httpRequest, tx *store.Tx, action string, v *T, in Request, old *T) error {
	subject := v
	if old != nil {
		subject = old
	}
	target := r.target(tx, subject, in.Values)
	p := rq.s.Policy
	rule := action + "_" + r.Singular
	if !p.Allow(rule, rq.caller, target) {
		return disallowed(rule)
	}
	for name := range in.Given {
		if action == "create" && isDefault(r.schema.byName[name], in.Values[name]) {
			continue
		}
		if err := r.attributeRules(rq, action, name, in.Values[name], target); err != nil {
			return err
		}
	}
	return nil
}

func isDefault(a *Attr, v any) bool {
	return a != nil && a.Default != Unset && reflect.DeepEqual(a.Default, v)
}

// attributeRules checks the rule of an attribute and, for structured values, of
// the members given: create_port:fixed_ips:ip_address.
func (r *served[T]) attributeRules(rq *httpRequest, action, name string, value any, target func(string) any) error {
	p := rq.s.Policy
	if rule, ok := p.AttributeRule(action, r.Singular, name); ok && !p.Allow(rule, rq.caller, target) {
		return disallowed(rule)
	}
	for _, member := range memberNames(value) {
		rule, ok := p.AttributeRule(action, r.Singular, name+":"+member)
		if ok && !p.Allow(rule, rq.caller, target) {
			return disallowed(rule)
		}
	}
	return nil
}

func memberNames(v any) []string {
	var names []string
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			names = append(names, k)
		}
	case []any:
		seen := map[string]bool{}
		for _, e := range x {
			for _, k := range memberNames(e) {
				if !seen[k] {
					seen[k] = true
					names = append(names, k)
				}
			}
		}
	}
	return names
}

// hiddenFrom are the visible attributes that the caller may not see of a row.
func (r *served[T]) hiddenFrom(rq *httpRequest, doc []byte) ([]string, error) {
	if rq.caller.IsAdmin() {
		return nil, nil
	}
	var values map[string]any
	target := func(name string) any {
		if values == nil && json.Unmarshal(doc, &values) != nil {
			values = map[string]any{}
		}
		return values[name]
	}
	var hidden []string
	for i := range r.schema.attrs {
		a := &r.schema.attrs[i]
		if a.Hidden {
			continue
		}
		if rule, ok := rq.s.Policy.AttributeRule("get", r.Singular, a.Name); ok && !rq.s.Policy.Allow(rule, rq.caller, target) {
			hidden = append(hidden, a.Name)
		}
	}
	return hidden, nil
}
