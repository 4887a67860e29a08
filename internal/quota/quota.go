// Package quota decides how many of each noun a project may have. Limits are the
// configured defaults unless the project has rows of its own; usage is kept by the
// store as it inserts and deletes, so that a check counts nothing.
package quota

import (
	"maps"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Unlimited is the limit that is none.
const Unlimited = -1

// Defaults are Neutron's limits for projects without rows of their own.
func Defaults() map[string]int {
	return map[string]int{
		"network": 100, "subnet": 100, "port": 500, "subnetpool": Unlimited,
		"router": 10, "floatingip": 50, "security_group": 10, "security_group_rule": 100, "rbac_policy": 10, "trunk": Unlimited,
	}
}

// Service answers for the limits of all projects.
type Service struct{ defaults map[string]int }

// New makes a service for the resources named in defaults.
func New(defaults map[string]int) *Service { return &Service{maps.Clone(defaults)} }

// Detail is a limit and how much of it is used up.
type Detail struct {
	Limit    int `json:"limit"`
	Used     int `json:"used"`
	Reserved int `json:"reserved"` // always 0: a check and the insert it is for are one transaction
}

// Check refuses with OverQuota if the project may not have delta more of the
// resource. What belongs to no project, and a resource without a default, is not
// limited.
func (s *Service) Check(tx *store.Tx, projectID, resource string, delta int) error {
	limit, known := s.defaults[resource]
	if projectID == "" || delta <= 0 || !known {
		return nil
	}
	var used int
	_, err := tx.QueryRow(`SELECT COALESCE((SELECT max FROM quotas WHERE project_id = ? AND resource = ?), ?),
		COALESCE((SELECT used FROM quota_usage WHERE project_id = ? AND resource = ?), 0)`,
		[]any{projectID, resource, limit, projectID, resource}, &limit, &used)
	if err != nil {
		return err
	}
	if limit >= 0 && used+delta > limit {
		return weft.Errorf(weft.Conflict, "OverQuota", "Quota exceeded for resources: ['%s'].", resource)
	}
	return nil
}

// Default is the configured limits.
func (s *Service) Default() map[string]int { return maps.Clone(s.defaults) }

// Resources is the names of what is limited, in order.
func (s *Service) Resources() []string { return slices.Sorted(maps.Keys(s.defaults)) }

// Limits is the limits of a project.
func (s *Service) Limits(tx *store.Tx, projectID string) (map[string]int, error) {
	limits := s.Default()
	err := eachAmount(tx, "SELECT resource, max FROM quotas WHERE project_id = ?", projectID, func(resource string, n int) {
		if _, known := limits[resource]; known {
			limits[resource] = n
		}
	})
	return limits, err
}

// Details is the limits of a project with their use.
func (s *Service) Details(tx *store.Tx, projectID string) (map[string]Detail, error) {
	limits, err := s.Limits(tx, projectID)
	if err != nil {
		return nil, err
	}
	details := make(map[string]Detail, len(limits))
	for resource, limit := range limits {
		details[resource] = Detail{Limit: limit}
	}
	err = eachAmount(tx, "SELECT resource, used FROM quota_usage WHERE project_id = ?", projectID, func(resource string, n int) {
		if d, known := details[resource]; known {
			d.Used = n
			details[resource] = d
		}
	})
	return details, err
}

// eachAmount visits the rows of a query of resources and numbers.
func eachAmount(tx *store.Tx, text, projectID string, visit func(resource string, n int)) error {
	return tx.Query(text, []any{projectID}, func(scan func(...any) error) error {
		var resource string
		var n int
		if err := scan(&resource, &n); err != nil {
			return err
		}
		visit(resource, n)
		return nil
	})
}

// Set gives a project limits of its own. Limits below what the project already
// uses are taken, as in Neutron, unless checkUse is set; a resource that is not
// limited by name is refused.
func (s *Service) Set(tx *store.Tx, projectID string, limits map[string]int, checkUse bool) error {
	if err := s.known(limits); err != nil {
		return err
	}
	if checkUse {
		if err := s.checkUse(tx, projectID, limits); err != nil {
			return err
		}
	}
	for _, resource := range slices.Sorted(maps.Keys(limits)) {
		_, err := tx.Exec(`INSERT INTO quotas (project_id, resource, max) VALUES (?, ?, ?)
			ON CONFLICT (project_id, resource) DO UPDATE SET max = excluded.max`, projectID, resource, limits[resource])
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) known(limits map[string]int) error {
	var unknown []string
	for resource := range limits {
		if _, ok := s.defaults[resource]; !ok {
			unknown = append(unknown, resource)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return weft.Errorf(weft.BadRequest, "HTTPBadRequest", "Unrecognized attribute(s) '%s'", strings.Join(unknown, ", "))
}

func (s *Service) checkUse(tx *store.Tx, projectID string, limits map[string]int) error {
	details, err := s.Details(tx, projectID)
	if err != nil {
		return err
	}
	for _, resource := range slices.Sorted(maps.Keys(limits)) {
		limit, d := limits[resource], details[resource]
		if limit >= 0 && d.Used > limit {
			return weft.Errorf(weft.BadRequest, "HTTPBadRequest", "Quota limit %d for %s must be greater than or equal to already used %d",
				limit, resource, d.Used)
		}
	}
	return nil
}

// Reset takes a project's own limits away; the error is TenantQuotaNotFound if it
// has none.
func (s *Service) Reset(tx *store.Tx, projectID string) error {
	n, err := tx.Exec("DELETE FROM quotas WHERE project_id = ?", projectID)
	if err == nil && n == 0 {
		return weft.Errorf(weft.NotFound, "TenantQuotaNotFound", "Quota for tenant %s could not be found.", projectID)
	}
	return err
}

// Projects is the projects with limits of their own, in order, and for each all
// its limits.
func (s *Service) Projects(tx *store.Tx) ([]string, map[string]map[string]int, error) {
	var ids []string
	limits := map[string]map[string]int{}
	err := tx.Query("SELECT project_id, resource, max FROM quotas ORDER BY project_id", nil, func(scan func(...any) error) error {
		var project, resource string
		var n int
		if err := scan(&project, &resource, &n); err != nil {
			return err
		}
		if limits[project] == nil {
			ids = append(ids, project)
			limits[project] = s.Default()
		}
		if _, known := s.defaults[resource]; known {
			limits[project][resource] = n
		}
		return nil
	})
	return ids, limits, err
}
