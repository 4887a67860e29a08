package main

import (
	"fmt"
	"net/http"
)

// tenant is a project with a member and a reader, whose names are passwords too.
type tenant struct {
	Name    string
	Project string            // id
	Own     map[string]string // id of an object of its own, by noun
}

func (t tenant) member() string { return t.Name + "-member" }
func (t tenant) reader() string { return t.Name + "-reader" }

// newTenant makes a project, its users and an object of every noun that projects have.
func newTenant(admin *caller, name string, external string) (tenant, error) {
	t := tenant{Name: name, Own: map[string]string{}}
	var err error
	if t.Project, err = admin.create(identity+"/projects", "project",
		map[string]any{"name": name, "domain_id": "default"}); err != nil {
		return t, err
	}
	for _, role := range []string{"member", "reader"} {
		if err := addUser(admin, t, role); err != nil {
			return t, err
		}
	}
	return t, t.furnish(admin, external)
}

func addUser(admin *caller, t tenant, role string) error {
	name := t.Name + "-" + role
	user, err := admin.create(identity+"/users", "user", map[string]any{"name": name, "password": name, "domain_id": "default"})
	if err != nil {
		return err
	}
	var roles struct{ Roles []struct{ ID string } }
	if err := admin.must(http.MethodGet, identity+"/roles?name="+role, nil, &roles); err != nil {
		return err
	}
	if len(roles.Roles) != 1 {
		return fmt.Errorf("%d roles %s", len(roles.Roles), role)
	}
	return admin.must(http.MethodPut, fmt.Sprintf("%s/projects/%s/users/%s/roles/%s", identity, t.Project, user,
		roles.Roles[0].ID), nil, nil)
}

// furnish makes the objects, as the administrator: members may not make them all.
func (t tenant) furnish(admin *caller, external string) error {
	for _, o := range []struct {
		path, noun string
		in         func() map[string]any
	}{
		{"networks", "network", func() map[string]any { return map[string]any{} }},
		{"subnets", "subnet", func() map[string]any {
			return map[string]any{"network_id": t.Own["network"], "cidr": "10.5.0.0/16", "ip_version": 4}
		}},
		{"security-groups", "security_group", func() map[string]any { return map[string]any{"name": "own"} }},
		{"security-group-rules", "security_group_rule", func() map[string]any {
			return map[string]any{"security_group_id": t.Own["security_group"], "direction": "ingress"}
		}},
		{"address-groups", "address_group", func() map[string]any { return map[string]any{"addresses": []string{"10.9.0.0/24"}} }},
		{"address-scopes", "address_scope", func() map[string]any { return map[string]any{"name": "own", "ip_version": 4} }},
		{"subnetpools", "subnetpool", func() map[string]any {
			return map[string]any{"name": "own", "prefixes": []string{"10.77.0.0/16"}}
		}},
		{"qos/policies", "policy", func() map[string]any { return map[string]any{"name": "own"} }},
		{"ports", "port", func() map[string]any { return map[string]any{"network_id": t.Own["network"]} }},
		{"routers", "router", func() map[string]any { return map[string]any{"name": "own"} }},
		{"floatingips", "floatingip", func() map[string]any { return map[string]any{"floating_network_id": external} }},
		{"ports", "trunk_port", func() map[string]any { return map[string]any{"network_id": t.Own["network"]} }},
		{"trunks", "trunk", func() map[string]any { return map[string]any{"port_id": t.Own["trunk_port"]} }},
		{"rbac-policies", "rbac_policy", func() map[string]any {
			return map[string]any{"object_type": "network", "object_id": t.Own["network"], "action": "access_as_shared",
				"target_tenant": t.Project}
		}},
	} {
		in := o.in()
		in["project_id"] = t.Project
		noun := o.noun
		if noun == "trunk_port" {
			noun = "port"
		}
		id, err := admin.create("/v2.0/"+o.path, noun, in)
		if err != nil {
			return err
		}
		t.Own[o.noun] = id
	}
	return nil
}

// external makes the network that floating IPs are of.
func external(admin *caller) (string, error) {
	id, err := admin.create("/v2.0/networks", "network", map[string]any{"router:external": true, "provider:network_type": "local"})
	if err != nil {
		return "", err
	}
	_, err = admin.create("/v2.0/subnets", "subnet", map[string]any{"network_id": id, "cidr": "172.24.0.0/16", "ip_version": 4,
		"enable_dhcp": false})
	return id, err
}
