package store

import (
	"encoding/json"
	"regexp"
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
	vnic := trait("VNIC_TYPE_", in.Port.VNICType)
	var groups []requestGroup
	add := func(ruleType string, required ...string) {
		if g := groupOf(in.Port.ID, ruleType, in.Rules, required); g != nil {
			groups = append(groups, *g)
		}
	}
	if s := in.Network.AllSegments(); len(s) > 0 && s[0].PhysicalNetwork != "" {
		add(weft.QoSMinimumBandwidth, trait("PHYSNET_", string(s[0].PhysicalNetwork)), vnic)
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

// groupOf is what the rules of a type ask for a port, or nil. As in Neutron its id
// follows from the port and the rules, so that it is the same whenever it is asked.
func groupOf(port, ruleType string, rules []weft.QoSRule, required []string) *requestGroup {
	g := &requestGroup{Required: required, Resources: map[string]int64{}}
	var ids []string
	for _, r := range rules {
		if r.Type == ruleType {
			ids = append(ids, r.ID)
			g.Resources[resourceClass(&r)] = r.MinKbps + r.MinKpps
		}
	}
	namespace, err := uuid.Parse(port)
	if err != nil || len(ids) == 0 {
		return nil
	}
	g.ID = uuid.NewSHA1(namespace, []byte(strings.Join(ids, ":"))).String()
	return g
}

// resourceClass is Placement's name for what a rule with a minimum asks for.
func resourceClass(r *weft.QoSRule) string {
	name, unit := "NET_BW", "_KILOBIT_PER_SEC"
	if r.Type == weft.QoSMinimumPacketRate {
		name, unit = "NET_PACKET_RATE", "_KILOPACKET_PER_SEC"
	}
	switch r.Direction {
	case weft.Ingress:
		name += "_IGR"
	case weft.Egress:
		name += "_EGR"
	}
	return name + unit
}

var notInTraits = regexp.MustCompile(`[^0-9A-Z]+`)

func trait(prefix, name string) string {
	return "CUSTOM_" + notInTraits.ReplaceAllString(strings.ToUpper(prefix+name), "_")
}
