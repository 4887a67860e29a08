package qos

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/sharing"
	"github.com/weftnet/weft/internal/store"
)

// object is the object type of RBAC policies that share QoS policies.
const object = "qos_policy"

// Service carries out changes of policies and rules.
type Service struct {
	drivers []ml2.QoSMechanism

	// Allocator is Placement; nil: there is none. It is set before the first request.
	Allocator Allocator
}

// New makes a service for the mechanisms that honour rules.
func New(drivers []ml2.QoSMechanism) *Service { return &Service{drivers: drivers} }

// CreatePolicy stores a new policy. Errors: BadRequest for one of no project,
// QoSPolicyDefaultAlreadyExists.
func (s *Service) CreatePolicy(tx *store.Tx, p *weft.QoSPolicy) error {
	if p.ProjectID == "" {
		return weft.Errorf(weft.BadRequest, "BadRequest", `Bad QoS policy request: Must have "policy_id".`)
	}
	if err := onlyDefault(tx, p); err != nil {
		return err
	}
	return store.QoSPolicies.Insert(tx, p)
}

// UpdatePolicy stores a changed policy; QoSPolicyDefaultAlreadyExists.
func (s *Service) UpdatePolicy(tx *store.Tx, p *weft.QoSPolicy) error {
	if err := onlyDefault(tx, p); err != nil {
		return err
	}
	return store.QoSPolicies.Update(tx, p)
}

// onlyDefault refuses a second default policy of a project.
func onlyDefault(tx *store.Tx, p *weft.QoSPolicy) error {
	if !p.IsDefault {
		return nil
	}
	other, err := defaultOf(tx, p.ProjectID)
	if err == nil && other != "" && other != p.ID {
		err = weft.Errorf(weft.Conflict, "QoSPolicyDefaultAlreadyExists", "A default QoS policy exists for project %s.", p.ProjectID)
	}
	return err
}

// defaultOf is the id of a project's default policy, or "".
func defaultOf(tx *store.Tx, project string) (id string, err error) {
	_, err = tx.QueryRow("SELECT id FROM qos_policies WHERE default_of = ?", []any{project}, &id)
	return id, err
}

// DeletePolicy removes a policy with its rules and what shares it; QosPolicyInUse
// while it is given to anything.
func (s *Service) DeletePolicy(tx *store.Tx, p *weft.QoSPolicy) error {
	if err := unused(tx, p.ID); err != nil {
		return err
	}
	rules, err := store.QoSRules.Find(tx, store.Eq("qos_policy_id", p.ID))
	if err != nil {
		return err
	}
	for _, r := range rules {
		if err := store.QoSRules.Delete(tx, r); err != nil {
			return err
		}
	}
	if err := sharing.Unshare(tx, object, p.ID); err != nil {
		return err
	}
	return store.QoSPolicies.Delete(tx, p)
}

// unused refuses, with QosPolicyInUse, that a policy goes which something has. The
// message names one such noun as Neutron's does, but none of another project.
func unused(tx *store.Tx, id string) error {
	others := 0
	for _, user := range []struct{ noun, table string }{{"port", "ports"}, {"network", "networks"}, {"fip", "floatingips"},
		{"router", "routers"}} {
		var by string
		found, err := tx.QueryRow("SELECT id FROM "+user.table+" WHERE qos_policy_id = ? AND (project_id = ? OR ?) LIMIT 1",
			[]any{id, tx.Caller.ProjectID, tx.Caller.Admin}, &by)
		if err != nil {
			return err
		}
		if found {
			return weft.Errorf(weft.Conflict, "QosPolicyInUse", "QoS Policy %s is used by %s %s.", id, user.noun, by)
		}
		n := 0
		if _, err := tx.QueryRow("SELECT COUNT(*) FROM "+user.table+" WHERE qos_policy_id = ?", []any{id}, &n); err != nil {
			return err
		}
		others += n
	}
	if others > 0 {
		return weft.Errorf(weft.Conflict, "QosPolicyInUse", "QoS Policy %s is used by %d of other projects.", id, others)
	}
	return nil
}

// Check refuses what the caller may not do with policies: QosPolicyNotFound for
// giving one that is neither its own nor shared with it, and
// PolicyRemoveAuthorizationError for taking such a one away. Either may be "".
func (s *Service) Check(tx *store.Tx, old, given weft.ID) error {
	if old == given {
		return nil
	}
	if old != "" {
		p, err := store.QoSPolicies.Get(tx, string(old))
		switch {
		case weft.IsKind(err, weft.NotFound): // nothing to be taken away
		case err != nil:
			return err
		default:
			if ok, err := accessible(tx, p); !ok || err != nil {
				return orError(err, weft.Errorf(weft.Forbidden, "PolicyRemoveAuthorizationError",
					"Failed to remove provided policy %s because you are not authorized.", p.ID))
			}
		}
	}
	if given == "" {
		return nil
	}
	p, err := store.QoSPolicies.Get(tx, string(given))
	if err != nil {
		return err
	}
	if ok, err := accessible(tx, p); !ok || err != nil {
		return orError(err, store.QoSPolicies.Missing(p.ID))
	}
	return nil
}

func orError(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// accessible reports whether the caller may use a policy.
func accessible(tx *store.Tx, p *weft.QoSPolicy) (bool, error) {
	c := tx.Caller
	if c.Admin || p.ProjectID == c.ProjectID {
		return true, nil
	}
	return store.SharedAs(object).With(tx, p.ID, c.ProjectID)
}

// Drivers are the names of the mechanisms that honour rules.
func (s *Service) Drivers() []string {
	var names []string
	for _, d := range s.drivers {
		names = append(names, d.Name())
	}
	return names
}

// DriversOf are the names of those that honour rules of a type.
func (s *Service) DriversOf(ruleType string) []string {
	var names []string
	for _, d := range s.drivers {
		if slices.Contains(d.QoS().Rules, ruleType) {
			names = append(names, d.Name())
		}
	}
	return names
}
