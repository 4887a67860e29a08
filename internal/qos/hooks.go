package qos

import (
	"slices"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// NetworkCreating gives a new network without a policy the default one of its
// project. Errors: those of Check, QosRuleNotSupportedByNetwork.
func (s *Service) NetworkCreating(tx *store.Tx, n *weft.Network) error {
	if n.QoSPolicyID == "" {
		id, err := defaultOf(tx, n.ProjectID)
		if err != nil || id == "" {
			return err
		}
		n.QoSPolicyID = weft.ID(id)
	}
	if n.ID == "" {
		n.ID = uuid.NewString() // refusals name it
	}
	return s.give(tx, "", n)
}

// NetworkUpdating judges a network's new policy. Errors: those of Check,
// QosRuleNotSupportedByNetwork, QosRuleNotSupported for ports that get it.
func (s *Service) NetworkUpdating(tx *store.Tx, old, n *weft.Network) error {
	if old.QoSPolicyID == n.QoSPolicyID {
		return nil
	}
	if err := s.give(tx, old.QoSPolicyID, n); err != nil || n.QoSPolicyID == "" {
		return err
	}
	ports, err := store.Ports.Find(tx, store.Eq("network_id", n.ID), store.Eq("qos_policy_id", ""))
	if err != nil {
		return err
	}
	return s.honoured(tx, string(n.QoSPolicyID), ports)
}

// give judges the policy of a network.
func (s *Service) give(tx *store.Tx, old weft.ID, n *weft.Network) error {
	if err := s.Check(tx, old, n.QoSPolicyID); err != nil || n.QoSPolicyID == "" {
		return err
	}
	rules, err := store.QoSRules.Find(tx, store.Eq("qos_policy_id", string(n.QoSPolicyID)))
	if err != nil {
		return err
	}
	for _, r := range rules {
		if !s.supports(r, n, nil) {
			return weft.Errorf(weft.Conflict, "QosRuleNotSupportedByNetwork", "Rule %s is not supported by network %s", r.Type, n.ID)
		}
	}
	return nil
}

// PortCreating judges the policy of a new port, or else that of its network.
// Errors: those of Check, QosRuleNotSupported.
func (s *Service) PortCreating(tx *store.Tx, n *weft.Network, p *weft.Port) error {
	policy := p.QoSPolicyID
	if policy == "" {
		policy = n.QoSPolicyID
	}
	if policy == "" {
		return nil
	}
	if err := s.Check(tx, "", p.QoSPolicyID); err != nil {
		return err
	}
	if p.ID == "" {
		p.ID = uuid.NewString() // refusals name it
	}
	return s.honoured(tx, string(policy), []*weft.Port{p})
}

// PortUpdating judges a port's new policy. Errors: those of Check,
// QosRuleNotSupported.
func (s *Service) PortUpdating(tx *store.Tx, old, p *weft.Port) error {
	if old.QoSPolicyID == p.QoSPolicyID {
		return nil
	}
	if err := s.Check(tx, old.QoSPolicyID, p.QoSPolicyID); err != nil || p.QoSPolicyID == "" {
		return err
	}
	return s.honoured(tx, string(p.QoSPolicyID), []*weft.Port{p})
}

// honoured refuses, with QosRuleNotSupported, a policy with a rule that one of the
// ports does not honour.
func (s *Service) honoured(tx *store.Tx, policy string, ports []*weft.Port) error {
	if len(ports) == 0 {
		return nil
	}
	rules, err := store.QoSRules.Find(tx, store.Eq("qos_policy_id", policy))
	if err != nil || len(rules) == 0 {
		return err
	}
	networks := map[string]*weft.Network{}
	for _, p := range ports {
		n := networks[p.NetworkID]
		if n == nil {
			if n, err = store.Networks.Get(tx, p.NetworkID); err != nil {
				return err
			}
			networks[p.NetworkID] = n
		}
		for _, r := range rules {
			if !s.supports(r, n, p) {
				return weft.Errorf(weft.Conflict, "QosRuleNotSupported", "Rule %s is not supported by port %s", r.Type, p.ID)
			}
		}
	}
	return nil
}

// supports reports whether a rule is honoured on a network and, unless it is nil,
// by a port there. A minimum bandwidth is one of a physical network.
func (s *Service) supports(r *weft.QoSRule, n *weft.Network, p *weft.Port) bool {
	if r.Type == weft.QoSMinimumBandwidth {
		if segments := n.AllSegments(); len(segments) == 0 || segments[0].PhysicalNetwork == "" {
			return false
		}
	}
	for _, d := range s.drivers {
		q := d.QoS()
		fits := p == nil || slices.Contains(q.VNICTypes, p.VNICType)
		if p != nil && p.Bound() {
			fits = slices.Contains(q.VIFTypes, p.VIFType)
		}
		if fits && slices.Contains(q.Rules, r.Type) {
			return true
		}
	}
	return false
}
