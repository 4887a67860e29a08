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
	Name: "security_group_rules", Noun: "security_group_rule", NotFound: "SecurityGroupRuleNotFound", Label: "Security group rule", Ending: " does not exist", Quota: true,
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
		{Name: "description", Value: func(r *weft.SecurityGroupRule) any { return r.Description }},
	},
	Visible: func(c *weft.Caller) Cond {
		return Where("t.project_id = ? OR t.security_group_id IN (SELECT g.id FROM security_groups g WHERE g.project_id = ?)", c.ProjectID, c.ProjectID)
	},
}.Ready()

func intOr(p *int, absent int) int {
	if p == nil {
		return absent
	}
	return *p
}
