package store

import "github.com/weftnet/weft"

// SecurityGroups keeps security groups.
var SecurityGroups = Table[weft.SecurityGroup]{
	Name: "security_groups", Noun: "security_group", NotFound: "SecurityGroupNotFound", Label: "Security group", Ending: " does not exist", Quota: true,
	Columns: []Column[weft.SecurityGroup]{
		{Name: "name", Value: func(g *weft.SecurityGroup) any { return g.Name }},
		{Name: "description", Value: func(g *weft.SecurityGroup) any { return g.Description }},
		{Name: "stateful", Value: func(g *weft.SecurityGroup) any { return btoi(g.Stateful) }},
		// One default group a project, by a unique column that is null for others.
		{Name: "default_of", Attr: "-", Value: func(g *weft.SecurityGroup) any {
			if g.Name == "default" {
				return g.ProjectID
			}
			return nil
		}},
	},
	Computed: []Computed{
		{Attr: "security_group_rules", SQL: `COALESCE('[' || (SELECT STRING_AGG(r.doc, ',') FROM security_group_rules r WHERE r.security_group_id = t.id) || ']', '[]')`},
		SharedAs("security_group").Shared(),
	},
	Filters: map[string]Filter{"shared": SharedAs("security_group").Filter},
	Visible: SharedAs("security_group").Visible,
}.Ready()

// SecurityGroupRules keeps the rules of security groups.
var SecurityGroupRules = Table[weft.SecurityGroupRule]{
	Name: "security_group_rules", FromZero: true, Noun: "security_group_rule", NotFound: "SecurityGroupRuleNotFound", Label: "Security group rule", Ending: " does not exist", Quota: true,
	Columns: []Column[weft.SecurityGroupRule]{
		{Name: "security_group_id", Value: func(r *weft.SecurityGroupRule) any { return r.SecurityGroupID }},
		{Name: "direction", Value: func(r *weft.SecurityGroupRule) any { return r.Direction }},
		{Name: "ethertype", Value: func(r *weft.SecurityGroupRule) any { return r.EtherType }},
		{Name: "protocol", Value: func(r *weft.SecurityGroupRule) any { return string(r.Protocol) }},
		{Name: "port_range_min", Value: func(r *weft.SecurityGroupRule) any { return intOr(r.PortRangeMin, -1) }},
		{Name: "port_range_max", Value: func(r *weft.SecurityGroupRule) any { return intOr(r.PortRangeMax, -1) }},
		{Name: "remote_ip_prefix", Value: func(r *weft.SecurityGroupRule) any { return string(r.RemoteIPPrefix) }},
		{Name: "remote_group_id", Value: func(r *weft.SecurityGroupRule) any { return string(r.RemoteGroupID) }},
		{Name: "remote_address_group_id", Value: func(r *weft.SecurityGroupRule) any { return string(r.RemoteAddressGroupID) }},
		{Name: "normalized_cidr", Value: func(r *weft.SecurityGroupRule) any { return string(r.NormalizedCIDR) }},
		{Name: "description", Value: func(r *weft.SecurityGroupRule) any { return valueOr(r.Description, "") }},
	},
	Filters: map[string]Filter{"belongs_to_default_sg": func(_ *weft.Caller, values []any) Cond {
		in := In("flag", values...)
		return Where("EXISTS (SELECT 1 FROM (SELECT CASE WHEN g.default_of IS NULL THEN 0 ELSE 1 END AS flag FROM security_groups g WHERE g.id = t.security_group_id) t WHERE "+in.SQL+")", in.Args...)
	}},
	Visible: func(c *weft.Caller) Cond {
		return Where("t.project_id = ? OR t.security_group_id IN (SELECT g.id FROM security_groups g WHERE g.project_id = ?)", c.ProjectID, c.ProjectID)
	},
}.Ready()

// DefaultSecurityGroupRules keeps the rules that new groups begin with.
var DefaultSecurityGroupRules = Table[weft.DefaultSecurityGroupRule]{
	Name: "default_security_group_rules", Noun: "default_security_group_rule", NotFound: "DefaultSecurityGroupRuleNotFound",
	Label: "Default Security Group rule", Ending: " does not exist",
	Columns: []Column[weft.DefaultSecurityGroupRule]{
		{Name: "direction", Value: func(r *weft.DefaultSecurityGroupRule) any { return r.Direction }},
		{Name: "ethertype", Value: func(r *weft.DefaultSecurityGroupRule) any { return r.EtherType }},
		{Name: "protocol", Value: func(r *weft.DefaultSecurityGroupRule) any { return string(r.Protocol) }},
		{Name: "port_range_min", Value: func(r *weft.DefaultSecurityGroupRule) any { return intOr(r.PortRangeMin, -1) }},
		{Name: "port_range_max", Value: func(r *weft.DefaultSecurityGroupRule) any { return intOr(r.PortRangeMax, -1) }},
		{Name: "remote_ip_prefix", Value: func(r *weft.DefaultSecurityGroupRule) any { return string(r.RemoteIPPrefix) }},
		{Name: "remote_group_id", Value: func(r *weft.DefaultSecurityGroupRule) any { return string(r.RemoteGroupID) }},
		{Name: "remote_address_group_id", Value: func(r *weft.DefaultSecurityGroupRule) any { return string(r.RemoteAddressGroupID) }},
		{Name: "description", Value: func(r *weft.DefaultSecurityGroupRule) any { return r.Description }},
		{Name: "used_in_default_sg", Value: func(r *weft.DefaultSecurityGroupRule) any { return btoi(r.UsedInDefault) }},
		{Name: "used_in_non_default_sg", Value: func(r *weft.DefaultSecurityGroupRule) any { return btoi(r.UsedInOthers) }},
	},
}.Ready()

func intOr(p *int, absent int) int { return valueOr(p, absent) }

func valueOr[V any](p *V, absent V) V {
	if p == nil {
		return absent
	}
	return *p
}
