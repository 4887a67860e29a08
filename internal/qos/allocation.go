package qos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/accord"
	"github.com/weftnet/weft/internal/store"
)

// Minimums are allocated to instances in Placement, by Nova when it makes one. When a
// port of an instance gets another policy, its host has to have what that asks for.

// Allocator changes what an instance has been allocated: amounts by class, by provider.
// Its errors refuse the change. The request is the client's global id, for the logs of
// both sides.
type Allocator interface {
	Reallocate(ctx context.Context, request, instance string, difference map[string]map[string]int64) error
}

// reallocation is a term of package accord: an instance gets more, or less, for a port.
type reallocation struct {
	by                      Allocator
	request, instance, port string
	difference              map[string]map[string]int64
}

// Key is the same when the transaction runs again, and another for each port: an
// instance gets what all of them ask for. Maps print in order.
func (r reallocation) Key() string { return fmt.Sprint(r.instance, " ", r.port, " ", r.difference) }

func (r reallocation) Agree(ctx context.Context) error {
	return r.by.Reallocate(ctx, r.request, r.instance, r.difference)
}

func (r reallocation) Withdraw(ctx context.Context) error {
	back := map[string]map[string]int64{}
	for provider, amounts := range r.difference {
		back[provider] = map[string]int64{}
		for class, n := range amounts {
			back[provider][class] = -n
		}
	}
	return r.by.Reallocate(ctx, r.request, r.instance, back)
}

// PortReallocating has what a port's instance is allocated follow the port's policy. It
// is to be the last that has a say. Errors: those of the Allocator, NotImplementedError.
func (s *Service) PortReallocating(tx *store.Tx, old, p *weft.Port) error {
	if old.QoSPolicyID == p.QoSPolicyID || !strings.HasPrefix(old.DeviceOwner, "compute:") {
		return nil
	}
	n, err := store.Networks.Get(tx, p.NetworkID)
	if err != nil {
		return err
	}
	of := func(p *weft.Port) weft.ID {
		if p.QoSPolicyID != "" {
			return p.QoSPolicyID
		}
		return n.QoSPolicyID
	}
	terms, err := s.reallocate(tx, of(old), of(p), old, p)
	if err != nil {
		return err
	}
	return accord.Need(tx.Context(), terms...)
}

// NetworkReallocating does the same for the ports that have a policy from their network.
// Either all instances get what the new policy asks for, or the network keeps the old.
func (s *Service) NetworkReallocating(tx *store.Tx, old, n *weft.Network) error {
	if old.QoSPolicyID == n.QoSPolicyID {
		return nil
	}
	ports, err := store.Ports.Find(tx, store.Eq("network_id", n.ID), store.Eq("qos_policy_id", ""),
		store.Where("t.device_owner LIKE 'compute:%'"))
	if err != nil {
		return err
	}
	var terms []accord.Term
	for _, p := range ports {
		was := weft.Clone(p)
		more, err := s.reallocate(tx, old.QoSPolicyID, n.QoSPolicyID, was, p)
		if err != nil {
			return err
		}
		terms = append(terms, more...)
		if err := store.Ports.Update(tx, p); err != nil {
			return err
		}
	}
	return accord.Need(tx.Context(), terms...)
}

// reallocate is what has to be agreed to so that a port may have another policy; p gets
// the allocation that it has then. As in Neutron, a port that was allocated nothing, or
// nothing of a type of rule, gets none now: only a scheduler could find out where.
func (s *Service) reallocate(tx *store.Tx, from, to weft.ID, old, p *weft.Port) ([]accord.Term, error) {
	allocation := old.Allocation()
	if from == to || len(allocation) == 0 {
		return nil, nil
	}
	before, err := scheduled(tx, from)
	if err != nil {
		return nil, err
	}
	after, err := scheduled(tx, to)
	if err != nil {
		return nil, err
	}
	if len(before) == 0 {
		return nil, nil
	}
	providers, next := follow(old.ID, allocation, before, after)
	difference, err := subtract(providers, before, after)
	if err != nil {
		return nil, err
	}
	p.Profile = maps.Clone(p.Profile)
	if p.Profile == nil {
		p.Profile = map[string]any{}
	}
	p.Profile["allocation"] = next
	switch {
	case len(difference) == 0:
		return nil, nil
	case s.Allocator == nil:
		return nil, tracked()
	}
	return []accord.Term{reallocation{s.Allocator, tx.Caller.GlobalRequest, old.DeviceID, old.ID, difference}}, nil
}

