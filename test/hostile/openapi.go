package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// schema is the part of a schema of OpenAPI that is used.
type schema struct {
	Ref        string            `yaml:"$ref"`
	Type       any               `yaml:"type"` // a name or a list of names
	Properties map[string]schema `yaml:"properties"`
	OneOf      []schema          `yaml:"oneOf"`
	Required   []string          `yaml:"required"`
	Enum       []any             `yaml:"enum"`
	Minimum    *int              `yaml:"minimum"`
}

// is reports whether a value can be of a type.
func (s schema) is(name string) bool {
	if list, ok := s.Type.([]any); ok {
		return slices.Contains(list, any(name))
	}
	return s.Type == name
}

// operation is a POST or PUT of one noun.
type operation struct {
	method, path, noun string
	attributes         map[string]schema
	required           []string
}

// operations are those that the description of the API names, sorted by path.
func (a *attack) operations() ([]operation, error) {
	status, data, err := a.member.do(http.MethodGet, "/v2.0/openapi.yaml", nil)
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("openapi.yaml: %d %w", status, err)
	}
	var api struct {
		Components struct{ Schemas map[string]schema }
		Paths      map[string]map[string]any
	}
	if err := yaml.Unmarshal(data, &api); err != nil {
		return nil, err
	}
	var all []operation
	for path, methods := range api.Paths {
		for _, method := range []string{"post", "put"} {
			body, ok := methods[method]
			if !ok {
				continue
			}
			s, err := bodySchema(body)
			if err != nil {
				return nil, err
			}
			for noun, p := range s.Properties {
				of := api.Components.Schemas[p.Ref[strings.LastIndex(p.Ref, "/")+1:]]
				all = append(all, operation{strings.ToUpper(method), path, noun, of.Properties, of.Required})
			}
		}
	}
	all = append(all, actions()...)
	slices.SortFunc(all, func(x, y operation) int { return strings.Compare(x.path+x.method, y.path+y.method) })
	return all, nil
}

// bodySchema is the schema of a request's body, of one noun where it may be several.
func bodySchema(op any) (schema, error) {
	data, err := yaml.Marshal(op)
	if err != nil {
		return schema{}, err
	}
	var o struct {
		RequestBody struct {
			Content map[string]struct{ Schema schema }
		} `yaml:"requestBody"`
	}
	if err := yaml.Unmarshal(data, &o); err != nil {
		return schema{}, err
	}
	s := o.RequestBody.Content["application/json"].Schema
	if len(s.OneOf) > 0 {
		s = s.OneOf[0]
	}
	return s, nil
}

// actions are those whose bodies the description does not describe. Without a noun
// the attributes are the body.
func actions() []operation {
	list, id := schema{Type: "array"}, schema{Type: "string"}
	one := func(path, noun, attribute string, s schema) operation {
		return operation{http.MethodPut, "/v2.0/" + path, noun, map[string]schema{attribute: s}, nil}
	}
	return []operation{
		one("address-groups/{id}/add_addresses", "address_group", "addresses", list),
		one("address-groups/{id}/remove_addresses", "address_group", "addresses", list),
		one("routers/{id}/add_extraroutes", "router", "routes", list),
		one("routers/{id}/remove_extraroutes", "router", "routes", list),
		one("routers/{id}/add_external_gateways", "router", "external_gateways", list),
		one("routers/{id}/update_external_gateways", "router", "external_gateways", list),
		one("routers/{id}/remove_external_gateways", "router", "external_gateways", list),
		one("routers/{id}/add_router_interface", "", "port_id", id),
		one("routers/{id}/add_router_interface", "", "subnet_id", id),
		one("routers/{id}/remove_router_interface", "", "port_id", id),
		one("routers/{id}/remove_router_interface", "", "subnet_id", id),
		one("subnetpools/{id}/add_prefixes", "", "prefixes", list),
		one("subnetpools/{id}/remove_prefixes", "", "prefixes", list),
		one("subnetpools/{id}/onboard_network_subnets", "", "network_id", id),
		one("trunks/{id}/add_subports", "", "sub_ports", list),
		one("trunks/{id}/remove_subports", "", "sub_ports", list),
		one("networks/{id}/tags", "", "tags", list),
		one("ports/{id}/tags", "", "tags", list),
	}
}

// body is a body of the operation with one attribute of a value and the required ones
// filled in.
func (o operation) body(own map[string]string, attribute string, value any) map[string]any {
	in := map[string]any{}
	if o.method == http.MethodPost {
		for _, name := range o.required {
			in[name] = o.attributes[name].example(name, own)
		}
	}
	in[attribute] = value
	if o.noun == "" {
		return in
	}
	return map[string]any{o.noun: in}
}

// example is a value that an attribute takes.
func (s schema) example(name string, own map[string]string) any {
	switch {
	case ownerOf(name) != "":
		return own[ownerOf(name)]
	case name == "cidr":
		return "10.6.0.0/24"
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.is("array"):
		return []any{}
	case s.is("integer") && s.Minimum != nil:
		return *s.Minimum
	case s.is("integer"):
		return 4
	case s.is("boolean"):
		return true
	case s.is("object"):
		return map[string]any{}
	}
	return "x"
}

// ownerOf is the noun of which an attribute or the parameter of a path holds the id.
func ownerOf(name string) string {
	return map[string]string{
		"network_id": "network", "floating_network_id": "external", "subnet_id": "subnet", "port_id": "port", "router_id": "router",
		"security_group_id": "security_group", "qos_policy_id": "policy", "floatingip_id": "floatingip", "project_id": "project",
		"tenant_id": "project", "object_id": "network", "target_tenant": "project", "subnetpool_id": "subnetpool",
	}[name]
}

// path is the operation's path with ids of somebody's objects in it, or false where he
// has none such.
func (o operation) of(own map[string]string) (string, bool) {
	parts := strings.Split(o.path, "/")
	for i, p := range parts {
		if !strings.HasPrefix(p, "{") {
			continue
		}
		noun := ownerOf(strings.Trim(p, "{}"))
		if p == "{id}" {
			noun = nounOf[parts[i-1]]
		}
		if own[noun] == "" {
			return "", false
		}
		parts[i] = own[noun]
	}
	return strings.Join(parts, "/"), true
}

// nounOf is the noun of a collection.
var nounOf = map[string]string{"networks": "network", "subnets": "subnet", "ports": "port", "routers": "router",
	"floatingips": "floatingip", "security-groups": "security_group", "security-group-rules": "security_group_rule",
	"address-groups": "address_group", "address-scopes": "address_scope", "subnetpools": "subnetpool",
	"policies": "policy", "trunks": "trunk", "rbac-policies": "rbac_policy"}
