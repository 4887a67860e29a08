package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// judge is how the rules of policy see a noun.
type judge[T any] struct {
	r      *served[T]
	rq     *httpRequest
	tx     *store.Tx
	noun   *T
	values map[string]any // of the request, which a noun need not have fields for
	doc    map[string]any
	up     *parent // once a rule has asked for it
	failed error   // what hindered a rule from being evaluated: a parent that is missing
}

// allow refuses with PolicyNotAuthorized what the rule does not admit, or with the
// error that the rule met.
func (j *judge[T]) allow(rule string) error {
	if j.admits(rule) {
		return nil
	}
	return j.refusal("rule:" + rule)
}

// allowAll is allow for several rules.
func (j *judge[T]) allowAll(rules []string) error {
	for _, rule := range rules {
		if err := j.allow(rule); err != nil {
			return err
		}
	}
	return nil
}

func (j *judge[T]) admits(rule string) bool { return j.rq.s.Policy.Allow(rule, j.rq.caller, j.attr) }

// refusal is the answer to who may not do what the rules, put together as text, are
// about.
func (j *judge[T]) refusal(rules string) error {
	if j.failed != nil {
		return j.failed
	}
	return disallowed(rules)
}

// attr gives policy the attributes of the noun.
func (j *judge[T]) attr(name string) any {
	m := base(j.noun)
	switch name {
	case "project_id", "tenant_id":
		return m.ProjectID
	case "id":
		return m.ID
	case "network:tenant_id", "network:project_id", "ext_parent:tenant_id", "security_group:tenant_id":
		switch {
		case j.r.Within != nil:
			return j.rq.up.owner
		case j.r.Parent != nil:
			return j.parent().owner
		}
		return nil
	case "network:shared":
		return j.r.Parent != nil && j.parent().shared
	}
	if x, ok := j.values[name]; ok {
		return x
	}
	if j.doc == nil {
		b, err := store.Encode(j.noun)
		if err != nil || json.Unmarshal(b, &j.doc) != nil {
			j.doc = map[string]any{}
		}
	}
	if x, ok := j.doc[name]; ok {
		return x
	}
	return j.computed(name)
}

func (j *judge[T]) parent() parent {
	if j.up == nil {
		up, err := j.r.Parent(j.tx, j.noun)
		j.up, j.failed = &up, err
	}
	return *j.up
}

// mayWrite checks the rule of the action and the rules of the attributes that the
// request names and that differ from their defaults. old is the noun before an
// update; a refusal of what the caller may see is 403. As in Neutron they are one
// rule, which a refusal shows whole.
func (r *served[T]) mayWrite(rq *httpRequest, tx *store.Tx, action string, v *T, in Request, old *T) error {
	subject := v
	if old != nil {
		subject = old
	}
	j := &judge[T]{r: r, rq: rq, tx: tx, noun: subject, values: in.Values}
	name := action + "_" + r.rule()
	whole, admitted := "rule:"+name, j.admits(name)
	for i := range r.schema.attrs { // in a fixed order: the refusal tells it
		a := &r.schema.attrs[i]
		if !in.Given[a.Name] || action == "create" && isDefault(a, in.Values[a.Name]) {
			continue
		}
		if text, ok := j.attributeRules(action, a.Name, in.Values[a.Name]); text != "" {
			whole, admitted = conjunction(whole, text), admitted && ok
		}
	}
	if !admitted {
		return j.refusal(whole)
	}
	return nil
}

// conjunction is how oslo.policy writes rules that must all hold.
func conjunction(rules ...string) string { return "(" + strings.Join(rules, " and ") + ")" }

func isDefault(a *Attr, v any) bool {
	return a != nil && a.Default != Unset && reflect.DeepEqual(a.Default, v)
}