// tracked is the refusal of what cannot be done about what Placement has allocated.
func tracked() error {
	return weft.Errorf(weft.NotSupported, "NotImplementedError",
		"Cannot update QoS policies/rules backed by resources tracked in Placement")
}

// scheduled are the rules of a policy, which may be "", that ask for something of a host.
func scheduled(tx *store.Tx, policy weft.ID) (out []*weft.QoSRule, err error) {
	if policy == "" {
		return nil, nil
	}
	rules, err := store.QoSRules.Find(tx, store.Eq("qos_policy_id", string(policy)))
	for _, r := range rules {
		if r.Scheduled() {
			out = append(out, r)
		}
	}
	return out, err
}

// follow is which provider gives what rules of a type ask for, and the allocation of the
// port when it has the rules after.
func follow(port string, allocation map[string]string, before, after []*weft.QoSRule) (providers map[string]string, next any) {
	providers = map[string]string{}
	groups := map[string]any{}
	for _, ruleType := range []string{weft.QoSMinimumBandwidth, weft.QoSMinimumPacketRate} {
		provider := allocation[group(port, ruleType, before)]
		if one := allocation[""]; one != "" && ruleType == weft.QoSMinimumBandwidth { // the old form knows no other
			provider = one
		}
		if provider == "" {
			continue
		}
		providers[ruleType] = provider
		if g := group(port, ruleType, after); g != none {
			groups[g] = provider
		}
	}
	if one := allocation[""]; one != "" && len(groups) > 0 {
		return providers, one
	}
	return providers, groups
}

// none is the request group of no rules, which nothing is allocated for.
const none = "none"

// group is the id of the request group of the rules of a type, or none.
func group(port, ruleType string, rules []*weft.QoSRule) string {
	var ids []string
	for _, r := range rules {
		if r.Type == ruleType {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return none
	}
	slices.Sort(ids)
	return store.RequestGroup(port, ids)
}

// subtract is what the rules after ask for beyond those before, of the providers that
// give what rules of their types ask for.
func subtract(providers map[string]string, before, after []*weft.QoSRule) (map[string]map[string]int64, error) {
	out := map[string]map[string]int64{}
	add := func(rules []*weft.QoSRule, sign int64) {
		for _, r := range rules {
			if provider := providers[r.Type]; provider != "" {
				if out[provider] == nil {
					out[provider] = map[string]int64{}
				}
				class, n := r.Resource()
				out[provider][class] += sign * n
			}
		}
	}
	add(before, -1)
	add(after, 1)
	if rated(before) && rated(after) && providers[weft.QoSMinimumPacketRate] != "" && together(before) != together(after) {
		return nil, weft.Errorf(weft.NotSupported, "NotImplementedError", "Changing from direction-less QoS minimum packet rate rule "+
			"to a direction-oriented minimum packet rate rule, or vice versa, is not supported.")
	}
	for provider, amounts := range out {
		maps.DeleteFunc(amounts, func(_ string, n int64) bool { return n == 0 })
		if len(amounts) == 0 {
			delete(out, provider)
		}
	}
	return out, nil
}

// rated reports whether there is a minimum packet rate, together whether that is one of
// both directions.
func rated(rules []*weft.QoSRule) bool { return slices.ContainsFunc(rules, isRate) }

func together(rules []*weft.QoSRule) bool {
	return slices.ContainsFunc(rules, func(r *weft.QoSRule) bool { return isRate(r) && r.Direction == weft.AnyDirection })
}

func isRate(r *weft.QoSRule) bool { return r.Type == weft.QoSMinimumPacketRate }
