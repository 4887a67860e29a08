package weft

// Agent is a process on a host that realises a part of the data plane there, as
// operators know it from `openstack network agent list`.
type Agent struct {
	Meta
	Created          string         `json:"created_at"` // like all times of agents in the form of time.DateTime
	AgentType        string         `json:"agent_type"`
	Binary           string         `json:"binary"`
	Topic            string         `json:"topic"`
	Host             string         `json:"host"`
	AdminStateUp     bool           `json:"admin_state_up"`
	AvailabilityZone ID             `json:"availability_zone"`
	Configurations   map[string]any `json:"configurations"`
	Description      ID             `json:"description"`
	StartedAt        string         `json:"started_at"`
	Heartbeat        string         `json:"heartbeat_timestamp"`
	ResourcesSynced  *bool          `json:"resources_synced"`
}

// Agent types, as Neutron names them.
const (
	AgentLinuxBridge = "Linux bridge agent"
	AgentDHCP        = "DHCP agent"
	AgentL3          = "L3 agent"
	AgentMetadata    = "Metadata agent"
)

// Modes of L3 agents, in their configurations.
const (
	ModeLegacy        = "legacy"
	ModeDVR           = "dvr"             // only the distributed part of routers
	ModeDVRNoExternal = "dvr_no_external" // the same, without ways out
	ModeDVRSNAT       = "dvr_snat"        // everything
)

// Mode is the mode of an L3 agent.
func (a *Agent) Mode() string {
	if mode, _ := a.Configurations["agent_mode"].(string); mode != "" {
		return mode
	}
	return ModeLegacy
}