// attributeRules is the rule of an attribute, "" if it has none, and for structured
// values the rules of the members given: create_port:fixed_ips:ip_address.
func (j *judge[T]) attributeRules(action, name string, value any) (text string, ok bool) {
	p := j.rq.s.Policy
	rule, ok := p.AttributeRule(action, j.r.rule(), name)
	if !ok {
		return "", true
	}
	text, ok = "rule:"+rule, j.admits(rule)
	var members []string
	for _, member := range memberNames(value) {
		if rule, has := p.AttributeRule(action, j.r.rule(), name+":"+member); has {
			members, ok = append(members, "rule:"+rule), ok && j.admits(rule)
		}
	}
	if len(members) > 0 {
		text = conjunction(text, conjunction(members...))
	}
	return text, ok
}

func memberNames(v any) []string {
	var names []string
	switch x := v.(type) {
	case map[string]any:
		names = slices.Sorted(maps.Keys(x))
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
	if rq.caller.Admin {
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
		if rule, ok := rq.s.Policy.AttributeRule("get", r.rule(), a.Name); ok && !rq.s.Policy.Allow(rule, rq.caller, target) {
			hidden = append(hidden, a.Name)
		}
	}
	return hidden, nil
}

// tellable is the condition on the rows of which the caller may see an attribute, so
// that no filter and no sort key tells what policy hides; without SQL it is all of
// them. Of a rule that asks for more of a row than whose it is nothing is told.
func (r *served[T]) tellable(rq *httpRequest, attr string) store.Cond {
	rule, ok := rq.s.Policy.AttributeRule("get", r.rule(), attr)
	if !ok || rq.caller.Admin {
		return store.Cond{}
	}
	var whose, more bool // what the rule asks
	own := func(name string) any {
		if name == "project_id" || name == "tenant_id" {
			whose = true
			return rq.caller.ProjectID
		}
		more = true
		return nil
	}
	switch admitted := rq.s.Policy.Allow(rule, rq.caller, own); {
	case !admitted || more || whose && rq.caller.ProjectID == "":
		return store.Where("1 = 0")
	case whose:
		return store.Eq("project_id", rq.caller.ProjectID)
	}
	return store.Cond{}
}

// judged reports whether the rule that says who may see a noun is an operator's own.
// Then it is asked for every row; the built-in rules are conditions of the queries.
func (r *served[T]) judged(rq *httpRequest) bool {
	return rq.s.Policy.Overridden("get_" + r.rule())
}

// admits asks the rule whether the caller may see a noun.
func (r *served[T]) admits(rq *httpRequest, tx *store.Tx, v *T) (bool, error) {
	j := &judge[T]{r: r, rq: rq, tx: tx, noun: v}
	ok := rq.s.Policy.Allow("get_"+r.rule(), rq.caller, j.attr)
	return ok && j.failed == nil, j.failed
}

// admitsRow is admits for a stored document.
func (r *served[T]) admitsRow(rq *httpRequest, tx *store.Tx, doc []byte) (bool, error) {
	if !r.judged(rq) {
		return true, nil
	}
	v := new(T)
	if err := json.Unmarshal(doc, v); err != nil {
		return false, fmt.Errorf("reading a row for policy: %w", err)
	}
	return r.admits(rq, tx, v)
}

// computed is an attribute that is not kept with the noun, as the table computes it.
func (j *judge[T]) computed(name string) any {
	var out any
	q := store.Query{Where: []store.Cond{store.Eq("id", base(j.noun).ID)}, Compute: []string{name}}
	if len(j.r.Table.Attributes(q.Compute)) == 0 {
		return nil
	}
	j.failed = cmp.Or(j.failed, j.r.Table.Rows(j.tx, q, func(row store.Row) error {
		return json.Unmarshal(row.Extra[0], &out)
	}))
	return out
}

// checkScope refuses, where the operator wants it, a token that is of no project. The
// words are oslo.policy's.
func (s *Server) checkScope(c *weft.Caller) error {
	scope := ""
	switch {
	case !s.Projects:
	case c.System:
		scope = "system"
	case c.DomainID != "":
		scope = "domain"
	}
	if scope == "" {
		return nil
	}
	return weft.Errorf(weft.Forbidden, "InvalidScope",
		"The request requires a scope of ['project'], request was made with %s scope.", scope)
}
