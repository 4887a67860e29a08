package weft

// Meta is what every noun has: identity, owner and the standard attributes.
// The store maintains CreatedAt, UpdatedAt, Revision and TenantID.
type Meta struct {
	ID        string       `json:"id"`
	TenantID  string       `json:"tenant_id"` // always equal to ProjectID
	ProjectID string       `json:"project_id"`
	CreatedAt Time         `json:"created_at"`
	UpdatedAt Time         `json:"updated_at"`
	Revision  int64        `json:"revision_number"`
	Tags      List[string] `json:"tags"`
}

// Base gives generic code access to the Meta of any noun.
func (m *Meta) Base() *Meta { return m }

// Caller is who asks: the content of a validated token.
type Caller struct {
	UserID        string
	UserName      string
	UserDomainID  string
	ProjectID     string
	ProjectName   string
	DomainID      string // of a domain-scoped token
	System        bool   // a system-scoped token
	Roles         []string
	ServiceRoles  []string // of the service that passes on the caller's request
	Admin         bool     // may do everything; decided by policy, from the rest
	Advsvc        bool     // another service, which sees everything; decided likewise
	RequestID     string
	GlobalRequest string // X-Openstack-Request-Id of the client: what it works on; "" if it sent none
}

// HasRole reports whether the caller holds the role.
func (c *Caller) HasRole(role string) bool {
	for _, r := range c.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// Credentials is what a request shows of who sends it, and what it wants: a token
// may be good for certain requests only.
type Credentials struct {
	Token        string // X-Auth-Token
	ServiceToken string // X-Service-Token, of a service that passes the request on
	Method, Path string
}

// SystemCaller acts for weft itself: feeds, port status, clean-up.
func SystemCaller(what string) *Caller {
	return &Caller{UserID: "weft:" + what, Roles: []string{RoleAdmin}, Admin: true, RequestID: "weft-" + what}
}
