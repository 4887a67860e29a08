package api

import (
	"net/http"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Agents is the table of agents. alive is computed from the heartbeat, which must
// be younger than downTime.
func Agents(downTime time.Duration) *Resource[weft.Agent] {
	return &Resource[weft.Agent]{
		Singular: "agent", Plural: "agents", Table: store.AgentsAlive(downTime),
		Implements: []string{"agent", "agent-resources-synced", "agent_sort_key"},
		Attrs: []Attr{
			row("id", "VFS", Unset, uuidType),
			row("agent_type", "VFS", Unset, text(255)),
			row("binary", "VFS", Unset, text(255)),
			row("topic", "VFS", Unset, text(255)),
			row("host", "VFS", Unset, text(255)),
			row("admin_state_up", "UVFS", Unset, boolean),
			row("created_at", "VS", Unset, anyType),
			row("started_at", "VS", Unset, anyType),
			row("heartbeat_timestamp", "VS", Unset, anyType),
			row("alive", "VF", Unset, boolean),
			row("configurations", "V", Unset, anyType),
			row("description", "UVF", Unset, text(255).orNull()),
			row("availability_zone", "VFS", Unset, text(255)),
			row("resources_synced", "V", Unset, anyType),
		},
		Unpaged: true,
		// Agents report themselves; Neutron has the verb and refuses it, in these words.
		Create: func(*store.Tx, *weft.Agent, Request) error {
			return badRequest("Unrecognized attribute(s) 'tenant_id, project_id'")
		},
	}
}

// zone is a row of availability_zones.
type zone struct {
	Name     string `json:"name"`
	Resource string `json:"resource"`
	State    string `json:"state"`
}

// AvailabilityZones serves the zones of the agents that serve networks and routers.
func AvailabilityZones(rq *httpRequest, rest []string) error {
	if rq.r.Method != http.MethodGet || len(rest) > 0 {
		return notAllowed()
	}
	for name := range rq.query() {
		if !reserved[name] && name != "name" && name != "resource" && name != "state" {
			return badRequest("['%s'] is invalid attribute for filtering", name)
		}
	}
	agents, err := store.Agents.Find(rq.read(), store.In("agent_type", weft.AgentDHCP, weft.AgentL3))
	if err != nil {
		return err
	}
	state := map[zone]bool{}
	for _, a := range agents {
		resource := "network"
		if a.AgentType == weft.AgentL3 {
			resource = "router"
		}
		z := zone{Name: string(a.AvailabilityZone), Resource: resource}
		state[z] = state[z] || a.AdminStateUp
	}
	zones := weft.List[zone]{}
	for z, up := range state {
		z.State = "unavailable"
		if up {
			z.State = "available"
		}
		if rq.matches("name", z.Name) && rq.matches("resource", z.Resource) && rq.matches("state", z.State) {
			zones = append(zones, z)
		}
	}
	writeJSON(rq.w, http.StatusOK, map[string]any{"availability_zones": zones})
	return nil
}

func (rq *httpRequest) matches(param, value string) bool {
	want := rq.query()[param]
	for _, w := range want {
		if w == value {
			return true
		}
	}
	return len(want) == 0
}
