package policy

import "strings"

// The usual texts of rules. Where Neutron has a rule for a group of callers, the
// text refers to it, so that overriding that one rule changes all.
const (
	anybody = "rule:regular_user"
	reading = "role:reader" // of any project
	admin   = "rule:admin_only"
	service = "rule:service_api"
	// In clouds as old as Zed other services have the role advsvc, for what a service
	// does to the ports that it has made.
	helper = service + " or rule:context_is_advsvc"

	owningReader  = "(role:reader and project_id:%(project_id)s)"
	owningMember  = "(role:member and project_id:%(project_id)s)"
	owningManager = "(role:manager and project_id:%(project_id)s)"
	netReader     = "(role:reader and rule:network_owner)"
	netMember     = "(role:member and rule:network_owner)"
	netManager    = "(role:manager and rule:network_owner)"
	groupReader   = "(role:reader and rule:sg_owner)"
	groupMember   = "(role:member and rule:sg_owner)"
	parentReader  = "(role:reader and rule:ext_parent_owner)"
	parentMember  = "(role:member and rule:ext_parent_owner)"
	parentManager = "(role:manager and rule:ext_parent_owner)"

	adminOrReader  = admin + " or " + owningReader
	adminOrMember  = admin + " or " + owningMember
	adminOrManager = admin + " or " + owningManager
	adminOrService = admin + " or " + service
)

// base are the rules that others are made of.
var base = map[string]string{
	"context_is_admin":             "role:admin",
	"context_is_advsvc":            "role:advsvc",
	"service_api":                  "role:service",
	"admin_only":                   "rule:context_is_admin",
	"regular_user":                 "",
	"owner":                        "project_id:%(project_id)s",
	"network_owner":                "project_id:%(network:project_id)s",
	"sg_owner":                     "project_id:%(security_group:project_id)s",
	"ext_parent_owner":             "project_id:%(ext_parent:project_id)s",
	"admin_or_owner":               "rule:context_is_admin or rule:owner",
	"admin_or_network_owner":       "rule:context_is_admin or rule:network_owner",
	"admin_owner_or_network_owner": "rule:owner or rule:admin_or_network_owner",
	"admin_or_ext_parent_owner":    "rule:context_is_admin or rule:ext_parent_owner",
	"admin_or_sg_owner":            "rule:context_is_admin or rule:sg_owner",
	"admin_owner_or_sg_owner":      "rule:owner or rule:admin_or_sg_owner",
	"admin_or_data_plane_int":      "rule:context_is_admin or role:data_plane_integrator",
	"default":                      "rule:admin_or_owner",

	"shared":                "field:networks:shared=True",
	"external":              "field:networks:router:external=True",
	"external_network":      "field:subnets:router:external=True",
	"shared_address_scopes": "field:address_scopes:shared=True",
	"shared_address_groups": "field:address_groups:shared=True",
	"shared_subnetpools":    "field:subnetpools:shared=True",
	"shared_security_group": "field:security_groups:shared=True",
	"shared_qos_policy":     "field:policies:shared=True",
	"network_device":        "field:port:device_owner=~^network:",
	"restrict_wildcard":     "(not field:rbac_policy:target_tenant=* and not field:rbac_policy:target_project=*) or " + admin,
}

// noun is the rules of one kind of object; "" is no rule.
type noun struct {
	name   string
	create string
	get    string
	update string
	delete string
	tagged bool // it has tags
	attrs  []attr
}

// attr is the rule of one attribute, or of a member of one, for some actions.
type attr struct {
	name    string
	actions string // letters of create, get, update
	rule    string
}

// mine is a noun that a project's readers see and its members write.
func mine(name string) noun {
	return noun{name: name, create: adminOrMember, get: adminOrReader, update: adminOrMember, delete: adminOrMember}
}

// admins is a noun that is the admin's alone.
func admins(name string) noun {
	return noun{name: name, create: admin, get: admin, update: admin, delete: admin}
}

// parts is a noun that belongs to the owner of the noun it is part of.
func parts(name, reader, writer string) noun {
	r, w := admin+" or "+reader, admin+" or "+writer
	return noun{name: name, create: w, get: r, update: w, delete: w}
}

func (n noun) seenBy(rule string) noun    { n.get = rule; return n }
func (n noun) writtenBy(rule string) noun { n.create, n.update, n.delete = rule, rule, rule; return n }
func (n noun) with(attrs ...attr) noun    { n.attrs = attrs; return n }
func (n noun) withTags() noun             { n.tagged = true; return n }

// defaults are the built-in rules.
func defaults() map[string]string {
	out := map[string]string{}
	for _, set := range []map[string]string{base, verbs} {
		for name, rule := range set {
			out[name] = rule
		}
	}
	for _, n := range nouns() {
		n.addTo(out)
	}
	return out
}

func (n noun) addTo(out map[string]string) {
	set := func(name, rule string) {
		if rule != "" {
			out[name] = rule
		}
	}
	set("create_"+n.name, n.create)
	set("get_"+n.name, n.get)
	set("update_"+n.name, n.update)
	set("delete_"+n.name, n.delete)
	for _, a := range n.attrs {
		for letter, action := range map[string]string{"c": "create_", "g": "get_", "u": "update_"} {
			if strings.Contains(a.actions, letter) {
				set(action+n.name+":"+a.name, a.rule)
			}
		}
	}
	if n.tagged {
		// Tags are seen with the object, and changed like it or by its owner.
		out["get_"+n.name+":tags"] = anybody
		for _, action := range []string{"create_", "update_", "delete_"} {
			out[action+n.name+":tags"] = adminOrMember + " or " + n.update
		}
	}
}
