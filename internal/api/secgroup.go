package api

import (
	"cmp"
	"net/netip"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// GroupService is what the API asks of security groups.
type GroupService interface {
	DefaultGroup(tx *store.Tx, projectID string) (string, error)
	CreateGroup(tx *store.Tx, g *weft.SecurityGroup, given weft.Given) error
	UpdateGroup(tx *store.Tx, old, g *weft.SecurityGroup, given weft.Given) error
	DeleteGroup(tx *store.Tx, g *weft.SecurityGroup) error
	CreateRule(tx *store.Tx, r *weft.SecurityGroupRule, given weft.Given) error
	CheckRules(tx *store.Tx, rules []*weft.SecurityGroupRule) error
	DeleteRule(tx *store.Tx, r *weft.SecurityGroupRule) error
	CreateDefaultRule(tx *store.Tx, r *weft.DefaultSecurityGroupRule) error
	CheckDefaultRules(tx *store.Tx, rules []*weft.DefaultSecurityGroupRule) error
	DeleteDefaultRule(tx *store.Tx, r *weft.DefaultSecurityGroupRule) error
}

// SecurityGroups is the table of security groups.
func SecurityGroups(svc GroupService) *Resource[weft.SecurityGroup] {
	return &Resource[weft.SecurityGroup]{
		Singular: "security_group", Plural: "security_groups", Path: "security-groups", Table: store.SecurityGroups,
		Implements: []string{"security-group", "security-groups-shared-filtering", "stateful-security-group"},
		Attrs: table(ident(), standard(), tagged(), ext("security-group",
			row("name", "CUVFS", "", text(255)),
			row("security_group_rules", "V", Unset, anyType)),
			ext("stateful-security-group", row("stateful", "CUVF", true, boolean)),
			ext("security-groups-shared-filtering", row("shared", "VF", Unset, boolean))),
		Create: func(tx *store.Tx, g *weft.SecurityGroup, rq Request) error { return svc.CreateGroup(tx, g, rq.Given) },
		Update: func(tx *store.Tx, old, g *weft.SecurityGroup, rq Request) error {
			return svc.UpdateGroup(tx, old, g, rq.Given)
		},
		Delete:  svc.DeleteGroup,
		Listing: defaultGroup(svc),
	}
}

// SecurityGroupRules is the table of rules.
func SecurityGroupRules(svc GroupService) *Resource[weft.SecurityGroupRule] {
	return &Resource[weft.SecurityGroupRule]{
		Singular: "security_group_rule", Plural: "security_group_rules", Path: "security-group-rules", Table: store.SecurityGroupRules,
		Implements: []string{"security-groups-normalized-cidr", "security-groups-rules-belongs-to-default-sg"},
		Attrs: table(ident(), standardImmutable(), ext("security-group",
			row("security_group_id", "CVFSR", Unset, text(36)),
			row("direction", "CVFSR", Unset, oneOf(weft.Ingress, weft.Egress)),
			row("ethertype", "CVFS", weft.IPv4, etherType),
			row("protocol", "CVFS", nil, anyText),
			row("port_range_min", "CVFS", nil, rulePort),
			row("port_range_max", "CVFS", nil, rulePort),
			row("remote_ip_prefix", "CVFS", nil, remotePrefix),
			row("remote_group_id", "CVFS", nil, anyText)),
			ext("security-groups-remote-address-group", row("remote_address_group_id", "CVFS", nil, anyText)),
			ext("security-groups-normalized-cidr", row("normalized_cidr", "VFS", Unset, anyText)),
			ext("security-groups-rules-belongs-to-default-sg", row("belongs_to_default_sg", "VF", Unset, boolean))),
		Create: func(tx *store.Tx, r *weft.SecurityGroupRule, rq Request) error {
			return svc.CreateRule(tx, r, rq.Given)
		},
		CreateBulk: svc.CheckRules,
		Delete:     svc.DeleteRule,
		Listing:    defaultGroup(svc),
		Veiled:     true,
		Parent: func(tx *store.Tx, r *weft.SecurityGroupRule) (parent, error) {
			where := []store.Cond{store.Eq("id", r.SecurityGroupID)}
			if c := store.SecurityGroups.VisibleTo(tx.Caller); c.SQL != "" {
				where = append(where, c)
			}
			g, err := store.SecurityGroups.First(tx, where...)
			if g == nil {
				return parent{}, cmp.Or(err, store.SecurityGroups.Missing(r.SecurityGroupID))
			}
			return parent{owner: g.ProjectID}, nil
		},
	}
}

// DefaultSecurityGroupRules is the table of the rules that new groups begin with.
func DefaultSecurityGroupRules(svc GroupService) *Resource[weft.DefaultSecurityGroupRule] {
	return &Resource[weft.DefaultSecurityGroupRule]{
		Singular: "default_security_group_rule", Plural: "default_security_group_rules", Path: "default-security-group-rules",
		Table: store.DefaultSecurityGroupRules, ReadAll: true,
		Implements: []string{"security-groups-default-rules"},
		Attrs: table(standardImmutable(), ext("security-groups-default-rules",
			row("id", "VFS", Unset, uuidType),
			row("direction", "CVFSR", Unset, oneOf(weft.Ingress, weft.Egress)),
			row("ethertype", "CVFS", weft.IPv4, etherType),
			row("protocol", "CVFS", nil, anyText),
			row("port_range_min", "CVFS", nil, rulePort),
			row("port_range_max", "CVFS", nil, rulePort),
			row("remote_ip_prefix", "CVFS", nil, remotePrefix),
			row("remote_group_id", "CVFS", nil, anyText),
			row("remote_address_group_id", "CVFS", nil, anyText),
			row("used_in_default_sg", "CVF", false, boolean),
			row("used_in_non_default_sg", "CVF", true, boolean))),
		Create: func(tx *store.Tx, r *weft.DefaultSecurityGroupRule, _ Request) error {
			return svc.CreateDefaultRule(tx, r)
		},
		CreateBulk: svc.CheckDefaultRules,
		Delete:     svc.DeleteDefaultRule,
	}
}

// standardImmutable are the standard attributes of what cannot be updated.
func standardImmutable() []Attr {
	rows := standard()
	rows[0] = row("description", "CVF", "", text(255))
	return rows
}

// anyText is text or null whose meaning the service checks, to give the errors of
// the extension. Numbers are taken as their text.
var anyText = Type{Name: "string", Convert: func(v any) (any, error) {
	switch v.(type) {
	case nil, string:
		return v, nil
	case bool, []any, map[string]any:
		return nil, weft.Invalid("'%s' is not a valid string", py(v))
	default:
		return py(v), nil
	}
}, Validate: text(255).orNull().Validate}

// etherType is text whose meaning the service checks; null is refused by name.
var etherType = Type{Name: "string", Convert: func(v any) (any, error) {
	if v == nil {
		v = "None"
	}
	return anyText.Convert(v)
}, Validate: anyText.Validate}

// remotePrefix is a prefix or null that the service checks. An address is the prefix
// of itself alone, in filters too.
var remotePrefix = Type{Name: "string", Convert: func(v any) (any, error) {
	v, err := anyText.Convert(v)
	if s, ok := v.(string); ok {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			return netip.PrefixFrom(a, a.BitLen()).String(), nil
		}
	}
	return v, err
}, Validate: anyText.Validate}

