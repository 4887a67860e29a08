package store

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/weftnet/weft"
)

// QoSPolicies keeps QoS policies; each shows its rules.
var QoSPolicies = Table[weft.QoSPolicy]{
	Name: "qos_policies", Noun: "policy", NotFound: "QosPolicyNotFound", Label: "QoS policy",
	Columns: []Column[weft.QoSPolicy]{
		{Name: "name", Value: func(p *weft.QoSPolicy) any { return p.Name }},
		{Name: "description", Value: func(p *weft.QoSPolicy) any { return p.Description }},
		{Name: "is_default", Value: func(p *weft.QoSPolicy) any { return btoi(p.IsDefault) }},
		// One default policy a project, by a unique column that is null for others.
		{Name: "default_of", Attr: "-", Value: func(p *weft.QoSPolicy) any {
			if p.IsDefault {
				return p.ProjectID
			}
			return nil
		}},
	},
	Computed: []Computed{
		{Attr: "rules", SQL: "(SELECT STRING_AGG(r.doc, ',') FROM qos_rules r WHERE r.qos_policy_id = t.id)", Render: rulesOfPolicy},
		SharedAs("qos_policy").Shared(),
	},
	Filters: map[string]Filter{"shared": SharedAs("qos_policy").Filter},
	Visible: SharedAs("qos_policy").Visible,
}.Ready()

// QoSRules keeps the rules of QoS policies, of all types.
var QoSRules = Table[weft.QoSRule]{
	Name: "qos_rules", Noun: "qos_rule", NotFound: "QosRuleNotFound", Label: "QoS rule", Ending: " for policy  could not be found.",
	Columns: []Column[weft.QoSRule]{
		{Name: "qos_policy_id", Value: func(r *weft.QoSRule) any { return r.PolicyID }},
		{Name: "type", Value: func(r *weft.QoSRule) any { return r.Type }},
		{Name: "direction", Value: func(r *weft.QoSRule) any { return r.Direction }},
		{Name: "max_kbps", Value: func(r *weft.QoSRule) any { return r.MaxKbps }},
		{Name: "max_burst_kbps", Value: func(r *weft.QoSRule) any { return r.MaxBurstKbps }},
		{Name: "min_kbps", Value: func(r *weft.QoSRule) any { return r.MinKbps }},
		{Name: "max_kpps", Value: func(r *weft.QoSRule) any { return r.MaxKpps }},
		{Name: "max_burst_kpps", Value: func(r *weft.QoSRule) any { return r.MaxBurstKpps }},
		{Name: "min_kpps", Value: func(r *weft.QoSRule) any { return r.MinKpps }},
		{Name: "dscp_mark", Value: func(r *weft.QoSRule) any { return r.DSCPMark }},
	},
}.Ready()

// qosNetworkPolicy is the policy that a row has by a network; the column names the
// network.
func qosNetworkPolicy(column string) Computed {
	return Computed{Attr: "qos_network_policy_id",
		SQL:  `(SELECT '"' || NULLIF(n.qos_policy_id, '') || '"' FROM networks n WHERE n.id = t.` + column + `)`,
		Only: "SELECT 1 FROM networks WHERE qos_policy_id <> ''", Null: "null"}
}

// rulesOfPolicy shows of each rule what rules of its type have.
func rulesOfPolicy(docs []byte) []byte {
	var rules []map[string]any
	d := json.NewDecoder(bytes.NewReader(slices.Concat([]byte("["), docs, []byte("]"))))
	d.UseNumber()
	if err := d.Decode(&rules); err != nil {
		return []byte("[]")
	}
	order := weft.QoSRuleTypes()
	slices.SortFunc(rules, func(a, b map[string]any) int {
		x, y := a["type"].(string), b["type"].(string)
		if x != y {
			return slices.Index(order, x) - slices.Index(order, y)
		}
		return strings.Compare(a["id"].(string), b["id"].(string))
	})
	shown := make([]map[string]any, len(rules))
	for i, r := range rules {
		shown[i] = map[string]any{}
		for _, name := range append(weft.QoSValues(r["type"].(string)), "id", "qos_policy_id", "type") {
			shown[i][name] = r[name]
		}
	}
	out, err := Encode(shown)
	if err != nil {
		return []byte("[]")
	}
	return out
}
