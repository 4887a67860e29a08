package api

import (
	"fmt"
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
	RemovePort(tx *store.Tx, p *weft.Port) error
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
		MarkerMust: true,
		Singular:   "port", Plural: "ports", Table: store.Ports,
		Implements: []string{
			"allowed-address-pairs", "binding", "binding-extended", "data-plane-status", "dns-domain-ports", "dns-integration",
			"extra_dhcp_opt", "ip-substring-filtering", "port-device-profile", "port-hardware-offload-type",
			"port-hint-ovs-tx-steering", "port-hints", "port-mac-address-regenerate", "port-mac-override",
			"port-numa-affinity-policy", "port-numa-affinity-policy-socket", "port-resource-request", "port-resource-request-groups",
			"port-security", "port-security-groups-filtering", "port-trusted-vif", "qos-port-network-policy",
			"tag-ports-during-bulk-creation", "uplink-status-propagation", "uplink-status-propagation-updatable",
		},
		Attrs: table(ident(), standard(),
			ext("standard-attr-tag", row("tags", "CV", []any{}, uniqueTexts(255, maxTags))),
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
			return svc.RemovePort(tx, p)
		},
		Filters: map[string]Type{"fixed_ips": pair},
		Parent:  networkOf(func(p *weft.Port) string { return p.NetworkID }),
		Below:   map[string]Handler{"bindings": newPortBindings(svc).serve},
		Using:   ownNetwork("port", func(p *weft.Port) string { return p.NetworkID }),
	}
}

// addressPairs are refused in words of their own: the message is not the usual one
// about an attribute.
var addressPairs = Type{Name: "list of address pairs", Items: maxConfigured, Convert: func(v any) (any, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, badRequest("Allowed address pairs must be a list.")
	}
	seen := map[[2]string]bool{}
	for _, e := range list {
		if err := addressPair(e, seen); err != nil {
			return nil, err
		}
	}
	return nullToList(v)
}}

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
			return nil, "Unexpected keys supplied: " + py(k)
		}
	}
	if len(m) == 0 {
		return nil, ""
	}
	return m, ""
}

func addressPair(v any, seen map[[2]string]bool) error {
	m, ok := v.(map[string]any)
	if !ok {
		return badRequest("Invalid input for allowed_address_pairs. Reason: '%s' is not a dictionary.", py(v))
	}
	if _, ok := m["ip_address"]; !ok {
		return weft.Errorf(weft.BadRequest, "AllowedAddressPairsMissingIP", "AllowedAddressPair must contain ip_address")
	}
	if x, ok := m["mac_address"]; ok {
		if reason := mac.Validate(x); reason != "" {
			return badRequest("%s", reason)
		}
	}
	pair := [2]string{py(m["mac_address"]), pyRepr(m["ip_address"])} // whole, unlike in messages
	if seen[pair] {
		return weft.Errorf(weft.BadRequest, "DuplicateAddressPairInRequest",
			"Request contains duplicate address pair: mac_address %s ip_address %s.", pair[0], py(m["ip_address"]))
	}
	seen[pair] = true
	var unknown []string
	for k := range m {
		if k != "mac_address" && k != "ip_address" {
			unknown = append(unknown, k)
		}
	}
	if slices.Sort(unknown); len(unknown) > 0 {
		return badRequest("Unrecognized attribute(s) '%s'", weft.Excerpt(strings.Join(unknown, ", ")))
	}
	if text, _ := m["ip_address"].(string); isPrefix(text) {
		return nil
	}
	if reason := notIP(m["ip_address"]); reason != "" {
		return badRequest("%s", reason)
	}
	return nil
}

func isPrefix(s string) bool {
	_, err := netip.ParsePrefix(s)
	return err == nil
}

// dhcpOptions, too, have refusals of their own.
var dhcpOptions = Type{Name: "list of DHCP options", Items: maxOptions, Convert: func(v any) (any, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, weft.Invalid("'%s' is not a list", py(v))
	}
	for _, e := range list {
		if !dhcpOption(e) {
			return nil, weft.Invalid("No valid key specs matched for: %s", py(e))
		}
	}
	return nullToList(v)
}}

// dhcpOption reports whether a value is an extra DHCP option, and completes it with
// its IP version.
func dhcpOption(v any) bool {
	m, ok := v.(map[string]any)
	if !ok || oneLine(nonEmptyText(64)).Validate(m["opt_name"]) != "" {
		return false
	}
	valid := oneLine(nonEmptyText(255))
	if m["opt_name"] == "router" || m["opt_name"] == "classless-static-route" { // empty: what the subnet says is not sent
		valid = oneLine(text(255))
	}
	value, given := m["opt_value"]
	if !given || value != nil && valid.Validate(value) != "" {
		return false
	}
	for k := range m {
		if k != "opt_name" && k != "opt_value" && k != "ip_version" {
			return false
		}
	}
	version := any(int64(4))
	if x, ok := m["ip_version"]; ok {
		n, err := toInt(x)
		if err != nil || n != int64(4) && n != int64(6) {
			return false
		}
		version = n
	}
	m["ip_version"] = version
	return true
}

// pair is what filters on members of lists look like.
var pair = Type{Name: "key=value", Convert: func(v any) (any, error) {
	if s, _ := v.(string); !strings.Contains(s, "=") {
		return nil, weft.Invalid("'%s' is not of the form <key>=[value]", py(v))
	}
	return v, nil
}}
