package policy

import "slices"

// nouns is the rules of everything the Networking API knows, whether weft serves it
// yet or not: an operator's policy.yaml may speak of all of it.
func nouns() []noun {
	return slices.Concat(networks(), ports(), pools(), security(), routing(), agents(), quality(), others())
}

func networks() []noun {
	return []noun{
		mine("network").seenBy(adminOrReader+" or "+helper+" or rule:shared or rule:external").withTags().with(
			attr{"shared", "cu", admin},
			attr{"router:external", "cu", admin},
			attr{"is_default", "cu", admin},
			attr{"port_security_enabled", "cu", adminOrMember},
			attr{"segments", "cgu", admin},
			attr{"provider:network_type", "cgu", admin},
			attr{"provider:physical_network", "cgu", admin},
			attr{"provider:segmentation_id", "cgu", admin},
		),
		noun{
			name:   "subnet",
			create: admin + " or " + netMember,
			get:    adminOrReader + " or " + netReader + " or " + service + " or rule:shared or rule:external_network",
			update: adminOrMember + " or " + netMember,
			delete: adminOrMember + " or " + netMember,
		}.withTags().with(
			attr{"segment_id", "cgu", admin},
			// Neutron has rules of these names, for admins, and never asks them.
			attr{"service_types", "cu", adminOrMember + " or " + netMember},
		),
		admins("segment"),
		admins("network_segment_range").withTags(),
		noun{name: "network_ip_availability", get: adminOrService},
		noun{name: "auto_allocated_topology", get: adminOrReader, delete: adminOrMember},
		mine("trunk").withTags(),
	}
}

// What only who owns a port's network may say about the port: it would let the port
// take another's place there.
const (
	place       = admin + " or " + helper + " or " + netMember
	sharedPlace = place + " or rule:shared"
	pairs       = admin + " or " + service + " or " + netMember
)

func ports() []noun {
	return []noun{
		noun{
			name: "port",
			// Whether the caller may use the network at all is not asked here but by
			// core, which knows how it is shared.
			create: adminOrMember + " or " + service,
			get:    adminOrReader + " or " + netReader + " or " + helper,
			update: adminOrMember + " or " + helper,
			delete: adminOrMember + " or " + netMember + " or " + helper,
		}.withTags().with(
			attr{"device_id", "cu", adminOrMember + " or " + service},
			attr{"device_owner", "cu", "not rule:network_device or " + place},
			attr{"mac_address", "c", place},
			attr{"mac_address", "u", admin + " or " + helper + " or " + netManager},
			attr{"fixed_ips", "c", sharedPlace},
			attr{"fixed_ips", "u", place},
			attr{"fixed_ips:ip_address", "cu", place},
			attr{"fixed_ips:subnet_id", "cu", sharedPlace},
			attr{"port_security_enabled", "cu", place},
			attr{"allowed_address_pairs", "cu", pairs},
			attr{"allowed_address_pairs:mac_address", "cu", pairs},
			attr{"allowed_address_pairs:ip_address", "cu", pairs},
			attr{"binding:host_id", "cgu", adminOrService},
			// Neutron since 2024.1 leaves the profile to services alone; in Zed Nova
			// writes it as an admin.
			attr{"binding:profile", "cgu", adminOrService},
			attr{"binding:vnic_type", "cu", adminOrMember + " or " + service},
			attr{"binding:vif_type", "g", adminOrService},
			attr{"binding:vif_details", "g", adminOrService},
			attr{"resource_request", "g", admin},
			attr{"data_plane_status", "u", "rule:admin_or_data_plane_int"},
			attr{"hints", "cgu", admin},
			attr{"trusted", "cgu", admin},
		),
		noun{name: "port_binding", create: adminOrService, get: adminOrService, delete: adminOrService},
	}
}

func pools() []noun {
	return []noun{
		mine("subnetpool").seenBy(adminOrReader+" or rule:shared_subnetpools").withTags().with(
			attr{"shared", "c", admin},
			attr{"is_default", "cu", admin},
		),
		mine("address_scope").seenBy(adminOrReader + " or rule:shared_address_scopes").with(attr{"shared", "cu", admin}),
		mine("address_group").seenBy(adminOrReader + " or rule:shared_address_groups"),
	}
}

func security() []noun {
	wildcard := "rule:restrict_wildcard"
	return []noun{
		mine("security_group").seenBy(adminOrReader + " or rule:shared_security_group").withTags(),
		noun{
			name:   "security_group_rule",
			create: admin + " or " + groupMember,
			get:    adminOrReader + " or " + groupReader,
			delete: admin + " or " + groupMember,
		},
		noun{name: "default_security_group_rule", create: admin, get: reading, delete: admin},
		mine("rbac_policy").with(
			attr{"target_tenant", "cu", wildcard},
			attr{"target_project", "cu", wildcard},
		),
	}
}

