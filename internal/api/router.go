package api

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// RouterService is what the API asks of routers and floating IPs.
type RouterService interface {
	CreateRouter(tx *store.Tx, r *weft.Router, given weft.Given) error
	UpdateRouter(tx *store.Tx, old, r *weft.Router, given weft.Given) error
	DeleteRouter(tx *store.Tx, r *weft.Router) error
	CreateFloatingIP(tx *store.Tx, f *weft.FloatingIP, subnetID string, given weft.Given) error
	UpdateFloatingIP(tx *store.Tx, old, f *weft.FloatingIP, given weft.Given) error
	DeleteFloatingIP(tx *store.Tx, f *weft.FloatingIP) error
}

// Routers is the table of routers; actions are its verbs beyond the usual ones.
func Routers(svc RouterService, actions map[string]Action[weft.Router], cascade func(*store.Tx, *weft.Router) error) *Resource[weft.Router] {
	return &Resource[weft.Router]{
		MarkerMust: true,
		Singular:   "router", Plural: "routers", Table: store.Routers,
		Implements: []string{"ext-gw-mode", "extraroute", "extraroute-atomic", "l3-port-ip-change-not-allowed", "qos-gateway-ip", "router", "router_availability_zone",
			"dvr", "ecmp_routes", "l3-flavors", "l3-ha", "router-admin-state-down-before-update", "router-enable-snat", "external-gateway-multihoming", "enable-default-route-ecmp"},
		Attrs: table(ident(), standard(), tagged(), ext("router",
			row("name", "CUVFS", "", text(255)),
			row("admin_state_up", "CUVFS", true, boolean),
			row("status", "VS", Unset, text(16)),
			row("external_gateway_info", "CUV", nil, gatewayInfo)),
			ext("extraroute", row("routes", "UV", Unset, hostRoutes)),
			ext("router_availability_zone",
				row("availability_zone_hints", "CV", []any{}, textList(255, maxZones)),
				row("availability_zones", "V", Unset, anyType)),
			ext("dvr", row("distributed", "CUV", Unset, boolean.orNull())),
			ext("router-enable-snat", row("enable_snat", "VFS", Unset, boolean)),
			ext("external-gateway-multihoming", row("external_gateways", "V", Unset, anyType)),
			ext("enable-default-route-ecmp", row("enable_default_route_ecmp", "CUV", nil, boolean.orNull())),
			ext("l3-ha", row("ha", "CUV", Unset, boolean.orNull())),
			ext("expose-l3-conntrack-helper", row("conntrack_helpers", "V", Unset, anyType)),
			ext("l3-ext-ndp-proxy", row("enable_ndp_proxy", "CUVF", Unset, boolean.orNull())),
			ext("l3-flavors", row("flavor_id", "CVFS", nil, anyText.orNull())),
		),
		Create: func(tx *store.Tx, r *weft.Router, rq Request) error { return svc.CreateRouter(tx, r, withMembers(rq)) },
		Update: func(tx *store.Tx, old, r *weft.Router, rq Request) error {
			return svc.UpdateRouter(tx, old, r, withMembers(rq))
		},
		Delete:  svc.DeleteRouter,
		Cascade: cascade,
		Actions: actions,
	}
}

// withMembers is the attributes given and, spelled as in policy, the members given
// of the gateway: whether enable_snat was named makes a difference.
func withMembers(rq Request) weft.Given {
	for _, name := range []string{"distributed", "ha", "enable_default_route_ecmp"} { // null asks for nothing
		if v, given := rq.Values[name]; given && v == nil {
			delete(rq.Given, name)
		}
	}
	m, _ := rq.Values["external_gateway_info"].(map[string]any)
	for name := range m {
		rq.Given["external_gateway_info:"+name] = true
	}
	return rq.Given
}

// gatewayInfo is null or the description of a gateway; {} stands for null. What is
// not given is marked so that the service can tell it from false and from none.
var gatewayInfo = Type{Name: "object", Items: maxAddresses, Convert: func(v any) (any, error) {
	m, ok := v.(map[string]any)
	if ok && len(m) == 0 {
		return nil, nil
	}
	if snat, given := m["enable_snat"]; given {
		b, err := boolean.Convert(snat)
		if err != nil {
			return nil, err
		}
		m["enable_snat"] = b
	}
	return v, nil
}, Validate: func(v any) string {
	if v == nil {
		return ""
	}
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("'%s' is not a dictionary", py(v))
	}
	if _, ok := m["network_id"]; !ok {
		return "Validation of dictionary's keys failed. Expected keys: {'network_id'} Provided keys: " + pySet(slices.Sorted(maps.Keys(m)))
	}
	for k, x := range m {
		if reason := gatewayMember(m, k, x); reason != "" {
			return reason
		}
	}
	return ""
}}

func gatewayMember(m map[string]any, name string, v any) string {
	switch name {
	case "network_id":
		return uuidType.Validate(v)
	case "qos_policy_id":
		return uuidType.orNull().Validate(v)
	case "external_fixed_ips":
		if v == nil {
			delete(m, name)
			return ""
		}
		return fixedIPs.Validate(v)
	case "enable_snat":
		return "" // converted already
	}
	return fmt.Sprintf("Unexpected keys supplied: %s", py(name))
}

// FloatingIPs is the table of floating IPs.
func FloatingIPs(svc RouterService) *Resource[weft.FloatingIP] {
	return &Resource[weft.FloatingIP]{
		Singular: "floatingip", Plural: "floatingips", Table: store.FloatingIPs,
		Implements: []string{"fip-port-details", "floatingip-autodelete-internal", "qos-fip", "qos-fip-network-policy"},
		Attrs: table(ident(), standard(), tagged(), ext("router",
			row("floating_ip_address", "CVFS", nil, ipAddress.orNull()),
			row("subnet_id", "C", nil, uuidType.orNull()),
			row("floating_network_id", "CVFSR", Unset, uuidType),
			row("router_id", "VFS", Unset, text(36)),
			row("port_id", "CUVF", nil, uuidType.orNull()),
			row("fixed_ip_address", "CUVFS", nil, ipAddress.orNull()),
			row("status", "VFS", Unset, text(16))),
			ext("dns-integration", row("dns_name", "CV", "", relativeName), row("dns_domain", "CV", "", domainName)),
			ext("qos-fip", row("qos_policy_id", "CUV", nil, uuidType.orNull())),
			ext("qos-fip-network-policy", row("qos_network_policy_id", "V", Unset, anyType)),
			ext("expose-port-forwarding-in-fip", row("port_forwardings", "V", Unset, anyType)),
			ext("fip-port-details", row("port_details", "V", Unset, anyType)),
		),
		Create: func(tx *store.Tx, f *weft.FloatingIP, rq Request) error {
			subnet, _ := rq.Values["subnet_id"].(string)
			return svc.CreateFloatingIP(tx, f, subnet, rq.Given)
		},
		Update: func(tx *store.Tx, old, f *weft.FloatingIP, rq Request) error {
			return svc.UpdateFloatingIP(tx, old, f, rq.Given)
		},
		Delete: svc.DeleteFloatingIP,
	}
}
