package weft

import "encoding/json"

// Extra is the attributes of an identity noun that weft has no use for and keeps
// for its clients, as Keystone does: an e-mail address, a cost centre.
type Extra map[string]json.RawMessage

// Domain is a name space of users, groups and projects. Its id may be chosen (the
// first one is "default").
type Domain struct {
	Meta
	Name        string `json:"name"`
	Description string `json:"description"`
	Enabled     bool   `json:"enabled"`
	Options     Extra  `json:"options,omitempty"`
	Extra       Extra  `json:"extra,omitempty"`
	Epoch       int64  `json:"epoch"` // grows when tokens that involve the domain must die
}

// Project is what owns networks. Its parent is another project, or its domain.
type Project struct {
	Meta
	Name        string `json:"name"`
	DomainID    string `json:"domain_id"`
	ParentID    string `json:"parent_id"`
	Description string `json:"description"`
	Enabled     bool   `json:"enabled"`
	Options     Extra  `json:"options,omitempty"`
	Extra       Extra  `json:"extra,omitempty"`
	Epoch       int64  `json:"epoch"` // as a domain's
}

// User is somebody who can ask for a token. The password is not part of the noun:
// its hash is kept beside it, so that neither a document nor the change log has it.
type User struct {
	Meta
	Name             string `json:"name"`
	DomainID         string `json:"domain_id"`
	DefaultProjectID ID     `json:"default_project_id"`
	Enabled          bool   `json:"enabled"`
	Options          Extra  `json:"options,omitempty"`
	Extra            Extra  `json:"extra,omitempty"`
	Epoch            int64  `json:"epoch"` // grows when the user's tokens must die
}

// Group is users who are given roles together.
type Group struct {
	Meta
	Name        string `json:"name"`
	DomainID    string `json:"domain_id"`
	Description string `json:"description"`
	Extra       Extra  `json:"extra,omitempty"`
}

// Membership puts a user in a group.
type Membership struct {
	Meta
	GroupID string `json:"group_id"`
	UserID  string `json:"user_id"`
}

// Role is a name that policies know. Who has it also has the roles it implies.
type Role struct {
	Meta
	Name        string   `json:"name"`
	DomainID    ID       `json:"domain_id"` // of a role that belongs to one domain
	Description ID       `json:"description"`
	Implies     []string `json:"implies,omitempty"` // ids of roles
	Options     Extra    `json:"options,omitempty"`
	Extra       Extra    `json:"extra,omitempty"`
}

// The roles every cloud has, each implying the next; and the one for services.
const (
	RoleAdmin   = "admin"
	RoleManager = "manager"
	RoleMember  = "member"
	RoleReader  = "reader"
	RoleService = "service"
)

// RoleAssignment gives an actor a role on a target.
type RoleAssignment struct {
	Meta
	RoleID     string `json:"role_id"`
	ActorType  string `json:"actor_type"` // ActorUser or ActorGroup
	ActorID    string `json:"actor_id"`
	TargetType string `json:"target_type"` // TargetProject, TargetDomain or TargetSystem
	TargetID   string `json:"target_id"`   // "all" of the system
}

// The ends of a role assignment.
const (
	ActorUser     = "user"
	ActorGroup    = "group"
	TargetProject = "project"
	TargetDomain  = "domain"
	TargetSystem  = "system"
)

// Region is a place in the service catalogue. Its id may be chosen.
type Region struct {
	Meta
	Description string `json:"description"`
	ParentID    ID     `json:"parent_region_id"`
	Extra       Extra  `json:"extra,omitempty"`
}

// Service is an entry of the service catalogue.
type Service struct {
	Meta
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Enabled     bool   `json:"enabled"`
	Extra       Extra  `json:"extra,omitempty"`
}

// Endpoint is where a service is reached, by a kind of client in a region.
type Endpoint struct {
	Meta
	ServiceID string `json:"service_id"`
	Interface string `json:"interface"` // "public", "internal" or "admin"
	RegionID  ID     `json:"region_id"`
	URL       string `json:"url"`
	Enabled   bool   `json:"enabled"`
	Extra     Extra  `json:"extra,omitempty"`
}

// Revocation is a token that was given back before its time; its id is the
// token's audit id.
type Revocation struct {
	Meta
	Expires int64 `json:"expires"` // when the token would have died by itself, in seconds
}
