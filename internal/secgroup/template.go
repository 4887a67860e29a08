package secgroup

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// instance is the rule that a default rule becomes in a new group.
func instance(t *weft.DefaultSecurityGroupRule, g *weft.SecurityGroup) *weft.SecurityGroupRule {
	r := asRule(t)
	r.SecurityGroupID, r.ProjectID = g.ID, g.ProjectID
	if r.RemoteGroupID == weft.ParentGroup {
		r.RemoteGroupID = weft.ID(g.ID)
	}
	return r
}

// asRule is a default rule as a rule, for what is the same of both.
func asRule(t *weft.DefaultSecurityGroupRule) *weft.SecurityGroupRule {
	r := &weft.SecurityGroupRule{Direction: t.Direction, EtherType: t.EtherType, Protocol: t.Protocol, PortRangeMin: t.PortRangeMin, PortRangeMax: t.PortRangeMax,
		RemoteIPPrefix: t.RemoteIPPrefix, RemoteGroupID: t.RemoteGroupID, RemoteAddressGroupID: t.RemoteAddressGroupID}
	if t.Description != "" {
		r.Description = &t.Description
	}
	if p, err := parsePrefix(string(t.RemoteIPPrefix)); err == nil {
		r.NormalizedCIDR = weft.ID(p.Masked().String())
	}
	return r
}

// CheckDefaultRules checks what concerns all default rules of one request:
// DuplicateDefaultSgRuleInPost, those of Canonical.
func (s *Service) CheckDefaultRules(_ *store.Tx, rules []*weft.DefaultSecurityGroupRule) error {
	for i, t := range rules {
		if err := canonicalDefault(t); err != nil {
			return err
		}
		for _, other := range rules[:i] {
			if identify(asRule(t)) == identify(asRule(other)) && sameUse(t, other) {
				return weft.Errorf(weft.Conflict, "DuplicateDefaultSgRuleInPost", "Duplicate Default Security Group Rule in POST.")
			}
		}
	}
	return nil
}

// CreateDefaultRule stores a rule that the groups made from now on begin with. Errors:
// those of Canonical, SecurityGroupNotFound and AddressGroupNotFound for a remote
// group, DefaultSecurityGroupRuleExists.
func (s *Service) CreateDefaultRule(tx *store.Tx, t *weft.DefaultSecurityGroupRule) error {
	if err := canonicalDefault(t); err != nil {
		return err
	}
	r := asRule(t)
	if r.RemoteGroupID == weft.ParentGroup {
		r.RemoteGroupID = ""
	}
	if err := checkRemote(tx, r); err != nil {
		return err
	}
	others, err := store.DefaultSecurityGroupRules.Find(tx, store.Eq("direction", t.Direction), store.Eq("ethertype", t.EtherType))
	if err != nil {
		return err
	}
	for _, other := range others {
		if identify(asRule(t)) == identify(asRule(other)) && sameUse(t, other) {
			return weft.Errorf(weft.Conflict, "DefaultSecurityGroupRuleExists", "Default Security group rule already exists. Rule id is %s.", other.ID)
		}
	}
	t.ProjectID = ""
	return store.DefaultSecurityGroupRules.Insert(tx, t)
}

// canonicalDefault is Canonical for a default rule.
func canonicalDefault(t *weft.DefaultSecurityGroupRule) error {
	r := asRule(t)
	if err := Canonical(r); err != nil {
		return err
	}
	t.EtherType, t.Protocol, t.PortRangeMin, t.PortRangeMax, t.RemoteIPPrefix = r.EtherType, r.Protocol, r.PortRangeMin, r.PortRangeMax, r.RemoteIPPrefix
	return nil
}

// sameUse reports whether some group begins with both rules.
func sameUse(a, b *weft.DefaultSecurityGroupRule) bool {
	return a.UsedInDefault && b.UsedInDefault || a.UsedInOthers && b.UsedInOthers
}

// DeleteDefaultRule removes a rule that new groups begin with; those that have it keep
// it.
func (s *Service) DeleteDefaultRule(tx *store.Tx, t *weft.DefaultSecurityGroupRule) error {
	return store.DefaultSecurityGroupRules.Delete(tx, t)
}

// deleteTemplatesOf removes the default rules that name a group which goes.
func deleteTemplatesOf(tx *store.Tx, id string) error {
	all, err := store.DefaultSecurityGroupRules.Find(tx, store.Eq("remote_group_id", id))
	for _, t := range all {
		if err == nil {
			err = store.DefaultSecurityGroupRules.Delete(tx, t)
		}
	}
	return err
}
