package api

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// PortService is what the API asks of ports.
type PortService interface {
	CreatePort(tx *store.Tx, p *weft.Port, given weft.Given) error
	UpdatePort(tx *store.Tx, old, p *weft.Port, given weft.Given) error
	DeletePort(tx *store.Tx, p *weft.Port) error
	PortBindingService
}

// PortGuard refuses what users may not do to ports that routers and floating IPs
// live on.
type PortGuard interface {
	GuardPortUpdate(tx *store.Tx, old, p *weft.Port, given weft.Given) error
	GuardPortDelete(tx *store.Tx, p *weft.Port) error
}

// Ports is the table of ports.
func Ports(svc PortService, guard PortGuard) *Resource[weft.Port] {
	return &Resource[weft.Port]{
		Singular: "port", Plural: "ports", Table: store.Ports,
		Implements: []string{
			"allowed-address-pairs", "binding", "binding-extended", "data-plane-status", "dns-domain-ports", "dns-integration",
			"extra_dhcp_opt", "ip-substring-filtering", "port-device-profile", "port-hardware-offload-type",
			"port-hint-ovs-tx-steering", "port-hints", "port-mac-address-regenerate", "port-mac-override",
			"port-numa-affinity-policy", "port-numa-affinity-policy-socket", "port-resource-request", "port-resource-request-groups",
			"port-security", "port-security-groups-filtering", "port-trusted-vif", "qos-port-network-policy",
			"tag-ports-during-bulk-creation", "uplink-status-propagation", "uplink-status-propagation-updatable",
		},
		Attrs: table(ident(), standard(),
			ext("standard-attr-tag", row("tags", "CV", []any{}, uniqueTexts(255))),
			[]Attr{
				row("name", "CUVFS", "", text(255)),
				row("network_id", "CVFSR", Unset, uuidType),
				row("admin_state_up", "CUVFS", true, boolean),
				row("status", "VFS", Unset, text(16)),
				row("mac_address", "CUVFS", Unset, mac.orNull()),
				row("fixed_ips", "CUVF", Unset, fixedIPs),
				row("device_id", "CUVFS", "", text(255)),
				row("device_owner", "CUVFS", "", text(255)),
			},
			ext("security-group", row("security_groups", "CUVF", Unset, uuidList)),
			ext("allowed-address-pairs", row("allowed_address_pairs", "CUV", Unset, addressPairs)),
			ext("port-security", row("port_security_enabled", "CUV", Unset, boolean)),
			ext("extra_dhcp_opt", row("extra_dhcp_opts", "CUV", nil, dhcpOptions)),
			ext("dns-integration",
				row("dns_name", "CUV", "", hostName),
				row("dns_assignment", "V", Unset, anyType)),
			ext("dns-domain-ports", row("dns_domain", "CUV", "", domainName)),
			ext("ip_allocation", row("ip_allocation", "VFS", Unset, text(16))),
			ext("qos", row("qos_policy_id", "CUV", nil, uuidType.orNull())),
			ext("qos-port-network-policy", row("qos_network_policy_id", "V", Unset, anyType)),
			ext("port-resource-request", row("resource_request", "V", Unset, anyType)),
			ext("uplink-status-propagation-updatable", row("propagate_uplink_status", "CUV", true, boolean)),
			ext("data-plane-status", row("data_plane_status", "UV", Unset, oneOf("ACTIVE", "DOWN").orNull())),
			ext("port-device-profile", row("device_profile", "CV", nil, text(255).orNull())),
			ext("trunk-details", row("trunk_details", "V", Unset, anyType)),
			ext("port-numa-affinity-policy-socket", row("numa_affinity_policy", "CUV", nil, oneOf("required", "preferred", "legacy", "socket").orNull())),
			ext("port-hints", row("hints", "CUV", nil, portHints.orNull())),
			ext("port-hardware-offload-type", row("hardware_offload_type", "CV", Unset, oneOf("switchdev"))),
			ext("port-trusted-vif", row("trusted", "CUV", Unset, boolean)),
			ext("binding",
				row("binding:host_id", "CUVF", Unset, text(255).orNull()),
				row("binding:vnic_type", "CUV", "normal", vnicType),
				row("binding:profile", "CUV", Unset, dict),
				row("binding:vif_type", "V", Unset, text(64)),
				row("binding:vif_details", "V", Unset, anyType)),
		),
		Create: func(tx *store.Tx, p *weft.Port, rq Request) error { return svc.CreatePort(tx, p, rq.Given) },
		Update: func(tx *store.Tx, old, p *weft.Port, rq Request) error {
			if err := guard.GuardPortUpdate(tx, old, p, rq.Given); err != nil {
				return err
			}
			return svc.UpdatePort(tx, old, p, rq.Given)
		},
		Delete: func(tx *store.Tx, p *weft.Port) error {
			if err := guard.GuardPortDelete(tx, p); err != nil {
				return err
			}
			return svc.DeletePort(tx, p)
		},
		Parent: networkOf(func(p *weft.Port) string { return p.NetworkID }),
		Below:  map[string]Handler{"bindings": newPortBindings(svc).serve},
	}
}

