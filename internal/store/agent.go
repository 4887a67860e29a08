package store

import (
	"fmt"
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
		{Name: "heartbeat", Attr: "-", Value: func(a *weft.Agent) any {
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
