package store

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
)

// resourceRequest is the attribute of ports that says what their QoS policy, or
// else that of their network, asks of a host, in the terms of Placement.
func resourceRequest() Computed {
	const policy = `CASE WHEN t.qos_policy_id <> '' THEN t.qos_policy_id ELSE (SELECT n.qos_policy_id FROM networks n WHERE n.id = t.network_id) END`
	const rules = `FROM qos_rules r WHERE r.qos_policy_id = ` + policy + ` AND r.type IN ('minimum_bandwidth', 'minimum_packet_rate')`
	return Computed{Attr: "resource_request", Render: renderRequest, Null: "null",
		Only: "SELECT 1 FROM qos_rules WHERE type IN ('minimum_bandwidth', 'minimum_packet_rate')",
		SQL: `CASE WHEN EXISTS (SELECT 1 ` + rules + `) THEN '{"port":' || t.doc || ',"network":' ||
			(SELECT n.doc FROM networks n WHERE n.id = t.network_id) || ',"rules":[' || (SELECT STRING_AGG(r.doc, ',') ` + rules + `) || ']}' END`}
}

// requestGroup is resources that one provider has to give together.
type requestGroup struct {
	ID        string           `json:"id"`
	Required  []string         `json:"required"`
	Resources map[string]int64 `json:"resources"`
}

func renderRequest(text []byte) []byte {
	var in *struct {
		Port    weft.Port      `json:"port"`
		Network weft.Network   `json:"network"`
		Rules   []weft.QoSRule `json:"rules"`
	}
	none := []byte("null")
	if json.Unmarshal(text, &in) != nil || in == nil {
		return none
	}
	slices.SortFunc(in.Rules, func(a, b weft.QoSRule) int { return strings.Compare(a.ID, b.ID) })
	vnic := weft.VNICTypeTrait(in.Port.VNICType)
	var groups []requestGroup
	add := func(ruleType string, required ...string) {
		if g := groupOf(in.Port.ID, ruleType, in.Rules, required); g != nil {
			groups = append(groups, *g)
		}
	}
	if s := in.Network.AllSegments(); len(s) > 0 && s[0].PhysicalNetwork != "" {
		add(weft.QoSMinimumBandwidth, weft.PhysnetTrait(string(s[0].PhysicalNetwork)), vnic)
	}
	add(weft.QoSMinimumPacketRate, vnic)
	if len(groups) == 0 {
		return none
	}
	subtree := make([]string, len(groups))
	for i, g := range groups {
		subtree[i] = g.ID
	}
	out, err := Encode(map[string]any{"request_groups": groups, "same_subtree": subtree})
	if err != nil {
		return none
	}
	return out
}

// groupOf is what the rules of a type ask for a port, or nil.
func groupOf(port, ruleType string, rules []weft.QoSRule, required []string) *requestGroup {
	g := &requestGroup{Required: required, Resources: map[string]int64{}}
	var ids []string
	for _, r := range rules {
		if r.Type == ruleType {
			ids = append(ids, r.ID)
			class, amount := r.Resource()
			g.Resources[class] = amount
		}
	}
	if len(ids) == 0 {
		return nil
	}
	g.ID = RequestGroup(port, ids)
	return g
}

// RequestGroup is the id of what rules of one type, by their ids in order, ask for a
// port. As in Neutron it follows from them, so that it is the same whenever it is asked.
func RequestGroup(port string, rules []string) string {
	namespace, err := uuid.Parse(port)
	if err != nil {
		return "" // no port has such an id
	}
	return uuid.NewSHA1(namespace, []byte(strings.Join(rules, ":"))).String()
}
