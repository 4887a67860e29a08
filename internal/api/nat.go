package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// PortForwardingService is what the API asks of port forwardings.
type PortForwardingService interface {
	CreateForwarding(tx *store.Tx, f *weft.PortForwarding, given weft.Given) error
	UpdateForwarding(tx *store.Tx, old, f *weft.PortForwarding, given weft.Given) error
	DeleteForwarding(tx *store.Tx, f *weft.PortForwarding) error
}

// ConntrackHelperService is what the API asks of connection tracking helpers.
type ConntrackHelperService interface {
	CreateHelper(tx *store.Tx, h *weft.ConntrackHelper) error
	UpdateHelper(tx *store.Tx, h *weft.ConntrackHelper) error
	DeleteHelper(tx *store.Tx, h *weft.ConntrackHelper) error
}

// NDPProxyService is what the API asks of NDP proxies.
type NDPProxyService interface {
	CreateProxy(tx *store.Tx, p *weft.NDPProxy) error
	UpdateProxy(tx *store.Tx, p *weft.NDPProxy) error
	DeleteProxy(tx *store.Tx, p *weft.NDPProxy) error
}

// PortForwardings is the table of the port forwardings of a floating IP.
func PortForwardings(svc PortForwardingService) *Resource[weft.PortForwarding] {
	return &Resource[weft.PortForwarding]{
		Singular: "port_forwarding", Plural: "port_forwardings", Rule: "floatingip_port_forwarding", Table: store.PortForwardings,
		Within: &Within{Path: "floatingips", Column: "floatingip_id"},
		Implements: []string{"floating-ip-port-forwarding", "floating-ip-port-forwarding-description", "floating-ip-port-forwarding-detail",
			"floating-ip-port-forwarding-port-ranges", "expose-port-forwarding-in-fip"},
		Attrs: table(identOnly(), ext("floating-ip-port-forwarding",
			row("internal_ip_address", "CUVR", Unset, ipAddress),
			row("protocol", "CUVFSR", Unset, protocolName),
			row("internal_port_id", "CUVFSR", Unset, uuidType)),
			ext("floating-ip-port-forwarding-port-ranges",
				row("external_port", "CUVFS", nil, portNumber.orNull()),
				row("internal_port", "CUV", nil, portNumber.orNull()),
				row("external_port_range", "CUVFS", nil, portRange.orNull()),
				row("internal_port_range", "CUV", nil, portRange.orNull())),
			ext("floating-ip-port-forwarding-description", row("description", "CUVF", "", text(255)))),
		Create: func(tx *store.Tx, f *weft.PortForwarding, rq Request) error {
			return svc.CreateForwarding(tx, f, rq.Given)
		},
		Update: func(tx *store.Tx, old, f *weft.PortForwarding, rq Request) error {
			return svc.UpdateForwarding(tx, old, f, rq.Given)
		},
		Delete: svc.DeleteForwarding,
	}
}

// ConntrackHelpers is the table of the connection tracking helpers of a router.
func ConntrackHelpers(svc ConntrackHelperService) *Resource[weft.ConntrackHelper] {
	return &Resource[weft.ConntrackHelper]{
		Singular: "conntrack_helper", Plural: "conntrack_helpers", Rule: "router_conntrack_helper", Table: store.ConntrackHelpers,
		Within:     &Within{Path: "routers", Column: "router_id"},
		Implements: []string{"l3-conntrack-helper", "expose-l3-conntrack-helper"},
		Attrs: table(identOnly(), ext("l3-conntrack-helper",
			row("protocol", "CUVFSR", Unset, protocolName),
			row("port", "CUVFSR", Unset, between(1, 65535)),
			row("helper", "CUVFSR", Unset, numberAsText(text(64))))),
		Create: func(tx *store.Tx, h *weft.ConntrackHelper, _ Request) error { return svc.CreateHelper(tx, h) },
		Update: func(tx *store.Tx, _, h *weft.ConntrackHelper, _ Request) error { return svc.UpdateHelper(tx, h) },
		Delete: svc.DeleteHelper,
	}
}

// NDPProxies is the table of NDP proxies. By what they belong to they are not
// filtered, as in Neutron.
func NDPProxies(svc NDPProxyService) *Resource[weft.NDPProxy] {
	return &Resource[weft.NDPProxy]{
		Singular: "ndp_proxy", Plural: "ndp_proxies", Table: store.NDPProxies,
		Implements: []string{"l3-ndp-proxy", "l3-ext-ndp-proxy"},
		Attrs: table(standard(), ext("l3-ndp-proxy",
			row("id", "VS", Unset, uuidType),
			row("tenant_id", "CVS", Unset, text(255)),
			row("project_id", "CVS", Unset, text(255)),
			row("name", "CUVFS", "", text(255)),
			row("router_id", "CVSR", Unset, uuidType),
			row("port_id", "CVSR", Unset, uuidType),
			row("ip_address", "CVS", nil, ipAddress.orNull()))),
		Create: func(tx *store.Tx, p *weft.NDPProxy, _ Request) error { return svc.CreateProxy(tx, p) },
		Update: func(tx *store.Tx, _, p *weft.NDPProxy, _ Request) error { return svc.UpdateProxy(tx, p) },
		Delete: svc.DeleteProxy,
	}
}