func routing() []noun {
	return []noun{
		mine("router").withTags().with(
			attr{"distributed", "cgu", admin},
			attr{"ha", "cgu", admin},
			attr{"external_gateway_info", "cu", adminOrMember},
			attr{"external_gateway_info:network_id", "cu", adminOrMember},
			attr{"external_gateway_info:enable_snat", "cu", admin},
			attr{"external_gateway_info:external_fixed_ips", "cu", admin},
			attr{"enable_default_route_bfd", "cu", admin},
			attr{"enable_default_route_ecmp", "cu", admin},
		),
		parts("router_conntrack_helper", parentReader, parentMember),
		mine("floatingip").withTags().with(attr{"floating_ip_address", "c", adminOrManager}),
		noun{name: "floatingip_pool", get: adminOrReader},
		parts("floatingip_port_forwarding", parentReader, parentMember),
		mine("ndp_proxy"),
		mine("local_ip"),
		noun{
			name:   "local_ip_port_association",
			create: admin + " or " + parentMember,
			get:    admin + " or " + parentReader,
			delete: admin + " or " + parentMember,
		},
	}
}

func agents() []noun {
	return []noun{
		admins("agent"),
		noun{name: "dhcp-network", create: admin, delete: admin},
		noun{name: "dhcp-networks", get: admin},
		noun{name: "dhcp-agents", get: admin},
		admins("l3-router").seenBy(""),
		noun{name: "l3-routers", get: admin},
		noun{name: "l3-agents", get: admin},
		noun{name: "availability_zone", get: reading},
		noun{name: "service_provider", get: reading},
		admins("flavor").seenBy(reading),
		admins("service_profile"),
		noun{name: "flavor_service_profile", create: admin, get: adminOrReader, delete: admin},
	}
}

func quality() []noun {
	out := []noun{
		mine("policy").writtenBy(adminOrManager).seenBy(adminOrReader + " or rule:shared_qos_policy").withTags().with(
			// Neutron leaves policies, and labels, to admins, and needs no rule for this.
			attr{"shared", "cu", admin},
		),
		{name: "rule_type", get: reading},
	}
	for _, kind := range []string{"bandwidth_limit", "dscp_marking", "minimum_bandwidth", "minimum_packet_rate"} {
		alias := parts("alias_"+kind+"_rule", parentReader, parentManager)
		alias.create = "" // a rule is made below its policy
		out = append(out, parts("policy_"+kind+"_rule", parentReader, parentManager), alias)
	}
	return append(out, parts("policy_packet_rate_limit_rule", parentReader, parentManager))
}

func others() []noun {
	return []noun{
		// Neutron's rule is for admins, but a project is shown its own quota without
		// asking the rule; here the rule says so.
		noun{name: "quota", get: adminOrReader, update: admin, delete: admin},
		noun{name: "metering_label", create: adminOrManager, get: adminOrReader,
			delete: adminOrManager}.with(attr{"shared", "c", admin}),
		noun{name: "metering_label_rule", create: adminOrManager, get: adminOrReader, delete: adminOrManager},
		mine("log").writtenBy(adminOrManager).seenBy(adminOrManager),
		noun{name: "loggable_resource", get: adminOrManager},
	}
}

// verbs are the rules of actions beyond create, get, update and delete.
var verbs = map[string]string{
	"add_router_interface":    adminOrMember,
	"remove_router_interface": adminOrMember,
	"add_extraroutes":         adminOrMember,
	"remove_extraroutes":      adminOrMember,

	"add_external_gateways":                                         adminOrMember,
	"update_external_gateways":                                      adminOrMember,
	"remove_external_gateways":                                      adminOrMember,
	"add_external_gateways:external_gateways":                       adminOrMember,
	"add_external_gateways:external_gateways:network_id":            adminOrMember,
	"add_external_gateways:external_gateways:enable_snat":           admin,
	"add_external_gateways:external_gateways:external_fixed_ips":    admin,
	"update_external_gateways:external_gateways":                    adminOrMember,
	"update_external_gateways:external_gateways:network_id":         adminOrMember,
	"update_external_gateways:external_gateways:enable_snat":        admin,
	"update_external_gateways:external_gateways:external_fixed_ips": admin,
	"remove_external_gateways:external_gateways":                    adminOrMember,

	"add_prefixes":            adminOrMember,
	"remove_prefixes":         adminOrMember,
	"onboard_network_subnets": adminOrMember,
	"add_addresses":           adminOrMember,
	"remove_addresses":        adminOrMember,

	"get_subports":    adminOrReader,
	"add_subports":    adminOrMember,
	"remove_subports": adminOrMember,

	"activate": adminOrService, // a port binding
}