// rulePort is a port, an ICMP type or code, or null.
var rulePort = Type{Name: "integer", Convert: func(v any) (any, error) {
	if v == nil || v == "" {
		return nil, nil
	}
	n, err := toInt(v)
	if err != nil || n.(int64) < 0 || n.(int64) > 65535 {
		return nil, weft.Errorf(weft.BadRequest, "SecurityGroupInvalidPortValue", "Invalid value for port %s", py(v))
	}
	return n, nil
}}

// defaultGroup makes the default group of the caller's project when it is first asked
// for, or to an administrator that of the project whose groups or rules it asks for.
func defaultGroup(svc GroupService) func(*httpRequest) error {
	return func(rq *httpRequest) error {
		project := rq.caller.ProjectID
		if asked := cmp.Or(rq.query().Get("project_id"), rq.query().Get("tenant_id")); asked != "" {
			project = asked
		}
		if project == "" || project != rq.caller.ProjectID && !rq.caller.Admin || text(255).Validate(project) != "" {
			return nil
		}
		if n, err := store.SecurityGroups.Count(rq.read(), store.Eq("default_of", project)); err != nil || n > 0 {
			return err
		}
		return rq.update(func(tx *store.Tx) error {
			_, err := svc.DefaultGroup(tx, project)
			return err
		})
	}
}
