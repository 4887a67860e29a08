package store

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/weftnet/weft"
)

// Agents keeps the agents that have reported.
var Agents = Table[weft.Agent]{
	Name: "agents", Noun: "agent", NotFound: "AgentNotFound",
	Columns: []Column[weft.Agent]{
		{Name: "agent_type", Value: func(a *weft.Agent) any { return a.AgentType }},
		{Name: `"binary"`, Attr: "binary", Value: func(a *weft.Agent) any { return a.Binary }},
		{Name: "host", Value: func(a *weft.Agent) any { return a.Host }},
		{Name: "topic", Value: func(a *weft.Agent) any { return a.Topic }},
		{Name: "admin_state_up", Value: func(a *weft.Agent) any { return btoi(a.AdminStateUp) }},
		{Name: "availability_zone", Value: func(a *weft.Agent) any { return string(a.AvailabilityZone) }},
		{Name: "description", Value: func(a *weft.Agent) any { return string(a.Description) }},
		{Name: "started_at", Value: func(a *weft.Agent) any { return a.StartedAt }},
		{Name: "created", Attr: "created_at", Value: func(a *weft.Agent) any { return a.Created }},
		{Name: "heartbeat", Attr: "heartbeat_timestamp", Value: func(a *weft.Agent) any {
			t, _ := time.Parse(time.DateTime, a.Heartbeat)
			return t.Unix()
		}},
	},
}.Ready()

// RBACPolicies keeps RBAC policies.
var RBACPolicies = Table[weft.RBACPolicy]{
	Name: "rbac_policies", Noun: "rbac_policy", NotFound: "RbacPolicyNotFound", Label: "RBAC policy of type unknown with ID", Ending: " not found", Quota: true,
	Columns: []Column[weft.RBACPolicy]{
		{Name: "object_type", Value: func(p *weft.RBACPolicy) any { return p.ObjectType }},
		{Name: "object_id", Value: func(p *weft.RBACPolicy) any { return p.ObjectID }},
		{Name: "action", Value: func(p *weft.RBACPolicy) any { return p.Action }},
		{Name: "target_tenant", Value: func(p *weft.RBACPolicy) any { return p.TargetTenant }},
	},
}.Ready()

// AgentsAlive is Agents with the computed attribute alive: whether the last
// heartbeat is younger than downTime.
func AgentsAlive(downTime time.Duration) *Table[weft.Agent] {
	t := *Agents
	alive := func() string { return fmt.Sprintf("t.heartbeat > %d", time.Now().Add(-downTime).Unix()) }
	t.Computed = []Computed{{Attr: "alive", SQL: "t.heartbeat", Render: func(b []byte) []byte {
		n, err := strconv.ParseInt(string(b), 10, 64)
		return strconv.AppendBool(nil, err == nil && time.Since(time.Unix(n, 0)) < downTime)
	}}}
	t.Filters = map[string]Filter{"alive": func(_ *weft.Caller, values []any) Cond {
		if len(values) == 1 && values[0] == 0 {
			return Where("NOT (" + alive() + ")")
		}
		return Where(alive())
	}}
	return &t
}

// AgentsOfRouter is a table of agents with the computed attribute ha_state: whether
// the agent has the active instance of a router, or a standby. It is null for those
// of routers that are not highly available.
func AgentsOfRouter(agents *Table[weft.Agent], r *weft.Router) *Table[weft.Agent] {
	t := *agents
	t.Computed = append(slices.Clone(t.Computed), Computed{Attr: "ha_state", SQL: "t.host", Render: func(host []byte) []byte {
		switch {
		case !r.HA:
			return []byte("null")
		case string(host) == r.HostID:
			return []byte(`"active"`)
		}
		return []byte(`"standby"`)
	}})
	return &t
}

// L3AgentsOf admits the agents that carry a router: where it is and, if it is highly
// available, where it has a port for being so.
func L3AgentsOf(r *weft.Router) Cond {
	return Where("t.agent_type = ? AND t.host IN (SELECT p.host_id FROM ports p WHERE p.device_id = ? AND p.device_owner = 'network:router_ha_interface' UNION SELECT ?)",
		weft.AgentL3, r.ID, r.HostID)
}

// RoutersOf admits the routers that an agent carries, see L3AgentsOf.
func RoutersOf(a *weft.Agent) Cond {
	if a.AgentType != weft.AgentL3 {
		return Where("1 = 0")
	}
	return Where("t.host_id = ? OR t.id IN (SELECT p.device_id FROM ports p WHERE p.host_id = ? AND p.device_owner = 'network:router_ha_interface')", a.Host, a.Host)
}

// DHCPAgentsOf admits the agents that answer DHCP for a network.
func DHCPAgentsOf(networkID string) Cond {
	return Where("t.agent_type = ? AND t.host IN (SELECT d.host FROM dhcp_hosts d WHERE d.network_id = ?)", weft.AgentDHCP, networkID)
}

// DHCPNetworksOf admits the networks that an agent answers DHCP for.
func DHCPNetworksOf(a *weft.Agent) Cond {
	if a.AgentType != weft.AgentDHCP {
		return Where("1 = 0")
	}
	return Where("t.id IN (SELECT d.network_id FROM dhcp_hosts d WHERE d.host = ?)", a.Host)
}
