package store

import (
	"context"
	"time"

	"github.com/weftnet/weft"
)

// Domains keeps domains.
var Domains = Table[weft.Domain]{
	Name: "domains", Noun: "domain", NotFound: "DomainNotFound",
	Columns: []Column[weft.Domain]{
		{Name: "name", Value: func(d *weft.Domain) any { return d.Name }},
		{Name: "enabled", Value: func(d *weft.Domain) any { return btoi(d.Enabled) }},
	},
}.Ready()

// Projects keeps projects.
var Projects = Table[weft.Project]{
	Name: "projects", Noun: "project", NotFound: "ProjectNotFound",
	Columns: []Column[weft.Project]{
		{Name: "name", Value: func(p *weft.Project) any { return p.Name }},
		{Name: "domain_id", Value: func(p *weft.Project) any { return p.DomainID }},
		{Name: "parent_id", Value: func(p *weft.Project) any { return p.ParentID }},
		{Name: "enabled", Value: func(p *weft.Project) any { return btoi(p.Enabled) }},
	},
}.Ready()

// Users keeps users; SetPassword keeps their passwords.
var Users = Table[weft.User]{
	Name: "users", Noun: "user", NotFound: "UserNotFound",
	Columns: []Column[weft.User]{
		{Name: "name", Value: func(u *weft.User) any { return u.Name }},
		{Name: "domain_id", Value: func(u *weft.User) any { return u.DomainID }},
		{Name: "default_project_id", Value: func(u *weft.User) any { return string(u.DefaultProjectID) }},
		{Name: "enabled", Value: func(u *weft.User) any { return btoi(u.Enabled) }},
	},
}.Ready()

// Groups keeps groups.
var Groups = Table[weft.Group]{
	Name: "user_groups", Noun: "group", NotFound: "GroupNotFound",
	Columns: []Column[weft.Group]{
		{Name: "name", Value: func(g *weft.Group) any { return g.Name }},
		{Name: "domain_id", Value: func(g *weft.Group) any { return g.DomainID }},
	},
}.Ready()

// Memberships keeps who is in which group.
var Memberships = Table[weft.Membership]{
	Name: "group_members", Noun: "membership", NotFound: "MembershipNotFound",
	Columns: []Column[weft.Membership]{
		{Name: "group_id", Value: func(m *weft.Membership) any { return m.GroupID }},
		{Name: "user_id", Value: func(m *weft.Membership) any { return m.UserID }},
	},
}.Ready()

// Roles keeps roles.
var Roles = Table[weft.Role]{
	Name: "roles", Noun: "role", NotFound: "RoleNotFound",
	Columns: []Column[weft.Role]{
		{Name: "name", Value: func(r *weft.Role) any { return r.Name }},
		{Name: "domain_id", Value: func(r *weft.Role) any { return string(r.DomainID) }},
	},
}.Ready()

// RoleAssignments keeps who has which role where.
var RoleAssignments = Table[weft.RoleAssignment]{
	Name: "role_assignments", Noun: "role_assignment", NotFound: "RoleAssignmentNotFound",
	Columns: []Column[weft.RoleAssignment]{
		{Name: "role_id", Value: func(a *weft.RoleAssignment) any { return a.RoleID }},
		{Name: "actor_type", Value: func(a *weft.RoleAssignment) any { return a.ActorType }},
		{Name: "actor_id", Value: func(a *weft.RoleAssignment) any { return a.ActorID }},
		{Name: "target_type", Value: func(a *weft.RoleAssignment) any { return a.TargetType }},
		{Name: "target_id", Value: func(a *weft.RoleAssignment) any { return a.TargetID }},
	},
}.Ready()

// Regions keeps the regions of the catalogue.
var Regions = Table[weft.Region]{
	Name: "regions", Noun: "region", NotFound: "RegionNotFound",
	Columns: []Column[weft.Region]{
		{Name: "parent_region_id", Value: func(r *weft.Region) any { return string(r.ParentID) }},
	},
}.Ready()

// Services keeps the services of the catalogue.
var Services = Table[weft.Service]{
	Name: "services", Noun: "service", NotFound: "ServiceNotFound",
	Columns: []Column[weft.Service]{
		{Name: "name", Value: func(s *weft.Service) any { return s.Name }},
		{Name: "type", Value: func(s *weft.Service) any { return s.Type }},
		{Name: "enabled", Value: func(s *weft.Service) any { return btoi(s.Enabled) }},
	},
}.Ready()

// Endpoints keeps the endpoints of the catalogue.
var Endpoints = Table[weft.Endpoint]{
	Name: "endpoints", Noun: "endpoint", NotFound: "EndpointNotFound",
	Columns: []Column[weft.Endpoint]{
		{Name: "service_id", Value: func(e *weft.Endpoint) any { return e.ServiceID }},
		{Name: "interface", Value: func(e *weft.Endpoint) any { return e.Interface }},
		{Name: "region_id", Value: func(e *weft.Endpoint) any { return string(e.RegionID) }},
		{Name: "enabled", Value: func(e *weft.Endpoint) any { return btoi(e.Enabled) }},
	},
}.Ready()

