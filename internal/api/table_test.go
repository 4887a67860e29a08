package api

import (
	"reflect"
	"slices"
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// unshown are members of documents that the API does not show, beside those of Meta,
// which not every resource shows.
var unshown = map[string][]string{
	"port":       {"bound_revision", "unattached"},
	"router":     {"further_gw_ports", "gw_port_id", "l3_host", "service_type_id"},
	"floatingip": {"floating_port_id"},

	"port_forwarding":  {"floatingip_id"},
	"conntrack_helper": {"router_id"},
}

// requestOnly are attributes of requests that are not kept.
var requestOnly = []string{"prefixlen", "use_default_subnetpool", "subnet_id", "shared"}

func (r *served[T]) checkTable(t *testing.T) {
	t.Helper()
	rows := r.schema.byName
	names := members(reflect.TypeFor[T]())
	for _, name := range names {
		if rows[name] == nil && r.Only == nil && !slices.Contains(unshown[r.Singular], name) && !slices.Contains(members(reflect.TypeFor[weft.Meta]()), name) {
			t.Errorf("%s: the field %s has no row", r.Singular, name)
		}
	}
	computed := r.Table.Attributes(nil)
	for _, a := range r.Attrs {
		checkBounds(t, r.Singular, &a)
		kept := slices.Contains(names, a.Name) || slices.Contains(computed, a.Name)
		if !kept && (!a.Hidden || !slices.Contains(requestOnly, a.Name)) {
			t.Errorf("%s: the row %s has neither a field nor an expression", r.Singular, a.Name)
		}
		if a.Ext != "" && lookup(a.Ext) == nil {
			t.Errorf("%s: the row %s is of the extension %s, which is not in the catalogue", r.Singular, a.Name, a.Ext)
		}
		if a.Filter {
			if _, ok := r.Table.FilterOn(&weft.Caller{}, a.Name, []any{"x"}); !ok {
				t.Errorf("%s: nothing to filter %s by", r.Singular, a.Name)
			}
		}
		if a.Sort && a.Name != "availability_zone_hints" {
			if _, ok := r.Table.Column(a.Name); !ok {
				t.Errorf("%s: nothing to sort %s by", r.Singular, a.Name)
			}
		}
	}
}

// Rules of QoS policies of all types are kept alike; each type shows its part.
func TestQoSRulesShowAll(t *testing.T) {
	shown := append(members(reflect.TypeFor[weft.Meta]()), "qos_policy_id", "type") // as part of a policy
	for _, kind := range weft.QoSRuleTypes() {
		for _, a := range qosValues(kind) {
			shown = append(shown, a.Name)
		}
	}
	for _, name := range members(reflect.TypeFor[weft.QoSRule]()) {
		if !slices.Contains(shown, name) {
			t.Errorf("no type of rules has a row for %s", name)
		}
	}
}

func TestAppendDoc(t *testing.T) {
	doc := `{"id":"1","name":"a\"}, {","list":[{"x":[1,2]},"]"],"n":null,"o":{"k":"}"}}`
	for _, c := range []struct {
		hide, fields []string
		want         string
	}{
		{nil, nil, `{"id":"1","name":"a\"}, {","list":[{"x":[1,2]},"]"],"n":null,"o":{"k":"}"},"extra":[]}`},
		{[]string{"id", "o"}, nil, `{"name":"a\"}, {","list":[{"x":[1,2]},"]"],"n":null,"extra":[]}`},
		{nil, []string{"list", "n"}, `{"list":[{"x":[1,2]},"]"],"n":null}`},
		{nil, []string{"extra"}, `{"extra":[]}`},
		{nil, []string{"nothing"}, `{}`},
		{[]string{"n"}, []string{"n", "id"}, `{"id":"1"}`},
	} {
		v := &view{hide: set(c.hide), fields: set(c.fields)}
		if got := string(v.appendDoc(nil, []byte(doc), []string{"extra"}, [][]byte{[]byte("[]")})); got != c.want {
			t.Errorf("hide %v, fields %v:\n got %s\nwant %s", c.hide, c.fields, got, c.want)
		}
	}
}

func set(names []string) map[string]bool {
	if names == nil {
		return nil
	}
	out := map[string]bool{}
	for _, n := range names {
		out[n] = true
	}
	return out
}

// Whatever the document is, showing all members one by one is showing it whole.
func FuzzAppendDoc(f *testing.F) {
	f.Add("a", "b\"\\{", 3)
	f.Fuzz(func(t *testing.T, name, value string, n int) {
		p := &weft.Port{Name: name, Description: value, DeviceID: value + name, Profile: map[string]any{name: []any{value, n}}}
		p.Tags = []string{value, name}
		doc, err := store.Encode(p)
		if err != nil {
			t.Skip()
		}
		all := map[string]bool{}
		for _, m := range members(reflect.TypeFor[weft.Port]()) {
			all[m] = true
		}
		if got := (&view{fields: all}).appendDoc(nil, doc, nil, nil); string(got) != string(doc) {
			t.Errorf("got %s\nwant %s", got, doc)
		}
	})
}
