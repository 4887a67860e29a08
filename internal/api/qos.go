package api

import (
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/sharing"
	"github.com/weftnet/weft/internal/store"
)

// QoSService is what the API asks of QoS policies.
type QoSService interface {
	CreatePolicy(tx *store.Tx, p *weft.QoSPolicy) error
	UpdatePolicy(tx *store.Tx, p *weft.QoSPolicy) error
	DeletePolicy(tx *store.Tx, p *weft.QoSPolicy) error
	CreateRule(tx *store.Tx, r *weft.QoSRule, given weft.Given) error
	UpdateRule(tx *store.Tx, old, r *weft.QoSRule, given weft.Given) error
	DeleteRule(tx *store.Tx, r *weft.QoSRule) error
	// Drivers are the names of the mechanisms, and of those that honour rules of a
	// type.
	Drivers() []string
	DriversOf(ruleType string) []string
}

const policiesPath = "qos/policies"

// RegisterQoS adds policies, their rules by both ways, and the types of rules.
func RegisterQoS(s *Server, svc QoSService) {
	Register(s, QoSPolicies(svc))
	for _, kind := range weft.QoSRuleTypes() {
		Register(s, QoSRules(svc, kind))
		if kind != weft.QoSPacketRateLimit { // Neutron has no alias for these
			Register(s, QoSRuleAliases(svc, kind))
		}
	}
	s.Special("qos/rule-types", ruleTypes(svc), "qos-rule-type-details", "qos-rule-type-filter")
	// Tags are at the path of the noun as well.
	s.Special("policies", func(rq *httpRequest, rest []string) error {
		if len(rest) < 2 || rest[1] != "tags" {
			return notFound()
		}
		return s.collections[policiesPath].serve(rq, rest)
	})
}

// QoSPolicies is the table of QoS policies.
func QoSPolicies(svc QoSService) *Resource[weft.QoSPolicy] {
	share := func(tx *store.Tx, p *weft.QoSPolicy, rq Request) error {
		return sharing.Share(tx, "qos_policy", p.ID, rq.Values["shared"] == true)
	}
	return &Resource[weft.QoSPolicy]{
		Singular: "policy", Plural: "policies", Path: policiesPath, Table: store.QoSPolicies,
		Implements: []string{"qos", "qos-default"},
		Attrs: table(ident(), standard(), tagged(), ext("qos",
			row("name", "CUVFS", "", text(255)),
			row("shared", "CUVF", false, boolean),
			row("rules", "V", Unset, anyType)),
			ext("qos-default", row("is_default", "CUVF", false, boolean))),
		Create: func(tx *store.Tx, p *weft.QoSPolicy, rq Request) error {
			if err := svc.CreatePolicy(tx, p); err != nil {
				return err
			}
			return share(tx, p, rq)
		},
		Update: func(tx *store.Tx, _, p *weft.QoSPolicy, rq Request) error {
			if err := svc.UpdatePolicy(tx, p); err != nil || !rq.Given["shared"] {
				return err
			}
			return share(tx, p, rq)
		},
		Delete: svc.DeletePolicy,
	}
}

// QoSRules is the table of the rules of a type, below their policy.
func QoSRules(svc QoSService, kind string) *Resource[weft.QoSRule] {
	name := kind + "_rule"
	return &Resource[weft.QoSRule]{
		Singular: name, Plural: name + "s", Rule: "policy_" + name, Table: store.QoSRules,
		Only: func() store.Cond { return store.Eq("type", kind) },
		Within: &Within{Path: policiesPath, Column: "qos_policy_id", Missing: func(policy, id string) error {
			return weft.Errorf(weft.NotFound, "QosRuleNotFound", "QoS rule %s for policy %s could not be found.", id, policy)
		}},
		Implements: ruleExtensions(kind),
		Attrs:      table(identOnly(), qosValues(kind)),
		Create: func(tx *store.Tx, r *weft.QoSRule, rq Request) error {
			r.Type = kind
			return svc.CreateRule(tx, r, rq.Given)
		},
		Update: func(tx *store.Tx, old, r *weft.QoSRule, rq Request) error {
			return svc.UpdateRule(tx, old, r, rq.Given)
		},
		Delete: svc.DeleteRule,
	}
}

// QoSRuleAliases is the table of the rules of a type by their own ids.
func QoSRuleAliases(svc QoSService, kind string) *Resource[weft.QoSRule] {
	r := QoSRules(svc, kind)
	name := "alias_" + r.Singular
	r.Singular, r.Plural, r.Rule, r.Path, r.Create = name, name+"s", name, "qos/"+name+"s", nil
	r.Implements = []string{"qos-rules-alias"}
	if kind == weft.QoSMinimumPacketRate {
		r.Implements = []string{"qos-pps-minimum-rule-alias"}
	}
	r.Within.Of = func(tx *store.Tx, id string) (string, error) {
		rule, err := store.QoSRules.First(tx, store.Eq("id", id), store.Eq("type", kind))
		if err != nil {
			return "", err
		}
		if rule == nil {
			return "", store.QoSRules.Missing(id)
		}
		return rule.PolicyID, nil
	}
	return r
}

