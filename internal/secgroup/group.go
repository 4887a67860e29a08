package secgroup

import (
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/sharing"
	"github.com/weftnet/weft/internal/store"
)

// defaultName is reserved for the one group that every project has.
const defaultName = "default"

// FindDefault is the id of the project's default group, empty if it has none yet.
func (s *Service) FindDefault(tx *store.Tx, projectID string) (id string, err error) {
	_, err = tx.QueryRow("SELECT id FROM security_groups WHERE default_of = ?", []any{projectID}, &id)
	return id, err
}

// DefaultGroup is the id of the project's default group, which is made if there is
// none yet. What belongs to no project has no default group: the id is empty.
func (s *Service) DefaultGroup(tx *store.Tx, projectID string) (id string, err error) {
	if projectID == "" {
		return "", nil
	}
	if id, err = s.FindDefault(tx, projectID); id != "" || err != nil {
		return id, err
	}
	g := &weft.SecurityGroup{Name: defaultName, Description: "Default security group", Stateful: true}
	g.ProjectID = projectID
	err = s.insert(tx, g, true)
	return g.ID, err
}

// CreateGroup stores a new group with the rules that new groups begin with, and
// sees to it that its project has a default group. Errors:
// SecurityGroupDefaultAlreadyExists for the reserved name, OverQuota for the rules.
func (s *Service) CreateGroup(tx *store.Tx, g *weft.SecurityGroup, _ weft.Given) error {
	if reserved(g.Name) {
		return defaultExists()
	}
	if _, err := s.DefaultGroup(tx, g.ProjectID); err != nil {
		return err
	}
	return s.insert(tx, g, false)
}

func reserved(name string) bool { return strings.EqualFold(name, defaultName) }

func defaultExists() error {
	return weft.Errorf(weft.Conflict, "SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
}

// insert stores a group and the rules that such groups begin with.
func (s *Service) insert(tx *store.Tx, g *weft.SecurityGroup, isDefault bool) error {
	which := "used_in_non_default_sg"
	if isDefault {
		which = "used_in_default_sg"
	}
	templates, err := store.DefaultSecurityGroupRules.Find(tx, store.Eq(which, 1))
	if err != nil {
		return err
	}
	if err := s.quota.Check(tx, g.ProjectID, store.SecurityGroupRules.Noun, len(templates)); err != nil {
		return err
	}
	if err := store.SecurityGroups.Insert(tx, g); err != nil {
		return err
	}
	for _, t := range templates {
		r := instance(t, g)
		r.BelongsToDefault = isDefault
		if err := store.SecurityGroupRules.Insert(tx, r); err != nil {
			return err
		}
	}
	return nil
}

// UpdateGroup stores a changed group. Errors: SecurityGroupCannotUpdateDefault when
// the default group is given a name, SecurityGroupDefaultAlreadyExists when another
// is given its name, SecurityGroupInUse when ports would change between stateful
// and stateless.
func (s *Service) UpdateGroup(tx *store.Tx, old, g *weft.SecurityGroup, given weft.Given) error {
	switch {
	case given["name"] && reserved(g.Name):
		return defaultExists()
	case given["name"] && old.Name == defaultName:
		return weft.Errorf(weft.Conflict, "SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
	case g.Stateful != old.Stateful:
		if err := unused(tx, g.ID); err != nil {
			return err
		}
	}
	return store.SecurityGroups.Update(tx, g)
}

// unused refuses with SecurityGroupInUse if a port is in the group.
func unused(tx *store.Tx, id string) error {
	ids, err := tx.IDs("SELECT port_id FROM port_security_groups WHERE group_id = ?", id)
	if err != nil || len(ids) == 0 {
		return err
	}
	return weft.Errorf(weft.Conflict, "SecurityGroupInUse", "Security Group %s in use.", id).BlockedBy("port", ids...)
}

// DeleteGroup removes a group, its rules, the rules of other groups that admit its
// members, and whatever shares it. Errors: SecurityGroupInUse,
// SecurityGroupCannotRemoveDefault unless the caller is an admin.
func (s *Service) DeleteGroup(tx *store.Tx, g *weft.SecurityGroup) error {
	if err := unused(tx, g.ID); err != nil {
		return err
	}
	if g.Name == defaultName && !tx.Caller.Admin {
		return weft.Errorf(weft.Conflict, "SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group.")
	}
	for _, hook := range s.Deleting {
		if err := hook(tx, g); err != nil {
			return err
		}
	}
	if err := deleteRulesOf(tx, g.ID); err != nil {
		return err
	}
	if err := deleteTemplatesOf(tx, g.ID); err != nil {
		return err
	}
	if err := sharing.Unshare(tx, store.SecurityGroups.Noun, g.ID); err != nil {
		return err
	}
	return store.SecurityGroups.Delete(tx, g)
}

// deleteRulesOf removes the rules in a group and those that name it as their
// remote group; the groups that lose a rule by it grow in revision.
func deleteRulesOf(tx *store.Tx, id string) error {
	rules, err := store.SecurityGroupRules.Find(tx, store.Where("t.security_group_id = ? OR t.remote_group_id = ?", id, id))
	if err != nil {
		return err
	}
	var others []string
	seen := map[string]bool{id: true}
	for _, r := range rules {
		if !seen[r.SecurityGroupID] {
			seen[r.SecurityGroupID] = true
			others = append(others, r.SecurityGroupID)
		}
		if err := store.SecurityGroupRules.Delete(tx, r); err != nil {
			return err
		}
	}
	for _, other := range others {
		if err := store.SecurityGroups.Touch(tx, other); err != nil {
			return err
		}
	}
	return nil
}

// CheckGroups refuses groups that ports of the project may not be in: with
// SecurityGroupNotFound those that do not exist or are neither its own nor shared
// with it, and with SecurityGroupConflict a mixture of stateful and stateless.
// An admin may use any group, as in Neutron.
func (s *Service) CheckGroups(tx *store.Tx, projectID string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	groups, err := store.SecurityGroups.Find(tx, store.In("id", store.Strings(ids)...))
	if err != nil {
		return err
	}
	usable, stateful := map[string]bool{}, map[bool]bool{}
	for _, g := range groups {
		stateful[g.Stateful] = true
		if usable[g.ID], err = mayUse(tx, "security_group", projectID, g.ID, g.ProjectID); err != nil {
			return err
		}
	}
	missing := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return usable[id] })
	if len(missing) > 0 {
		return missingGroup(strings.Join(missing, ", "))
	}
	if len(stateful) > 1 {
		return weft.Errorf(weft.Conflict, "SecurityGroupConflict", "Error Cannot apply both stateful and stateless security groups on the same port at the same time while attempting the operation.")
	}
	return nil
}

// mayUse reports whether a project may use a group of ports or of addresses: its own,
// one shared with it, or any on behalf of an admin or of no project.
func mayUse(tx *store.Tx, object, projectID, id, owner string) (bool, error) {
	if projectID == owner || projectID == "" || tx.Caller.Admin {
		return true, nil
	}
	return store.SharedAs(object).With(tx, id, projectID)
}

func missingGroup(id string) error {
	return weft.Errorf(weft.NotFound, "SecurityGroupNotFound", "Security group %s does not exist", id)
}
