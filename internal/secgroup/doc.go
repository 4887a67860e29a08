// Package secgroup decides about security groups and their rules: which rules make
// sense and how they are spelled, which group a project has by default, and who
// may use which group. What a rule does to packets is decided on the hosts.
package secgroup

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Quota refuses with OverQuota when a project may not have delta more of a
// resource. What a request asks for is checked by the API; a Service checks the
// rules that come with a new group.
type Quota interface {
	Check(tx *store.Tx, projectID, resource string, delta int) error
}

// Service is the rules about security groups. All its methods run inside the
// transaction they are given; those that write need one of store.DB.Update.
type Service struct {
	quota Quota

	// Deleting are hooks that are called before a group goes; set them before the
	// first request.
	Deleting []func(tx *store.Tx, g *weft.SecurityGroup) error
}

// New makes a service.
func New(quota Quota) *Service { return &Service{quota: quota} }
