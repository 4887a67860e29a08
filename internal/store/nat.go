package store

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/weftnet/weft"
)

// PortForwardings keeps port forwardings.
var PortForwardings = Table[weft.PortForwarding]{
	Name: "port_forwardings", Noun: "port_forwarding", NotFound: "PortForwardingNotFound", Label: "Port Forwarding",
	Columns: []Column[weft.PortForwarding]{
		{Name: "floatingip_id", Value: func(f *weft.PortForwarding) any { return f.FloatingIPID }},
		{Name: "internal_port_id", Value: func(f *weft.PortForwarding) any { return f.InternalPortID }},
		{Name: "description", Value: func(f *weft.PortForwarding) any { return f.Description }},
		{Name: "protocol", Value: func(f *weft.PortForwarding) any { return f.Protocol }},
		{Name: "external_port", Value: func(f *weft.PortForwarding) any { return f.ExternalPort }},
		{Name: "external_port_range", Value: func(f *weft.PortForwarding) any { return f.ExternalPortRange.String() }},
	},
	Filters: map[string]Filter{"external_port_range": portRangeFilter},
}.Ready()

// portRangeFilter takes "80" for "80:80".
func portRangeFilter(_ *weft.Caller, values []any) Cond {
	texts := make([]any, len(values))
	for i, v := range values {
		texts[i] = v
		if s, ok := v.(string); ok {
			if r, err := weft.ParsePortRange(s); err == nil {
				texts[i] = r.String()
			}
		}
	}
	return In("external_port_range", texts...)
}

// ConntrackHelpers keeps the connection tracking helpers of routers.
var ConntrackHelpers = Table[weft.ConntrackHelper]{
	Name: "conntrack_helpers", Noun: "conntrack_helper", NotFound: "ConntrackHelperNotFound", Label: "Conntrack Helper",
	Columns: []Column[weft.ConntrackHelper]{
		{Name: "router_id", Value: func(h *weft.ConntrackHelper) any { return h.RouterID }},
		{Name: "protocol", Value: func(h *weft.ConntrackHelper) any { return h.Protocol }},
		{Name: "port", Value: func(h *weft.ConntrackHelper) any { return h.Port }},
		{Name: "helper", Value: func(h *weft.ConntrackHelper) any { return h.Helper }},
	},
}.Ready()

// NDPProxies keeps NDP proxies.
var NDPProxies = Table[weft.NDPProxy]{
	Name: "ndp_proxies", Noun: "ndp_proxy", NotFound: "NDPProxyNotFound", Label: "Ndp proxy",
	Columns: []Column[weft.NDPProxy]{
		{Name: "name", Value: func(p *weft.NDPProxy) any { return p.Name }},
		{Name: "description", Value: func(p *weft.NDPProxy) any { return p.Description }},
		{Name: "router_id", Value: func(p *weft.NDPProxy) any { return p.RouterID }},
		{Name: "port_id", Value: func(p *weft.NDPProxy) any { return p.PortID }},
		{Name: "ip_address", Value: func(p *weft.NDPProxy) any { return addrText(p.IPAddress) }},
	},
}.Ready()

// portForwardings is the forwardings of a floating IP, as it shows them.
var portForwardings = Computed{Attr: "port_forwardings",
	SQL:    "(SELECT STRING_AGG(f.doc, ',') FROM port_forwardings f WHERE f.floatingip_id = t.id)",
	Render: parts("id", "protocol", "internal_ip_address", "internal_port_id", "external_port", "internal_port")}

// conntrackHelpers is the helpers of a router, as it shows them.
var conntrackHelpers = Computed{Attr: "conntrack_helpers",
	SQL:    "(SELECT STRING_AGG(h.doc, ',') FROM conntrack_helpers h WHERE h.router_id = t.id)",
	Render: parts("protocol", "port", "helper")}

// parts renders documents, joined by commas, as a list in order of id with the
// members that are named, where a document has them.
func parts(names ...string) func([]byte) []byte {
	return func(docs []byte) []byte {
		var list []map[string]json.RawMessage
		if err := json.Unmarshal(slices.Concat([]byte("["), docs, []byte("]")), &list); err != nil {
			return []byte("[]")
		}
		slices.SortFunc(list, func(a, b map[string]json.RawMessage) int { return bytes.Compare(a["id"], b["id"]) })
		var out strings.Builder
		out.WriteString("[")
		for i, doc := range list {
			if i > 0 {
				out.WriteString(",")
			}
			out.WriteString("{")
			comma := ""
			for _, name := range names {
				if v, ok := doc[name]; ok {
					out.WriteString(comma + `"` + name + `":` + string(v))
					comma = ","
				}
			}
			out.WriteString("}")
		}
		out.WriteString("]")
		return []byte(out.String())
	}
}
