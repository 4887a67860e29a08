package qos

import (
	"fmt"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// CreateRule stores a new rule of a policy, whose revision grows. Errors:
// QoSRulesConflict for a second rule of its kind; QoSRuleParameterConflict for a
// minimum above a maximum, or packet rates with and without a direction;
// QosRuleNotSupported when a port that has the policy does not honour the rule;
// NotImplementedError when an instance counts on a minimum as it is.
func (s *Service) CreateRule(tx *store.Tx, r *weft.QoSRule, given weft.Given) error {
	if err := conflicts(tx, r, given); err != nil {
		return err
	}
	if err := store.QoSRules.Insert(tx, r); err != nil {
		return err
	}
	return s.changed(tx, r, true)
}

// UpdateRule stores a changed rule. The errors are those of CreateRule.
func (s *Service) UpdateRule(tx *store.Tx, old, r *weft.QoSRule, given weft.Given) error {
	if err := conflicts(tx, r, given); err != nil {
		return err
	}
	if err := store.QoSRules.Update(tx, r); err != nil || r.Revision == old.Revision {
		return err
	}
	return s.changed(tx, r, true)
}

// DeleteRule removes a rule; NotImplementedError when an instance counts on it.
func (s *Service) DeleteRule(tx *store.Tx, r *weft.QoSRule) error {
	if err := store.QoSRules.Delete(tx, r); err != nil {
		return err
	}
	return s.changed(tx, r, false)
}

// changed does what goes with a change of a rule.
func (s *Service) changed(tx *store.Tx, r *weft.QoSRule, validate bool) error {
	ports, err := store.Ports.Find(tx, store.Where(`t.qos_policy_id = ? OR t.qos_policy_id = '' AND t.network_id IN
		(SELECT n.id FROM networks n WHERE n.qos_policy_id = ?)`, r.PolicyID, r.PolicyID))
	if err != nil {
		return err
	}
	if validate {
		if err := s.honoured(tx, r.PolicyID, ports); err != nil {
			return err
		}
	}
	if r.Scheduled() {
		for _, p := range ports {
			if strings.HasPrefix(p.DeviceOwner, "compute:") {
				return tracked()
			}
		}
	}
	return store.QoSPolicies.Touch(tx, r.PolicyID)
}

// conflicts refuses a rule that does not go together with others of its policy.
func conflicts(tx *store.Tx, r *weft.QoSRule, given weft.Given) error {
	others, err := store.QoSRules.Find(tx, store.Eq("qos_policy_id", r.PolicyID), store.Where("t.id <> ?", r.ID))
	if err != nil {
		return err
	}
	for _, check := range []func(r, o *weft.QoSRule, given weft.Given) error{bounds, directions, duplicates} {
		for _, o := range others {
			if err := check(r, o, given); err != nil {
				return err
			}
		}
	}
	return nil
}

// bounds refuses a minimum above a maximum. As in Neutron directions make no
// difference, and only a value that the request names is looked at.
func bounds(r, o *weft.QoSRule, given weft.Given) error {
	switch {
	case given["max_kbps"] && o.Type == weft.QoSMinimumBandwidth && o.MinKbps > r.MaxKbps:
		return parameterConflict(r, o, r.MaxKbps, o.MinKbps)
	case given["min_kbps"] && o.Type == weft.QoSBandwidthLimit && o.MaxKbps < r.MinKbps:
		return parameterConflict(r, o, r.MinKbps, o.MaxKbps)
	}
	return nil
}

// directions refuses minimum packet rates of one direction beside one of both.
func directions(r, o *weft.QoSRule, _ weft.Given) error {
	if r.Type == weft.QoSMinimumPacketRate && o.Type == r.Type && (r.Direction == weft.AnyDirection) != (o.Direction == weft.AnyDirection) {
		return parameterConflict(r, o, r.Direction, o.Direction)
	}
	return nil
}

// duplicates refuses two rules of a type for one direction.
func duplicates(r, o *weft.QoSRule, _ weft.Given) error {
	if r.Type == o.Type && r.Direction == o.Direction {
		return weft.Errorf(weft.Conflict, "QoSRulesConflict", "Rule %s conflicts with rule %s which already exists in QoS Policy %s.", r.Type, o.ID, r.PolicyID)
	}
	return nil
}

func parameterConflict(r, o *weft.QoSRule, value, existing any) error {
	return weft.Errorf(weft.Conflict, "QoSRuleParameterConflict",
		"Unable to add the rule with value %s to the policy %s as the existing rule of type %s has value %s.",
		fmt.Sprint(value), r.PolicyID, o.Type, fmt.Sprint(existing))
}
