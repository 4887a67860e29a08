package main

import (
	"net/http"
	"strings"
)

// ids puts the ids of another project's objects wherever an id can be: in attributes,
// in lists and objects of them, and in paths.
func ids(a *attack) error {
	all, err := a.operations()
	if err != nil {
		return err
	}
	own, others := a.Attacker.owned(a.External), a.Victim.owned("")
	for _, o := range all {
		if path, ok := o.of(others); ok && strings.Contains(o.path, "{") {
			for _, name := range sorted(o.attributes) {
				body := o.body(others, name, o.attributes[name].example(name, others))
				a.try(a.member, o.method, path, body, refused)
			}
		}
		if path, ok := o.of(own); ok {
			a.foreign(o, path, own, others)
		}
	}
	for collection, noun := range nounOf {
		if collection == "policies" {
			collection = "qos/policies"
		}
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			a.try(a.member, method, "/v2.0/"+collection+"/"+others[noun], nil, refused)
		}
	}
	return nil
}

// foreign tries every id of others in every attribute of an operation on one's own.
func (a *attack) foreign(o operation, path string, own, others map[string]string) {
	for _, name := range sorted(o.attributes) {
		for _, noun := range sorted(others) {
			for _, value := range places(name, others[noun]) {
				expected := refused
				if free(name) {
					expected = whatever
				}
				a.try(a.member, o.method, path, o.body(own, name, value), expected)
			}
		}
	}
}

// places are values of an attribute with an id in them, none for an attribute that
// takes no id.
func places(attribute, id string) []any {
	switch {
	case id == "":
		return nil
	case attribute == "fixed_ips":
		return []any{[]any{map[string]any{"subnet_id": id}}}
	case attribute == "sub_ports":
		return []any{[]any{map[string]any{"port_id": id, "segmentation_type": "vlan", "segmentation_id": 7}}}
	case attribute == "external_gateway_info":
		return []any{map[string]any{"network_id": id}, map[string]any{"network_id": id, "qos_policy_id": id}}
	case attribute == "external_gateways":
		return []any{[]any{map[string]any{"network_id": id}}}
	case attribute == "security_groups":
		return []any{[]any{id}}
	case strings.HasSuffix(attribute, "_ids"):
		return []any{[]any{id}}
	case strings.HasSuffix(attribute, "_id"), attribute == "target_tenant":
		return []any{id}
	}
	return nil
}

// free reports whether an attribute may hold an id of anything of anybody's: what is
// text to the API, and whom one shares with.
func free(attribute string) bool {
	return attribute == "device_id" || attribute == "target_tenant"
}