// protocolName is the name of a protocol that has ports to translate, or nearly.
var protocolName = Type{Name: "string", Convert: func(v any) (any, error) {
	s, ok := v.(string)
	switch {
	case v == nil:
		return nil, nil
	case !ok:
		return nil, weft.Invalid("Input value %s must be string type", py(v))
	case slices.Contains(forwarded, strings.ToLower(s)):
		return s, nil
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= 255 {
		return s, nil
	}
	return nil, weft.Invalid("IP protocol '%s' is not supported. Only protocol names and their integer representation (0 to 255) are supported", s)
}, Validate: oneOf(forwarded...).Validate}

var forwarded = []string{"dccp", "icmp", "ipv6-icmp", "sctp", "tcp", "udp"}

// portNumber is a port by number; unlike of other integers a bad one is no
// InvalidInput.
var portNumber = Type{Name: "integer", Convert: func(v any) (any, error) {
	if n, err := toInt(v); err == nil {
		return n, nil
	}
	return v, nil
}, Validate: bounds(1, 65535)}

// portRange is a port or two, joined by a colon.
var portRange = Type{Name: "port range", Convert: func(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	return py(v), nil
}, Validate: func(v any) string {
	s, _ := v.(string)
	ends := strings.Split(s, ":")
	if len(ends) > 2 {
		return "Port range must be two integers separated by a colon"
	}
	ports := make([]int, len(ends))
	for i, e := range ends {
		n, err := strconv.Atoi(e)
		switch {
		case e == "":
			return "Port range must be two integers separated by a colon"
		case err != nil || n < 0 || n > 65535:
			return "Invalid port: " + e
		case n == 0:
			return fmt.Sprintf("Invalid port: %s, the port must be in the range [1, 65535]", e)
		}
		ports[i] = n
	}
	if ports[0] > ports[len(ports)-1] {
		return "First port in a port range must be lower than the second port"
	}
	return ""
}}

// numberAsText takes a number for its text.
func numberAsText(t Type) Type {
	t.Convert = func(v any) (any, error) {
		if n, ok := v.(json.Number); ok {
			return n.String(), nil
		}
		return v, nil
	}
	return t
}

// RegisterFloatingIPPools adds the list of the subnets that floating IPs come from.
func RegisterFloatingIPPools(s *Server) {
	s.Special("floatingip_pools", floatingIPPools, "floatingip-pools")
}

// floatingIPPools lists the IPv4 subnets of the external networks that the caller
// sees. Nothing in it filters or sorts.
func floatingIPPools(rq *httpRequest, rest []string) error {
	switch {
	case len(rest) > 0:
		return notFound()
	case rq.r.Method != http.MethodGet:
		return notAllowed()
	}
	if err := plainList(rq); err != nil {
		return err
	}
	networks, err := externalNetworks(rq)
	if err != nil {
		return err
	}
	subnets, err := store.Subnets.Find(rq.read(), store.In("network_id", networks...), store.Eq("ip_version", 4))
	if err != nil {
		return err
	}
	fields, pools := rq.query()["fields"], []any{}
	for _, sub := range subnets {
		pool := map[string]any{"subnet_id": sub.ID, "subnet_name": sub.Name, "network_id": sub.NetworkID, "cidr": sub.CIDR.String(),
			"tenant_id": rq.caller.ProjectID, "project_id": rq.caller.ProjectID}
		for name := range pool {
			if len(fields) > 0 && !slices.Contains(fields, name) {
				delete(pool, name)
			}
		}
		pools = append(pools, pool)
	}
	writeJSON(rq.w, http.StatusOK, map[string]any{"floatingip_pools": pools})
	return nil
}

// plainList refuses filters and sort keys.
func plainList(rq *httpRequest) error {
	var bad []string
	for _, name := range rq.paramNames() {
		if !reserved[name] {
			bad = append(bad, "'"+name+"'")
		}
	}
	if len(bad) > 0 {
		return badRequest("[%s] is invalid attribute for filtering", strings.Join(bad, ", "))
	}
	if keys := rq.query()["sort_key"]; len(keys) > 0 {
		return badRequest("['%s'] is invalid attribute for sort_keys", keys[0])
	}
	return nil
}

func externalNetworks(rq *httpRequest) ([]any, error) {
	networks, err := store.Networks.Find(rq.read(), store.Eq("external", 1), store.Networks.VisibleTo(rq.caller))
	ids := make([]any, len(networks))
	for i, n := range networks {
		ids[i] = n.ID
	}
	return ids, err
}
