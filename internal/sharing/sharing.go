// Package sharing keeps the RBAC policies by which projects share what they own. It
// is apart from the services because all of them share something.
package sharing

import (
	"errors"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// shareable is what can be shared by RBAC policies: one row an object type.
type shareable struct {
	actions []string
	owner   func(tx *store.Tx, id string) (project string, err error)
	users   string // selects project_id and object_id of what depends on the access
	// relied is in the place of users: it refuses, while something depends on it, to
	// take from the target the access that the policy gives and to give it to next, a
	// project or "".
	relied func(tx *store.Tx, p *weft.RBACPolicy, next string) error
	// may refuses, with InvalidInput, targets that could not use the object; nil: none.
	may func(tx *store.Tx, p *weft.RBACPolicy) error
}

var shareables = map[string]shareable{
	"network": {
		actions: []string{weft.AccessShared, weft.AccessExternal},
		owner:   ownerIn(store.Networks),
		relied:  networkRelied,
	},
	"security_group": {
		actions: []string{weft.AccessShared},
		owner:   ownerIn(store.SecurityGroups),
		users:   "SELECT p.project_id, m.group_id AS object_id FROM port_security_groups m JOIN ports p ON p.id = m.port_id",
	},
	"qos_policy": {
		actions: []string{weft.AccessShared},
		owner:   ownerIn(store.QoSPolicies),
		users: `SELECT project_id, qos_policy_id AS object_id FROM networks UNION ALL SELECT project_id, qos_policy_id FROM ports
			UNION ALL SELECT project_id, qos_policy_id FROM floatingips UNION ALL SELECT project_id, qos_policy_id FROM routers`,
	},
	"subnetpool": {
		actions: []string{weft.AccessShared},
		owner:   ownerIn(store.SubnetPools),
		users:   "SELECT project_id, subnetpool_id AS object_id FROM subnets",
		may:     mayUseScope,
	},
	"address_scope": {
		actions: []string{weft.AccessShared},
		owner:   ownerIn(store.AddressScopes),
		users:   "SELECT project_id, address_scope_id AS object_id FROM subnetpools",
	},
	"address_group": {
		actions: []string{weft.AccessShared},
		owner:   ownerIn(store.AddressGroups),
		users:   "SELECT project_id, remote_address_group_id AS object_id FROM security_group_rules",
	},
}

func ownerIn[T any](t *store.Table[T]) func(*store.Tx, string) (string, error) {
	return func(tx *store.Tx, id string) (string, error) {
		v, err := t.Get(tx, id)
		if err != nil {
			return "", err
		}
		return any(v).(interface{ Base() *weft.Meta }).Base().ProjectID, nil
	}
}

// Policies are the verbs of RBAC policies as nouns.
type Policies struct{}

// CreateRBACPolicy shares an object. A network that is shared as external becomes
// external. Errors: InvalidInput for an object type that cannot be shared, or an
// object that does not exist or is not the caller's; InvalidActionForType;
// DuplicateRbacPolicy.
func (Policies) CreateRBACPolicy(tx *store.Tx, p *weft.RBACPolicy) error {
	kind, ok := shareables[p.ObjectType]
	if !ok {
		return weft.Invalid("'%s' is not a valid RBAC object type", p.ObjectType)
	}
	if err := mayShare(tx, kind, p); err != nil {
		return err
	}
	if kind.may != nil {
		if err := kind.may(tx, p); err != nil {
			return err
		}
	}
	if !slices.Contains(kind.actions, p.Action) {
		return weft.Errorf(weft.BadRequest, "InvalidActionForType", "Invalid action '%s' for object type '%s'. Valid actions: %s",
			p.Action, p.ObjectType, tuple(kind.actions))
	}
	if err := onlyPolicy(tx, p); err != nil {
		return err
	}
	if err := store.RBACPolicies.Insert(tx, p); err != nil {
		return err
	}
	return followPolicies(tx, p)
}

// Share gives every project access to an object, or ends that: what the attribute
// shared of a noun says. The kind is an object type of RBAC policies. It is refused,
// with InvalidSharedSetting for a network, while something depends on the access.
func Share(tx *store.Tx, object, id string, shared bool) error {
	kind := shareables[object]
	p, err := store.RBACPolicies.First(tx, store.Eq("object_type", object), store.Eq("object_id", id),
		store.Eq("action", weft.AccessShared), store.Eq("target_tenant", "*"))
	if err != nil || (p != nil) == shared {
		return err
	}
	if !shared {
		if err := kind.release(tx, p, ""); err != nil {
			return err
		}
		return store.RBACPolicies.Delete(tx, p)
	}
	owner, err := kind.owner(tx, id)
	if err != nil {
		return err
	}
	return Grant(tx, object, id, owner, weft.AccessShared)
}

// Grant gives everybody access to an object.
func Grant(tx *store.Tx, object, id, owner, action string) error {
	p := &weft.RBACPolicy{ObjectType: object, ObjectID: id, Action: action, TargetTenant: "*"}
	p.ProjectID = owner
	if may := shareables[object].may; may != nil {
		if err := may(tx, p); err != nil {
			return err
		}
	}
	return store.RBACPolicies.Insert(tx, p)
}

// Unshare removes the RBAC policies of an object that goes.
func Unshare(tx *store.Tx, object, id string) error {
	return remove(tx, store.Eq("object_type", object), store.Eq("object_id", id))
}

// Internal ends every access to a network as external.
func Internal(tx *store.Tx, networkID string) error {
	return remove(tx, store.Eq("object_type", "network"), store.Eq("object_id", networkID), store.Eq("action", weft.AccessExternal))
}

func remove(tx *store.Tx, where ...store.Cond) error {
	policies, err := store.RBACPolicies.Find(tx, where...)
	for _, p := range policies {
		if err == nil {
			err = store.RBACPolicies.Delete(tx, p)
		}
	}
	return err
}

// mayShare refuses objects that are not the caller's to share.
func mayShare(tx *store.Tx, kind shareable, p *weft.RBACPolicy) error {
	owner, err := kind.owner(tx, p.ObjectID)
	var missing *weft.Error
	switch {
	case errors.As(err, &missing) && missing.Kind == weft.NotFound:
		return weft.Invalid("%s", missing.Message)
	case err != nil:
		return err
	case owner != tx.Caller.ProjectID && !tx.Caller.Admin:
		return weft.Invalid("Only admins can manipulate policies on objects they do not own")
	}
	return nil
}

// tuple is a list as Neutron's messages have it.
func tuple(list []string) string {
	text := "('" + strings.Join(list, "', '") + "'"
	if len(list) == 1 {
		text += ","
	}
	return text + ")"
}

// onlyPolicy refuses a second policy that says the same.
func onlyPolicy(tx *store.Tx, p *weft.RBACPolicy) error {
	n, err := store.RBACPolicies.Count(tx, store.Eq("object_type", p.ObjectType), store.Eq("object_id", p.ObjectID),
		store.Eq("action", p.Action), store.Eq("target_tenant", p.TargetTenant))
	if err == nil && n > 0 {
		err = weft.Errorf(weft.Conflict, "DuplicateRbacPolicy", "An RBAC policy already exists with those values.")
	}
	return err
}

// followPolicies lets a network whose policies have changed follow: it is external
// while it is shared as external with anybody, or while gateways are on it, and its
// revision grows.
func followPolicies(tx *store.Tx, p *weft.RBACPolicy) error {
	if p.ObjectType != "network" {
		return nil
	}
	if p.Action != weft.AccessExternal {
		return store.Networks.Touch(tx, p.ObjectID)
	}
	n, err := store.Networks.Get(tx, p.ObjectID)
	if err != nil {
		return err
	}
	external, err := tx.Exists(`SELECT 1 FROM rbac_policies WHERE object_id = ? AND object_type = 'network' AND action = 'access_as_external'
		UNION ALL SELECT 1 FROM ports WHERE network_id = ? AND device_owner = 'network:router_gateway'`, n.ID, n.ID)
	if err != nil {
		return err
	}
	if external == n.External {
		return store.Networks.Touch(tx, n.ID)
	}
	n.External = external
	n.SettleDefault()
	return store.Networks.Update(tx, n)
}

// UpdateRBACPolicy gives the access to another target. Errors: RbacPolicyInUse
// while the old one depends on it, DuplicateRbacPolicy, InvalidInput.
func (Policies) UpdateRBACPolicy(tx *store.Tx, old, p *weft.RBACPolicy) error {
	if old.TargetTenant == p.TargetTenant {
		return nil
	}
	kind := shareables[p.ObjectType]
	if err := mayShare(tx, kind, p); err != nil {
		return err
	}
	if err := onlyPolicy(tx, p); err != nil {
		return err
	}
	if p.TargetTenant != "*" {
		if err := reliedOn(tx, kind, old, p.TargetTenant); err != nil {
			return err
		}
	}
	if err := store.RBACPolicies.Update(tx, p); err != nil {
		return err
	}
	return followPolicies(tx, p)
}

// DeleteRBACPolicy ends the sharing; RbacPolicyInUse while something depends on it.
func (Policies) DeleteRBACPolicy(tx *store.Tx, p *weft.RBACPolicy) error {
	if err := reliedOn(tx, shareables[p.ObjectType], p, ""); err != nil {
		return err
	}
	if err := store.RBACPolicies.Delete(tx, p); err != nil {
		return err
	}
	return followPolicies(tx, p)
}

// reliedOn refuses, with RbacPolicyInUse, to end what something depends on.
func reliedOn(tx *store.Tx, kind shareable, p *weft.RBACPolicy, next string) error {
	err := kind.release(tx, p, next)
	var why *weft.Error
	if errors.As(err, &why) && why.Kind == weft.Conflict {
		return inUse(p.ObjectID, why.Message)
	}
	return err
}

// networkRelied looks for ports of a project that the network is shared with, or
// for routers that have their gateway on it.
func networkRelied(tx *store.Tx, p *weft.RBACPolicy, next string) error {
	n, err := store.Networks.Get(tx, p.ObjectID)
	if err != nil {
		return err
	}
	if p.Action == weft.AccessShared {
		return checkUnshare(tx, n, p.TargetTenant)
	}
	if p.TargetTenant == "*" && n.Default() {
		return weft.Errorf(weft.Conflict, "InvalidInput", "Default external networks must be shared to everyone.")
	}
	used, err := tx.Exists(`SELECT 1 FROM routers t JOIN ports g ON g.device_id = t.id AND g.device_owner = 'network:router_gateway' WHERE g.network_id = ? AND t.project_id <> ?
		AND (? = '*' OR t.project_id = ?) AND `+otherwise("network", weft.AccessExternal, "g.network_id"), n.ID, next, p.TargetTenant, p.TargetTenant, p.TargetTenant)
	if err == nil && used {
		err = weft.Errorf(weft.Conflict, "InvalidInput", "There are routers attached to this network that depend on this policy for access.")
	}
	return err
}

// release refuses to take from the target of a policy the access it gives while
// something depends on it. As in Neutron the owner's own use counts when the access of
// everybody is to end, and the attribute shared is refused like the RBAC policy.
func (k shareable) release(tx *store.Tx, p *weft.RBACPolicy, next string) error {
	if k.relied != nil {
		return k.relied(tx, p, next)
	}
	owner, err := k.owner(tx, p.ObjectID)
	if err != nil || owner == p.TargetTenant {
		return err
	}
	used, err := tx.Exists(`SELECT 1 FROM (`+k.users+`) t WHERE t.object_id = ? AND (? = '*' OR t.project_id = ?) AND `+
		otherwise(p.ObjectType, weft.AccessShared, "t.object_id"), p.ObjectID, p.TargetTenant, p.TargetTenant, p.TargetTenant)
	if err == nil && used {
		err = inUse(p.ObjectID, "project_id="+p.TargetTenant)
	}
	return err
}

func inUse(id, details string) error {
	return weft.Errorf(weft.Conflict, "RbacPolicyInUse",
		"RBAC policy on object %s cannot be removed because other objects depend on it.\nDetails: %s", id, details)
}

// mayUseScope refuses to share a subnet pool with who cannot use its address scope.
func mayUseScope(tx *store.Tx, p *weft.RBACPolicy) error {
	pool, err := store.SubnetPools.Get(tx, p.ObjectID)
	if err != nil || pool.AddressScopeID == "" {
		return err
	}
	usable, err := store.SharedAs("address_scope").With(tx, string(pool.AddressScopeID), p.TargetTenant)
	if err == nil && !usable {
		err = weft.Invalid("Failed to create RBAC policy on object %s because target project doesn't have access to associated address scope.", p.ObjectID)
	}
	return err
}

// otherwise is the condition that the project of the row t has no other policy to
// rely on than the one for the target, its one placeholder.
func otherwise(object, action, id string) string {
	return `NOT EXISTS (SELECT 1 FROM rbac_policies r WHERE r.object_id = ` + id + ` AND r.object_type = '` + object + `'
		AND r.action = '` + action + `' AND r.target_tenant <> ? AND r.target_tenant IN ('*', t.project_id))`
}

// checkUnshare refuses with InvalidSharedSetting to take from target, a project or
// "*", its access to a network while ports depend on it.
func checkUnshare(tx *store.Tx, n *weft.Network, target string) error {
	const ports = `SELECT 1 FROM ports p WHERE p.network_id = ? AND p.project_id NOT IN ('', ?)
		AND (? = '*' OR p.project_id = ?) AND p.device_owner NOT IN ('network:router_gateway', 'network:floatingip', 'network:router_ha_interface')
		AND NOT EXISTS (SELECT 1 FROM rbac_policies r WHERE r.object_id = p.network_id AND r.object_type = 'network'
			AND r.action = 'access_as_shared' AND r.target_tenant <> ? AND r.target_tenant IN ('*', p.project_id))`
	used, err := tx.Exists(ports, n.ID, n.ProjectID, target, target, target)
	if err == nil && used {
		err = weft.Errorf(weft.Conflict, "InvalidSharedSetting",
			"Unable to reconfigure sharing settings for network %s. Multiple tenants are using it.", n.Name)
	}
	return err
}
