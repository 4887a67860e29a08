package store

import "github.com/weftnet/weft"

// Routers keeps routers.
var Routers = Table[weft.Router]{
	Name: "routers", Noun: "router", NotFound: "RouterNotFound", Ending: " could not be found", Quota: true,
	Columns: []Column[weft.Router]{
		{Name: "name", Value: func(r *weft.Router) any { return r.Name }},
		{Name: "description", Value: func(r *weft.Router) any { return r.Description }},
		{Name: "admin_state_up", Value: func(r *weft.Router) any { return btoi(r.AdminStateUp) }},
		{Name: "status", Value: func(r *weft.Router) any { return r.Status }},
		{Name: "flavor_id", Value: func(r *weft.Router) any { return string(r.FlavorID) }},
		{Name: "enable_ndp_proxy", Value: func(r *weft.Router) any { return btoi(r.EnableNDPProxy) }},
		{Name: "ha", Value: func(r *weft.Router) any { return btoi(r.HA) }},
		{Name: "distributed", Value: func(r *weft.Router) any { return btoi(r.Distributed) }},
		{Name: "enable_snat", Value: func(r *weft.Router) any { return btoi(r.Gateway == nil || r.Gateway.EnableSNAT) }},
		{Name: "host_id", Attr: "-", Value: func(r *weft.Router) any { return r.HostID }},
		{Name: "gw_port_id", Attr: "-", Value: func(r *weft.Router) any { return r.GatewayPortID }},
		{Name: "qos_policy_id", Attr: "-", Value: func(r *weft.Router) any {
			if r.Gateway == nil {
				return ""
			}
			return string(r.Gateway.QoSPolicyID)
		}},
	},
	Computed: []Computed{
		{Attr: "availability_zones", SQL: zonesSQL(weft.AgentL3, "t.host_id")},
		conntrackHelpers,
		{Attr: "enable_snat", SQL: "CASE WHEN t.enable_snat = 1 THEN 'true' ELSE 'false' END"},
	},
}.Ready()

// FloatingIPs keeps floating IPs.
var FloatingIPs = Table[weft.FloatingIP]{
	Name: "floatingips", FromZero: true, Noun: "floatingip", NotFound: "FloatingIPNotFound", Label: "Floating IP", Ending: " could not be found", Quota: true,
	Columns: []Column[weft.FloatingIP]{
		{Name: "description", Value: func(f *weft.FloatingIP) any { return f.Description }},
		{Name: "floating_network_id", Value: func(f *weft.FloatingIP) any { return f.FloatingNetworkID }},
		{Name: "floating_ip_address", Value: func(f *weft.FloatingIP) any { return addrText(f.FloatingIPAddress) }},
		{Name: "floating_port_id", Attr: "-", Value: func(f *weft.FloatingIP) any { return f.FloatingPortID }},
		{Name: "router_id", Value: func(f *weft.FloatingIP) any { return string(f.RouterID) }},
		{Name: "port_id", Value: func(f *weft.FloatingIP) any { return string(f.PortID) }},
		{Name: "fixed_ip_address", Value: func(f *weft.FloatingIP) any { return addrText(f.FixedIPAddress) }},
		{Name: "status", Value: func(f *weft.FloatingIP) any { return f.Status }},
		{Name: "qos_policy_id", Value: func(f *weft.FloatingIP) any { return string(f.QoSPolicyID) }},
	},
	Computed: []Computed{
		qosNetworkPolicy("floating_network_id"),
		{Attr: "port_details", SQL: "(SELECT p.doc FROM ports p WHERE p.id = t.port_id)", Render: portDetails},
		portForwardings,
	},
}.Ready()

// portDetails is the part of a port that is shown in its floating IP.
func portDetails(doc []byte) []byte {
	if len(doc) == 0 {
		return []byte("null")
	}
	p, err := Ports.decode(doc)
	if err != nil {
		return []byte("null")
	}
	out, err := Encode(map[string]any{"name": p.Name, "network_id": p.NetworkID, "mac_address": p.MAC, "admin_state_up": p.AdminStateUp,
		"status": p.Status, "device_id": p.DeviceID, "device_owner": p.DeviceOwner})
	if err != nil {
		return []byte("null")
	}
	return out
}
