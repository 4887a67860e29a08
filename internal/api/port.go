package api

import (
	"fmt"
	"net/netip"

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
			"allowed-address-pairs", "binding", "binding-extended", "data-plane-status", "dns-integration", "extra_dhcp_opt", "ip-substring-filtering",
			"port-mac-address-regenerate", "port-security", "port-security-groups-filtering",
			"port-resource-request", "port-resource-request-groups", "qos-port-network-policy",
			"tag-ports-during-bulk-creation",
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
				row("dns_name", "CUV", "", lower(255)),
				row("dns_assignment", "V", Unset, anyType)),
			ext("dns-domain-ports", row("dns_domain", "CUV", "", lower(255))),
			ext("ip_allocation", row("ip_allocation", "VFS", Unset, text(16))),
			ext("qos", row("qos_policy_id", "CUV", nil, uuidType.orNull())),
			ext("qos-port-network-policy", row("qos_network_policy_id", "V", Unset, anyType)),
			ext("port-resource-request", row("resource_request", "V", Unset, anyType)),
			ext("uplink-status-propagation", row("propagate_uplink_status", "CV", true, boolean)),
			ext("data-plane-status", row("data_plane_status", "UV", Unset, oneOf("ACTIVE", "DOWN").orNull())),
			ext("port-device-profile", row("device_profile", "CV", nil, text(255).orNull())),
			ext("trunk-details", row("trunk_details", "V", Unset, anyType)),
			ext("port-numa-affinity-policy", row("numa_affinity_policy", "CUV", nil, oneOf("required", "preferred", "legacy").orNull())),
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

var addressPairs = Type{Name: "list of address pairs", Convert: nullToList, Validate: func(v any) string {
	list, ok := v.([]any)
	if !ok {
		return "Allowed address pairs must be a list."
	}
	for _, e := range list {
		if reason := addressPair(e); reason != "" {
			return reason
		}
	}
	return ""
}}

func addressPair(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("'%s' is not a dictionary", py(v))
	}
	for k, x := range m {
		switch k {
		case "mac_address":
			if reason := mac.orNull().Validate(x); reason != "" {
				return reason
			}
		case "ip_address":
			s, _ := x.(string)
			_, errA := netip.ParseAddr(s)
			_, errP := netip.ParsePrefix(s)
			if errA != nil && errP != nil {
				return fmt.Sprintf("'%s' is not a valid IP address, '%s' is not a valid IP subnet", py(x), py(x))
			}
		default:
			return fmt.Sprintf("'%s' is not a recognized attribute of an allowed address pair", k)
		}
	}
	return ""
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
