// Package logging keeps which decisions of security groups are logged.
package logging

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Service carries out changes of logs.
type Service struct{}

// Loggable is the types of resources that can be logged.
func (Service) Loggable() []string { return []string{"security_group"} }

// CreateLog stores a log. Errors: InvalidLogResourceType; ResourceNotFound and
// TargetResourceNotFound for a group and a port that the caller cannot use;
// InvalidResourceConstraint for a port that is not in the group.
func (s Service) CreateLog(tx *store.Tx, l *weft.Log) error {
	if !slices.Contains(s.Loggable(), l.ResourceType) {
		return weft.Errorf(weft.BadRequest, "InvalidLogResourceType", "Invalid log resource_type: %s.", l.ResourceType)
	}
	if err := checkGroup(tx, l); err != nil {
		return err
	}
	if err := checkPort(tx, l); err != nil {
		return err
	}
	return store.Logs.Insert(tx, l)
}

func checkGroup(tx *store.Tx, l *weft.Log) error {
	if l.ResourceID == "" {
		return nil
	}
	found, err := visible(tx, store.SecurityGroups, string(l.ResourceID))
	if err == nil && !found {
		err = weft.Errorf(weft.NotFound, "ResourceNotFound", "Resource %s could not be found.", l.ResourceID)
	}
	return err
}

func checkPort(tx *store.Tx, l *weft.Log) error {
	if l.TargetID == "" {
		return nil
	}
	found, err := visible(tx, store.Ports, string(l.TargetID))
	if err == nil && !found {
		err = weft.Errorf(weft.NotFound, "TargetResourceNotFound", "Target resource %s could not be found.", l.TargetID)
	}
	if err != nil || l.ResourceID == "" {
		return err
	}
	member, err := tx.Exists("SELECT 1 FROM port_security_groups WHERE port_id = ? AND group_id = ?", string(l.TargetID), string(l.ResourceID))
	if err == nil && !member {
		err = weft.Errorf(weft.BadRequest, "InvalidResourceConstraint",
			"Invalid resource constraint between resource (security_group %s) and target resource (port %s).", l.ResourceID, l.TargetID)
	}
	return err
}

// visible reports whether the caller may see a row.
func visible[T any](tx *store.Tx, t *store.Table[T], id string) (bool, error) {
	n, err := t.Count(tx, store.Eq("id", id), t.VisibleTo(tx.Caller))
	return n > 0, err
}

// UpdateLog stores what changed.
func (Service) UpdateLog(tx *store.Tx, l *weft.Log) error { return store.Logs.Update(tx, l) }

// DeleteLog removes a log.
func (Service) DeleteLog(tx *store.Tx, l *weft.Log) error { return store.Logs.Delete(tx, l) }

// PortDeleting removes the logs of a port that goes.
func (s Service) PortDeleting(tx *store.Tx, p *weft.Port) error {
	return s.drop(tx, store.Eq("target_id", p.ID))
}

// GroupDeleting removes the logs of a security group that goes.
func (s Service) GroupDeleting(tx *store.Tx, g *weft.SecurityGroup) error {
	return s.drop(tx, store.Eq("resource_id", g.ID))
}

func (s Service) drop(tx *store.Tx, of store.Cond) error {
	logs, err := store.Logs.Find(tx, of)
	if err != nil {
		return err
	}
	for _, l := range logs {
		if err := store.Logs.Delete(tx, l); err != nil {
			return err
		}
	}
	return nil
}
