package weft

// RBACPolicy shares one object with a project, or with all ("*").
type RBACPolicy struct {
	Meta
	ObjectType   string `json:"object_type"`
	ObjectID     string `json:"object_id"`
	Action       string `json:"action"`
	TargetTenant string `json:"target_tenant"`
}

// Actions of RBAC policies.
const (
	AccessShared   = "access_as_shared"
	AccessExternal = "access_as_external"
)