func ruleExtensions(kind string) []string {
	switch kind {
	case weft.QoSBandwidthLimit:
		return []string{"qos-bw-limit-direction"}
	case weft.QoSMinimumBandwidth:
		return []string{"qos-bw-minimum-ingress"}
	case weft.QoSMinimumPacketRate:
		return []string{"qos-pps-minimum"}
	case weft.QoSPacketRateLimit:
		return []string{"qos-pps"}
	}
	return nil
}

// qosChoices are the values that an attribute of rules of a type may have, or nil
// where it is a number from 0.
func qosChoices(kind, name string) []any {
	switch {
	case name == "direction" && kind == weft.QoSMinimumPacketRate:
		return []any{weft.AnyDirection, weft.Ingress, weft.Egress}
	case name == "direction":
		return []any{weft.Ingress, weft.Egress}
	case name == "dscp_mark":
		var marks []any
		for _, m := range dscpMarks {
			marks = append(marks, m)
		}
		return marks
	}
	return nil
}

// dscpMarks are the codes of the classes: CS, AF and EF.
var dscpMarks = []int64{0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 46, 48, 56}

// qosValues are the rows of what rules of a type have.
func qosValues(kind string) []Attr {
	var rows []Attr
	for _, name := range weft.QoSValues(kind) {
		amount := between(0, math.MaxInt32)
		switch {
		case name == "dscp_mark":
			rows = append(rows, row(name, "CUVFSR", Unset, oneOfInt(dscpMarks...)))
		case name == "direction":
			ops := "CUVFS"
			if kind == weft.QoSBandwidthLimit { // there an extension replaces the row
				ops = "CUV"
			}
			var directions []string
			for _, d := range qosChoices(kind, name) {
				directions = append(directions, d.(string))
			}
			rows = append(rows, row(name, ops, weft.Egress, oneOf(directions...)))
		case strings.HasPrefix(name, "max_burst"):
			rows = append(rows, row(name, "CUVFS", int64(0), amount))
		default:
			rows = append(rows, row(name, "CUVFSR", Unset, amount))
		}
	}
	return ext("qos", rows...)
}

// ruleTypes answers which types of rules there are, and in detail which driver
// honours one, and with which values.
func ruleTypes(svc QoSService) func(*httpRequest, []string) error {
	return func(rq *httpRequest, rest []string) error {
		switch {
		case len(rest) > 1:
			return notFound()
		case rq.r.Method != http.MethodGet:
			return notAllowed()
		case len(rest) == 0:
			return listRuleTypes(rq, svc)
		case !rq.caller.Admin:
			return weft.Errorf(weft.Forbidden, "NotAuthorized", "Not authorized.")
		case !slices.Contains(weft.QoSRuleTypes(), rest[0]):
			return notFound()
		}
		drivers := []any{}
		for _, name := range svc.DriversOf(rest[0]) {
			drivers = append(drivers, map[string]any{"name": name, "supported_parameters": parametersOf(rest[0])})
		}
		writeJSON(rq.w, http.StatusOK, map[string]any{"rule_type": map[string]any{"type": rest[0], "drivers": drivers}})
		return nil
	}
}

func parametersOf(kind string) []any {
	var out []any
	for _, name := range weft.QoSValues(kind) {
		p := map[string]any{"parameter_name": name, "parameter_type": "range", "parameter_values": map[string]any{"start": 0, "end": math.MaxInt32}}
		if choices := qosChoices(kind, name); choices != nil {
			p["parameter_type"], p["parameter_values"] = "choices", choices
		}
		out = append(out, p)
	}
	return out
}

// listRuleTypes shows the types that all drivers honour; or, as in Neutron when the
// parameter is there, whatever its value, all that there are or that any honours.
func listRuleTypes(rq *httpRequest, svc QoSService) error {
	var bad []string
	for name, values := range rq.query() {
		switch {
		case name == "all_rules" || name == "all_supported":
			if _, err := filterValues(boolean, values); err != nil {
				return err
			}
		case !reserved[name]:
			bad = append(bad, "'"+name+"'")
		}
	}
	if len(bad) > 0 {
		slices.Sort(bad)
		return badRequest("[%s] is invalid attribute for filtering", strings.Join(bad, ", "))
	}
	least := len(svc.Drivers())
	switch {
	case rq.query().Has("all_rules"):
		least = 0
	case rq.query().Has("all_supported"):
		least = 1
	}
	list := []any{}
	for _, kind := range weft.QoSRuleTypes() {
		if len(svc.DriversOf(kind)) >= least {
			list = append(list, map[string]any{"type": kind})
		}
	}
	writeJSON(rq.w, http.StatusOK, map[string]any{"rule_types": list})
	return nil
}
