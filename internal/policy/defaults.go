package policy

// base are the rules that others are made of.
var base = map[string]string{
	"default":                 "rule:admin_or_owner",
	"admin_only":              "role:admin",
	"context_is_admin":        "role:admin",
	"owner":                   "project_id:%(project_id)s",
	"member":                  "role:member and rule:owner",
	"reader":                  "role:reader and rule:owner",
	"admin_or_owner":          "role:admin or rule:owner",
	"admin_or_member":         "role:admin or rule:member",
	"admin_or_reader":         "role:admin or rule:reader",
	"network_owner":           "project_id:%(network:tenant_id)s",
	"service":                 "role:service",
	"admin_or_service":        "role:admin or role:service",
	"network_device":          "field:port:device_owner=~^network:",
	"shared":                  "field:networks:shared=True",
	"admin_or_network_member": "role:admin or role:service or (role:member and rule:network_owner)",
	"port_writer":             "role:admin or role:service or rule:member or (role:member and rule:network_owner)",
	"device_owner_setter":     "not rule:network_device or rule:admin_or_network_member",
	"anybody":                 "@",
}

// adminOnly are attributes that only an admin may set.
var adminOnly = []string{
	"network:shared", "network:router:external", "network:is_default", "network:segments",
	"network:provider:network_type", "network:provider:physical_network", "network:provider:segmentation_id",
	"subnet:segment_id", "subnet:service_types",
	"subnetpool:shared", "subnetpool:is_default",
	"address_scope:shared",
	"router:distributed", "router:ha", "router:external_gateway_info:enable_snat", "router:external_gateway_info:external_fixed_ips",
	"floatingip:floating_ip_address",
	"rbac_policy:target_tenant:*",
}

// adminSees are attributes that only an admin sees.
var adminSees = []string{
	"network:provider:network_type", "network:provider:physical_network", "network:provider:segmentation_id", "network:segments",
	"subnet:segment_id", "router:distributed", "router:ha", "port:resource_request",
}

// owned are the nouns that a project's readers see, and its members write.
var owned = []string{"network", "subnet", "port", "subnetpool", "address_scope", "security_group", "security_group_rule", "router", "floatingip", "rbac_policy"}

// defaults are the built-in rules.
func defaults() map[string]string {
	r := map[string]string{}
	for name, rule := range base {
		r[name] = rule
	}
	for _, noun := range owned {
		r["create_"+noun], r["update_"+noun], r["delete_"+noun] = "rule:admin_or_member", "rule:admin_or_member", "rule:admin_or_member"
		r["get_"+noun] = "rule:admin_or_reader"
	}
	for _, attr := range adminOnly {
		r["create_"+attr], r["update_"+attr] = "rule:admin_only", "rule:admin_only"
	}
	for _, attr := range adminSees {
		r["get_"+attr] = "rule:admin_only"
	}
	for name, rule := range particular {
		r[name] = rule
	}
	return r
}

// particular are rules unlike the rest.
var particular = map[string]string{
	"create_subnet": "role:admin or (role:member and rule:network_owner)",
	"update_subnet": "role:admin or rule:member or (role:member and rule:network_owner)",
	"delete_subnet": "role:admin or rule:member or (role:member and rule:network_owner)",

	"create_port": "role:admin or role:service or rule:member",
	"update_port": "rule:port_writer",
	"delete_port": "rule:port_writer",

	"create_port:device_owner":          "rule:device_owner_setter",
	"update_port:device_owner":          "rule:device_owner_setter",
	"create_port:mac_address":           "rule:admin_or_network_member",
	"update_port:mac_address":           "rule:admin_or_service",
	"create_port:fixed_ips":             "rule:admin_or_network_member or rule:shared",
	"create_port:fixed_ips:ip_address":  "rule:admin_or_network_member",
	"create_port:fixed_ips:subnet_id":   "rule:admin_or_network_member or rule:shared",
	"update_port:fixed_ips":             "rule:admin_or_network_member",
	"update_port:fixed_ips:ip_address":  "rule:admin_or_network_member",
	"update_port:fixed_ips:subnet_id":   "rule:admin_or_network_member or rule:shared",
	"create_port:port_security_enabled": "rule:admin_or_network_member",
	"update_port:port_security_enabled": "rule:admin_or_network_member",
	"create_port:allowed_address_pairs": "rule:admin_or_network_member",
	"update_port:allowed_address_pairs": "rule:admin_or_network_member",
	"create_port:binding:host_id":       "rule:admin_or_service",
	"update_port:binding:host_id":       "rule:admin_or_service",
	"create_port:binding:profile":       "rule:admin_or_service",
	"update_port:binding:profile":       "rule:admin_or_service",
	"get_port:binding:host_id":          "rule:admin_or_service",
	"get_port:binding:profile":          "rule:admin_or_service",
	"get_port:binding:vif_type":         "rule:admin_or_service",
	"get_port:binding:vif_details":      "rule:admin_or_service",
	"update_port:data_plane_status":     "role:admin or role:data_plane_integrator",

	"create_security_group_rule": "role:admin or (role:member and project_id:%(security_group:tenant_id)s)",
	"delete_security_group_rule": "role:admin or rule:member or (role:member and project_id:%(security_group:tenant_id)s)",

	"add_router_interface":    "rule:admin_or_member",
	"remove_router_interface": "rule:admin_or_member",
	"add_extraroutes":         "rule:admin_or_member",
	"remove_extraroutes":      "rule:admin_or_member",

	"create_agent":                       "rule:admin_only",
	"update_agent":                       "rule:admin_only",
	"delete_agent":                       "rule:admin_only",
	"get_agent":                          "rule:admin_only",
	"get_quota":                          "rule:admin_or_reader",
	"update_quota":                       "rule:admin_only",
	"delete_quota":                       "rule:admin_only",
	"get_availability_zone":              "rule:anybody",
	"get_service_provider":               "rule:anybody",
	"create_rbac_policy:target_tenant:*": "rule:admin_only",
}
