package policy

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/weftnet/weft"
)

// comparison is kind:match. The left side is something about the caller, or a
// literal; the right side is text in which %(name)s stands for an attribute of the
// target.
type comparison struct {
	kind, match string
	literal     bool
	left        string     // if literal
	who         credential // otherwise
	right       template
}

func compare(kind, match string) (check, error) {
	right, err := parseTemplate(match)
	if err != nil {
		return nil, err
	}
	c := comparison{kind: kind, match: match, right: right}
	if c.left, c.literal, err = literal(kind); err != nil {
		return nil, err
	}
	if !c.literal {
		c.who = credentials[kind]
	}
	return c, nil
}

// literal reads a left side that is a Python literal: 'text', None, True, 42.
func literal(s string) (value string, ok bool, err error) {
	switch q := s[0]; {
	case q == '\'' || q == '"':
		if len(s) < 2 || s[len(s)-1] != q {
			return "", false, fmt.Errorf("%s: the quote is not closed", s)
		}
		return s[1 : len(s)-1], true, nil
	case s == "None" || s == "True" || s == "False":
		return s, true, nil
	case q >= '0' && q <= '9' || q == '-':
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return strconv.FormatInt(n, 10), true, nil
		}
		return s, true, nil
	}
	return "", false, nil
}

func (c comparison) eval(caller *weft.Caller, t Target) outcome {
	if c.literal {
		return decided(c.right.is(t, c.left, true))
	}
	if roles, ok := c.who.roles(caller); ok {
		return decided(slices.ContainsFunc(roles, func(r string) bool { return c.right.is(t, r, false) }))
	}
	left, known := c.who.of(caller)
	if !known {
		return undefined
	}
	// What the caller has not, a project or a domain, is like nothing.
	return decided(left != "" && c.right.is(t, left, false))
}

func (c comparison) String() string { return c.kind + ":" + c.match }

// credential is something about the caller that a rule may ask for.
type credential uint8

const (
	unknownCredential credential = iota
	callerUser
	callerUserName
	callerUserDomain
	callerProject
	callerProjectName
	callerDomain
	callerSystem
	callerIsAdmin
	callerRoles
	callerServiceRoles
)

// credentials is the names that Neutron gives to them.
var credentials = map[string]credential{
	"user_id": callerUser, "user": callerUser, "user_name": callerUserName, "user_domain_id": callerUserDomain, "user_domain": callerUserDomain,
	"project_id": callerProject, "tenant_id": callerProject, "project": callerProject, "tenant": callerProject,
	"project_name": callerProjectName, "tenant_name": callerProjectName,
	"domain_id": callerDomain, "system_scope": callerSystem, "is_admin": callerIsAdmin, "roles": callerRoles,
	"service_roles": callerServiceRoles,
}

// roles is a credential that is a list of roles.
func (w credential) roles(c *weft.Caller) (list []string, ok bool) {
	switch w {
	case callerRoles:
		return c.Roles, true
	case callerServiceRoles:
		return c.ServiceRoles, true
	}
	return nil, false
}

// of is the credential of a caller; ok is false if weft does not know such a thing.
func (w credential) of(c *weft.Caller) (value string, ok bool) {
	switch w {
	case callerUser:
		return c.UserID, true
	case callerUserName:
		return c.UserName, true
	case callerUserDomain:
		return c.UserDomainID, true
	case callerProject:
		return c.ProjectID, true
	case callerProjectName:
		return c.ProjectName, true
	case callerDomain:
		return c.DomainID, true
	case callerSystem:
		if c.System {
			return "all", true
		}
		return "", true
	case callerIsAdmin:
		if c.Admin {
			return "True", true
		}
		return "False", true
	}
	return "", false
}
