package store

import (
	"fmt"

	"github.com/weftnet/weft"
)

// Networks keeps networks and, beside them, the segments they hold.
var Networks = Table[weft.Network]{
	Name: "networks", Noun: "network", NotFound: "NetworkNotFound", Quota: true,
	Columns: []Column[weft.Network]{
		{Name: "name", Value: func(n *weft.Network) any { return n.Name }},
		{Name: "description", Value: func(n *weft.Network) any { return n.Description }},
		{Name: "admin_state_up", Value: func(n *weft.Network) any { return btoi(n.AdminStateUp) }},
		{Name: "status", Value: func(n *weft.Network) any { return n.Status }},
		{Name: "external", Attr: "router:external", Value: func(n *weft.Network) any { return btoi(n.External) }},
		{Name: "is_default", Value: func(n *weft.Network) any { return btoi(n.Default()) }},
		{Name: "mtu", Value: func(n *weft.Network) any { return n.MTU }},
		{Name: "qos_policy_id", Value: func(n *weft.Network) any { return string(n.QoSPolicyID) }},
	},
	Computed: []Computed{
		{Attr: "subnets", SQL: `COALESCE('["' || (SELECT STRING_AGG(s.id, '","') FROM subnets s WHERE s.network_id = t.id) || '"]', '[]')`},
		SharedAs("network").Shared(),
		{Attr: "availability_zones", SQL: zonesSQL(weft.AgentDHCP, "SELECT d.host FROM dhcp_hosts d WHERE d.network_id = t.id")},
		addressScope("ipv4_address_scope", 4),
		addressScope("ipv6_address_scope", 6),
		{Attr: "l2_adjacency", Null: "true", Only: "SELECT 1 FROM subnets WHERE segment_id > ''",
			SQL: `CASE WHEN EXISTS (SELECT 1 FROM subnets s WHERE s.network_id = t.id AND s.segment_id <> '') THEN 'false' END`},
	},
	Filters: map[string]Filter{
		"shared":                    SharedAs("network").Filter,
		"provider:network_type":     segmentFilter("network_type"),
		"provider:physical_network": segmentFilter("physical_network"),
		"provider:segmentation_id":  segmentFilter("segmentation_id"),
	},
	Visible: SharedAs("network").Visible,
	Index:   indexSegments,
}.Ready()

// zonesSQL is the list of zones of the agents of a type on the hosts selected.
func zonesSQL(agentType, hosts string) string {
	return `COALESCE('["' || (SELECT STRING_AGG(z.zone, '","') FROM (SELECT DISTINCT a.availability_zone AS zone FROM agents a
		WHERE a.agent_type = '` + agentType + `' AND a.availability_zone <> '' AND a.host IN (` + hosts + `)) z) || '"]', '[]')`
}

// addressScope is the scope of a network's subnets of an IP version.
func addressScope(attr string, version int) Computed {
	return Computed{Attr: attr, Null: "null", Only: "SELECT 1 FROM address_scopes",
		SQL: fmt.Sprintf(`(SELECT '"' || MIN(sp.address_scope_id) || '"' FROM subnets s JOIN subnetpools sp ON sp.id = s.subnetpool_id
			WHERE s.network_id = t.id AND s.ip_version = %d AND sp.address_scope_id <> '')`, version)}
}

func segmentFilter(column string) Filter {
	return func(_ *weft.Caller, values []any) Cond {
		c := In(column, values...)
		return Where("t.id IN (SELECT t.network_id FROM segments t WHERE "+c.SQL+")", c.Args...)
	}
}
