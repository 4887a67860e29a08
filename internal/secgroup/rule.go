package secgroup

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// CheckRules checks what concerns all rules of one request: they must be of one
// group and one project, and no two the same. It brings them into canonical form,
// like CreateRule. Errors: SecurityGroupNotSingleGroupRules,
// SecurityGroupRulesNotSingleTenant, DuplicateSecurityGroupRuleInPost, those of
// Canonical.
func (s *Service) CheckRules(_ *store.Tx, rules []*weft.SecurityGroupRule) error {
	if err := single(rules); err != nil {
		return err
	}
	seen := map[identity]bool{}
	for _, r := range rules {
		if err := Canonical(r); err != nil {
			return err
		}
		id := identify(r)
		if seen[id] {
			return weft.Errorf(weft.Conflict, "DuplicateSecurityGroupRuleInPost", "Duplicate Security Group Rule in POST.")
		}
		seen[id] = true
	}
	return nil
}

// CreateRule stores a new rule in canonical form. Its group grows in revision.
// Errors: those of Canonical, SecurityGroupNotFound for its group or its remote
// group, AddressGroupNotFound, PolicyNotAuthorized in a group that is merely shared with the caller,
// SecurityGroupRuleExists.
func (s *Service) CreateRule(tx *store.Tx, r *weft.SecurityGroupRule, _ weft.Given) error {
	if err := Canonical(r); err != nil {
		return err
	}
	if err := checkRemote(tx, r); err != nil {
		return err
	}
	owner, twin, isDefault, err := surroundings(tx, r)
	if err != nil {
		return err
	}
	if err := mayAdd(tx, r, owner); err != nil {
		return err
	}
	if twin != "" {
		return weft.Errorf(weft.Conflict, "SecurityGroupRuleExists", "Security group rule already exists. Rule id is %s.", twin)
	}
	r.BelongsToDefault = isDefault
	if err := store.SecurityGroupRules.Insert(tx, r); err != nil {
		return err
	}
	return store.SecurityGroups.Touch(tx, r.SecurityGroupID)
}

// single refuses rules of several groups or projects.
func single(rules []*weft.SecurityGroupRule) error {
	for _, r := range rules {
		if r.SecurityGroupID != rules[0].SecurityGroupID {
			return weft.Errorf(weft.BadRequest, "SecurityGroupNotSingleGroupRules", "Only allowed to update rules for one security profile at a time")
		}
		if r.ProjectID != rules[0].ProjectID {
			return weft.Errorf(weft.BadRequest, "SecurityGroupRulesNotSingleTenant", "Multiple tenant_ids in bulk security group rule create not allowed")
		}
	}
	return nil
}

// identity is what makes two rules of a group the same rule.
type identity struct {
	direction, etherType     string
	min, max                 int
	protocol                 [2]string
	prefix                   weft.ID
	remoteGroup, remoteAddrs weft.ID
}

func identify(r *weft.SecurityGroupRule) identity {
	id := identity{direction: r.Direction, etherType: r.EtherType, min: -1, max: -1, protocol: spellings(r.Protocol),
		prefix: r.RemoteIPPrefix, remoteGroup: r.RemoteGroupID, remoteAddrs: r.RemoteAddressGroupID}
	if r.PortRangeMin != nil {
		id.min = *r.PortRangeMin
	}
	if r.PortRangeMax != nil {
		id.max = *r.PortRangeMax
	}
	if id.prefix == "0.0.0.0/0" || id.prefix == "::/0" {
		id.prefix = ""
	}
	return id
}

// surroundings reads, in one statement, whose group a rule is for, which rule of the
// group says the same already, and whether it is its project's default group. The error is SecurityGroupNotFound if there
// is no such group.
func surroundings(tx *store.Tx, r *weft.SecurityGroupRule) (owner, twin string, isDefault bool, err error) {
	id := identify(r)
	prefixes := []any{string(id.prefix), string(id.prefix), string(id.prefix)}
	if id.prefix == "" {
		prefixes = []any{"", "0.0.0.0/0", "::/0"}
	}
	args := append([]any{id.direction, id.etherType, id.min, id.max, string(id.remoteGroup), string(id.remoteAddrs),
		id.protocol[0], id.protocol[1]}, prefixes...)
	defaultOf := ""
	found, err := tx.QueryRow(`SELECT g.project_id, COALESCE(r.id, ''), COALESCE(g.default_of, '') FROM security_groups g
		LEFT JOIN security_group_rules r ON r.security_group_id = g.id AND r.direction = ? AND r.ethertype = ?
			AND r.port_range_min = ? AND r.port_range_max = ? AND r.remote_group_id = ? AND r.remote_address_group_id = ?
			AND r.protocol IN (?, ?) AND r.remote_ip_prefix IN (?, ?, ?)
		WHERE g.id = ?`, append(args, r.SecurityGroupID), &owner, &twin, &defaultOf)
	if err == nil && !found {
		err = missingGroup(r.SecurityGroupID)
	}
	return owner, twin, defaultOf != "", err
}

// mayAdd refuses rules for a group of somebody else: as missing, or as forbidden
// if the caller may see it.
func mayAdd(tx *store.Tx, r *weft.SecurityGroupRule, owner string) error {
	if tx.Caller.Admin || owner == tx.Caller.ProjectID {
		return nil
	}
	visible, err := mayUse(tx, "security_group", tx.Caller.ProjectID, r.SecurityGroupID, owner)
	switch {
	case err != nil:
		return err
	case visible:
		return weft.Errorf(weft.Forbidden, "PolicyNotAuthorized", "rule:create_security_group_rule is disallowed by policy")
	default:
		return missingGroup(r.SecurityGroupID)
	}
}

// checkRemote refuses a remote group, of ports or of addresses, that the rule's
// project cannot see. The rule's own group is looked at anyway.
func checkRemote(tx *store.Tx, r *weft.SecurityGroupRule) error {
	object, table, id, missing := "security_group", "security_groups", string(r.RemoteGroupID), missingGroup
	if r.RemoteAddressGroupID != "" {
		object, table, id, missing = "address_group", "address_groups", string(r.RemoteAddressGroupID), store.AddressGroups.Missing
	}
	if id == "" || id == r.SecurityGroupID {
		return nil
	}
	var owner string
	visible, err := tx.QueryRow("SELECT project_id FROM "+table+" WHERE id = ?", []any{id}, &owner)
	if visible && err == nil {
		visible, err = mayUse(tx, object, r.ProjectID, id, owner)
	}
	if err == nil && !visible {
		err = missing(id)
	}
	return err
}

// DeleteRule removes a rule. Its group grows in revision.
func (s *Service) DeleteRule(tx *store.Tx, r *weft.SecurityGroupRule) error {
	if err := store.SecurityGroupRules.Delete(tx, r); err != nil {
		return err
	}
	return store.SecurityGroups.Touch(tx, r.SecurityGroupID)
}