// addressPairs is a list of address pairs. As in Neutron, what is wrong with one of
// them is told without the name of the attribute.
var addressPairs = Type{Name: "list of address pairs", Convert: func(v any) (any, error) {
	if v == nil {
		return []any{}, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, badRequest("Allowed address pairs must be a list.")
	}
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			if reason := addressPair(m); reason != "" {
				return nil, badRequest("%s", reason)
			}
		}
	}
	return v, nil
}, Validate: func(v any) string {
	for _, e := range v.([]any) {
		if _, ok := e.(map[string]any); !ok {
			return fmt.Sprintf("'%s' is not a dictionary", py(e))
		}
	}
	return ""
}}

func addressPair(m map[string]any) string {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if k != "mac_address" && k != "ip_address" {
			return fmt.Sprintf("Unrecognized attribute(s) '%s'", k)
		}
	}
	if x, ok := m["mac_address"]; ok {
		if reason := mac.Validate(x); reason != "" {
			return reason
		}
	}
	x, ok := m["ip_address"]
	if !ok {
		return "" // core says what is missing
	}
	s, _ := x.(string)
	if strings.Contains(s, "/") {
		if _, err := netip.ParsePrefix(s); err != nil {
			return fmt.Sprintf("'%s' is not a valid IP subnet", s)
		}
		return ""
	}
	if _, ok := parseIP(x); !ok {
		return fmt.Sprintf("'%s' is not a valid IP address", py(x))
	}
	return ""
}

// portHints are hints for kinds of host data planes, by their names.
var portHints = Type{Name: "object", Validate: func(v any) string {
	m, reason := onlyKey(v, "openvswitch")
	if m == nil {
		return reason
	}
	if m, reason = onlyKey(m["openvswitch"], "other_config"); m == nil {
		return reason
	}
	if m, reason = onlyKey(m["other_config"], "tx-steering"); m == nil {
		return reason
	}
	return oneOf("thread", "hash").Validate(m["tx-steering"])
}}

// onlyKey checks that v is an object with no other key; it is returned if it has
// the key.
func onlyKey(v any, key string) (map[string]any, string) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Sprintf("'%s' is not a dictionary", py(v))
	}
	for k := range m {
		if k != key {
			return nil, "Unexpected keys supplied: " + k
		}
	}
	if len(m) == 0 {
		return nil, ""
	}
	return m, ""
}

var dhcpOptions = Type{Name: "list of DHCP options", Convert: nullToList, Validate: func(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprintf("'%s' is not a list", py(v))
	}
	for _, e := range list {
		if reason := dhcpOption(e); reason != "" {
			return reason
		}
	}
	return ""
}}

// dhcpOption checks one extra DHCP option and completes it with its IP version.
func dhcpOption(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("'%s' is not a dictionary", py(v))
	}
	if reason := nonEmptyText(255).Validate(m["opt_name"]); reason != "" {
		return reason
	}
	if _, ok := m["opt_value"]; !ok {
		return fmt.Sprintf("Expected keys: ['opt_name', 'opt_value'] in '%s'", py(v))
	}
	if reason := text(255).orNull().Validate(m["opt_value"]); reason != "" {
		return reason
	}
	version := any(int64(4))
	if x, ok := m["ip_version"]; ok {
		n, err := toInt(x)
		if err != nil || n != int64(4) && n != int64(6) {
			return fmt.Sprintf("'%s' is not in [4, 6]", py(x))
		}
		version = n
	}
	m["ip_version"] = version
	for k := range m {
		if k != "opt_name" && k != "opt_value" && k != "ip_version" {
			return fmt.Sprintf("Unexpected keys supplied: %s", k)
		}
	}
	return ""
}
