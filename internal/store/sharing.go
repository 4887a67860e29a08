package store

import "github.com/weftnet/weft"

// Sharing is how RBAC policies share the rows of a table: who sees them, and the
// attribute shared, which is true for whom they are shared with.
type Sharing struct{ object, id string }

// SharedAs is the sharing of an object type of RBAC policies.
func SharedAs(object string) Sharing { return Sharing{object, "t.id"} }

// By is for rows that are shared as what a column of theirs names: a subnet is
// shared as its network.
func (s Sharing) By(column string) Sharing { return Sharing{s.object, "t." + column} }

// Visible admits the rows of the caller's project and those shared with it.
func (s Sharing) Visible(c *weft.Caller) Cond {
	return Where(`t.project_id = ? OR `+s.id+` IN (SELECT r.object_id FROM rbac_policies r
		WHERE r.object_type = '`+s.object+`' AND r.target_tenant IN ('*', ?))`, c.ProjectID, c.ProjectID)
}

// Shared is the attribute.
func (s Sharing) Shared() Computed {
	return Computed{Attr: "shared", SQL: "CASE WHEN " + s.sql(s.id) + " THEN 'true' ELSE 'false' END", Args: 1}
}

// Filter is the filter on it.
func (s Sharing) Filter(c *weft.Caller, values []any) Cond {
	sql := s.sql(s.id)
	switch {
	case len(values) != 1:
		return Where("1 = 1")
	case values[0] == 0:
		return Where("NOT "+sql, c.ProjectID)
	default:
		return Where(sql, c.ProjectID)
	}
}

// With reports whether an object is shared with everybody or with the project.
func (s Sharing) With(tx *Tx, id, projectID string) (bool, error) {
	return tx.Exists(s.shared()+" AND r.object_id = ?", projectID, id)
}

// sql is true when a policy shares the object with everybody or, by its one
// placeholder, with a project. What is shared with one is little beside all that is
// shared, and a database finds it once for a whole list.
func (s Sharing) sql(id string) string { return id + " IN (" + s.shared() + ")" }

func (s Sharing) shared() string {
	return `SELECT r.object_id FROM rbac_policies r WHERE r.action = 'access_as_shared'
		AND r.target_tenant IN ('*', ?) AND r.object_type = '` + s.object + `'`
}
