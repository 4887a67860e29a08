// Package linuxbridge binds ports on hosts whose data plane is Linux bridges:
// weft's own agent there, or Neutron's.
package linuxbridge

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/placement/tree"
	"github.com/weftnet/weft/internal/store"
)

type driver struct{ downTime time.Duration }

// New makes the driver. A host counts while its agent has reported within
// downTime.
func New(downTime time.Duration) ml2.Mechanism { return driver{downTime} }

func (driver) Name() string { return "linuxbridge" }

// QoS implements ml2.QoSMechanism. Minimums are for Placement alone, as with
// Neutron's drivers for hardware: a bridge keeps nothing free.
func (driver) QoS() ml2.QoS {
	return ml2.QoS{Rules: weft.QoSRuleTypes(), VIFTypes: []string{weft.VIFBridge}, VNICTypes: []string{"normal"}}
}

// kind has a namespace of weft's own: Neutron's driver for bridges has no providers.
var kind = tree.Kind{AgentType: weft.AgentLinuxBridge, Namespace: uuid.MustParse("5d62a7b3-7ad0-4f2c-8c86-6d0a6f0d1be4"),
	VNICTypes: []string{"normal"}}

// Placed implements ml2.PlacedMechanism.
func (driver) Placed() tree.Kind { return kind }

// Bind implements ml2.Mechanism. A port that Placement has given something of a
// provider binds where that provider is, and to its physical network.
func (d driver) Bind(tx *store.Tx, p *weft.Port, segment weft.Provider) (*ml2.Binding, error) {
	if p.VNICType != "normal" && p.VNICType != "" {
		return nil, nil
	}
	alive := tx.Now().Add(-d.downTime).Unix()
	agent, err := store.Agents.First(tx, store.Eq("agent_type", weft.AgentLinuxBridge), store.Eq("host", p.HostID), store.Where("t.heartbeat > ?", alive))
	if err != nil || agent == nil || !carries(agent.Configurations, segment) {
		return nil, err
	}
	if !kind.Gives(agent.Configurations, p.Allocation(), string(segment.PhysicalNetwork)) {
		return nil, nil
	}
	return &ml2.Binding{VIFType: weft.VIFBridge, Details: map[string]any{"port_filter": true, "connectivity": "l2"}}, nil
}

// Reaches implements ml2.Mechanism.
func (driver) Reaches(tx *store.Tx, host string, segment weft.Provider) (bool, error) {
	agent, err := store.Agents.First(tx, store.Eq("agent_type", weft.AgentLinuxBridge), store.Eq("host", host))
	return err == nil && agent != nil && carries(agent.Configurations, segment), err
}

// carries reports whether an agent with these configurations can reach the
// segment.
func carries(conf map[string]any, segment weft.Provider) bool {
	switch segment.NetworkType {
	case weft.TypeLocal:
		return true
	case weft.TypeFlat, weft.TypeVLAN:
		name := string(segment.PhysicalNetwork)
		return has(conf["interface_mappings"], name) || has(conf["bridge_mappings"], name)
	default:
		types, _ := conf["tunnel_types"].([]any)
		return slices.Contains(types, any(segment.NetworkType))
	}
}

func has(mappings any, name string) bool {
	m, _ := mappings.(map[string]any)
	_, ok := m[name]
	return ok
}
