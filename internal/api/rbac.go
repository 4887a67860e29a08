package api

import (
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// SharingService is what the API asks of RBAC policies.
type SharingService interface {
	CreateRBACPolicy(tx *store.Tx, p *weft.RBACPolicy) error
	UpdateRBACPolicy(tx *store.Tx, old, p *weft.RBACPolicy) error
	DeleteRBACPolicy(tx *store.Tx, p *weft.RBACPolicy) error
}

// RBACPolicies is the table of policies that share objects between projects.
func RBACPolicies(svc SharingService) *Resource[weft.RBACPolicy] {
	return &Resource[weft.RBACPolicy]{
		Unpaged:  true,
		Singular: "rbac_policy", Plural: "rbac_policies", Path: "rbac-policies", Table: store.RBACPolicies,
		Implements: []string{"rbac-policies", "rbac-security-groups"},
		Attrs: table(ident(), ext("rbac-policies",
			row("object_type", "CVFR", Unset, objectType),
			row("object_id", "CVFR", Unset, uuidType),
			row("action", "CVFR", Unset, text(255)),
			row("target_tenant", "CUVFR", Unset, nonEmptyText(255)))),
		Create: func(tx *store.Tx, p *weft.RBACPolicy, _ Request) error { return svc.CreateRBACPolicy(tx, p) },
		Update: func(tx *store.Tx, old, p *weft.RBACPolicy, _ Request) error {
			return svc.UpdateRBACPolicy(tx, old, p)
		},
		Delete: svc.DeleteRBACPolicy,
	}
}

// objectType is text in lower case without white space around it.
var objectType = Type{Name: "string", Validate: text(255).Validate, Convert: func(v any) (any, error) {
	if s, ok := v.(string); ok {
		return strings.ToLower(strings.TrimSpace(s)), nil
	}
	return v, nil
}}
