package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// hugeLists gives every attribute that is a list, or an object, far too much.
func hugeLists(a *attack) error {
	all, err := a.operations()
	if err != nil {
		return err
	}
	own := a.Attacker.owned(a.External)
	lists, objects := hugeValues(40_000), []any{deep(9_000), wide(40_000)}
	for _, o := range all {
		path, ok := o.of(own)
		if !ok {
			continue
		}
		for _, name := range sorted(o.attributes) {
			var values []any
			switch s := o.attributes[name]; {
			case s.is("array"):
				values = lists
			case s.is("object"):
				values = objects
			}
			for _, value := range values {
				a.try(a.member, o.method, path, o.body(own, name, value), refused)
			}
		}
	}
	return nil
}

// hugeValues are lists of n elements of each sort: addresses, words, objects.
func hugeValues(n int) []any {
	var addresses, objects, fat []any
	for i := range n {
		address := fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)
		addresses = append(addresses, address)
		objects = append(objects, map[string]any{"x": i})
		fat = append(fat, map[string]any{"opt_name": fmt.Sprint(i), "opt_value": "x", "ip_address": address,
			"destination": address + "/32", "nexthop": "10.5.0.9"})
	}
	return []any{encoded(addresses), encoded(objects), encoded(fat)}
}

// encoded is JSON made once: there are hundreds of attributes.
func encoded(v any) raw {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps and strings always encode
	}
	return raw(data)
}

// deep is an object in an object, n deep: encoding/json makes none deeper than 10,000.
func deep(n int) any {
	return raw(strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n))
}

// raw is JSON as it is.
type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// wide is an object with n members.
func wide(n int) any {
	out := map[string]any{}
	for i := range n {
		out[fmt.Sprint("member", i)] = i
	}
	return encoded(out)
}

func sorted[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// owned are the ids of a tenant's objects, with his project and the network of
// everybody's.
func (t tenant) owned(external string) map[string]string {
	own := map[string]string{"project": t.Project, "external": external}
	for noun, id := range t.Own {
		own[noun] = id
	}
	return own
}