// Revocations keeps tokens that were given back.
var Revocations = Table[weft.Revocation]{
	Name: "revocations", Noun: "revocation", NotFound: "RevocationNotFound",
	Columns: []Column[weft.Revocation]{
		{Name: "expires", Value: func(r *weft.Revocation) any { return r.Expires }},
	},
}.Ready()

// ApplicationCredentials keeps application credentials; SetSecret keeps their
// secrets.
var ApplicationCredentials = Table[weft.ApplicationCredential]{
	Name: "application_credentials", Noun: "application_credential", NotFound: "ApplicationCredentialNotFound",
	Columns: []Column[weft.ApplicationCredential]{
		{Name: "user_id", Value: func(c *weft.ApplicationCredential) any { return c.UserID }},
		{Name: "name", Value: func(c *weft.ApplicationCredential) any { return c.Name }},
	},
}.Ready()

// AccessRules keeps what users' application credentials may be limited to.
var AccessRules = Table[weft.AccessRule]{
	Name: "access_rules", Noun: "access_rule", NotFound: "AccessRuleNotFound",
	Columns: []Column[weft.AccessRule]{
		{Name: "user_id", Value: func(r *weft.AccessRule) any { return r.UserID }},
		{Name: "service", Value: func(r *weft.AccessRule) any { return r.Service }},
		{Name: "method", Value: func(r *weft.AccessRule) any { return r.Method }},
		{Name: "path", Value: func(r *weft.AccessRule) any { return r.Path }},
	},
}.Ready()

// identityNouns is the tables above, as the change log names them.
const identityNouns = `'domains', 'projects', 'users', 'user_groups', 'group_members', 'roles', 'role_assignments',
	'regions', 'services', 'endpoints', 'revocations', 'application_credentials', 'access_rules'`

// ForgetRevocations removes revocations of tokens that have died by themselves.
// The change log does not tell: nothing follows from it.
func (tx *Tx) ForgetRevocations(now time.Time) error {
	_, err := tx.Exec("DELETE FROM revocations WHERE expires < ?", now.Unix())
	return err
}

// SetPassword keeps the hash of a user's password; none if it is empty. The change
// log does not show it.
func (tx *Tx) SetPassword(userID, hash string) error {
	if hash == "" {
		_, err := tx.Exec("DELETE FROM user_passwords WHERE user_id = ?", userID)
		return err
	}
	_, err := tx.Exec(`INSERT INTO user_passwords (user_id, hash) VALUES (?, ?)
		ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash`, userID, hash)
	return err
}

// Password is the hash of a user's password, empty if there is none.
func (tx *Tx) Password(userID string) (hash string, err error) {
	_, err = tx.QueryRow("SELECT hash FROM user_passwords WHERE user_id = ?", []any{userID}, &hash)
	return hash, err
}

// SetSecret keeps the hash of a new application credential's secret. The change log
// does not show it.
func (tx *Tx) SetSecret(credentialID, hash string) error {
	_, err := tx.Exec("INSERT INTO application_credential_secrets (credential_id, hash) VALUES (?, ?)", credentialID, hash)
	return err
}

// Secret is the hash of an application credential's secret, empty if there is none.
func (tx *Tx) Secret(credentialID string) (hash string, err error) {
	_, err = tx.QueryRow("SELECT hash FROM application_credential_secrets WHERE credential_id = ?", []any{credentialID}, &hash)
	return hash, err
}

// Setting is a value that servers share, empty if it was never set.
func (tx *Tx) Setting(name string) (value string, err error) {
	_, err = tx.QueryRow("SELECT value FROM settings WHERE name = ?", []any{name}, &value)
	return value, err
}

// SetSetting keeps a value that servers share. The change log does not show it.
func (tx *Tx) SetSetting(name, value string) error {
	_, err := tx.Exec(`INSERT INTO settings (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

// WaitIdentity waits for entries of the change log after seq and returns the last
// of their numbers and whether any of them is of an identity noun. It reads no
// documents, so that following costs little where ports are what changes.
func (db *DB) WaitIdentity(ctx context.Context, seq int64) (last int64, changed bool, err error) {
	for {
		woken := db.head.wait() // before looking, so that nothing falls between
		var n int
		_, err := db.Read(ctx, nil).QueryRow(`SELECT COALESCE(MAX(seq), 0),
			COALESCE(SUM(CASE WHEN noun IN (`+identityNouns+`) THEN 1 ELSE 0 END), 0) FROM changes WHERE seq > ?`,
			[]any{seq}, &last, &n)
		if err != nil || last > seq {
			return last, n > 0, err
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return seq, false, ctx.Err()
		}
	}
}
