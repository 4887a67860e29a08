package identity

import (
	"maps"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func dropAssignments(tx *store.Tx, where ...store.Cond) error {
	list, err := store.RoleAssignments.Find(tx, where...)
	for _, a := range list {
		if err == nil {
			err = unassign(tx, a)
		}
	}
	return err
}

// unassign takes a role away, and as Keystone does, the user's application
// credentials in the project with it.
func unassign(tx *store.Tx, a *weft.RoleAssignment) error {
	if err := store.RoleAssignments.Delete(tx, a); err != nil {
		return err
	}
	if a.ActorType != weft.ActorUser || a.TargetType != weft.TargetProject {
		return nil
	}
	return dropCredentials(tx, store.Eq("user_id", a.ActorID), store.Eq("project_id", a.TargetID))
}

// assignments registers /v3/{target}/{id}/{actor}s/{id}/roles[/{role}] for every
// kind of target and actor, and the list of all.
func (m router) assignments() {
	m.closed("GET /v3/role_assignments", (*request).listAssignments)
	targets := map[string]string{"projects/{target}": weft.TargetProject, "domains/{target}": weft.TargetDomain, "system": weft.TargetSystem}
	for path, target := range targets {
		for _, actor := range []string{weft.ActorUser, weft.ActorGroup} {
			kind := weft.RoleAssignment{TargetType: target, ActorType: actor}
			path := "/v3/" + path + "/" + actor + "s/{actor}/roles"
			m.closed("GET "+path, func(q *request) error { return q.listGrants(kind) })
			m.closed("GET "+path+"/{role}", func(q *request) error { return q.checkGrant(kind) })
			m.closed("PUT "+path+"/{role}", func(q *request) error { return q.addGrant(kind) })
			m.closed("DELETE "+path+"/{role}", func(q *request) error { return q.removeGrant(kind) })
		}
	}
}

// ends fills in what the path names, all of which must exist.
func (q *request) ends(tx *store.Tx, a *weft.RoleAssignment) error {
	a.ActorID, a.TargetID = q.r.PathValue("actor"), q.r.PathValue("target")
	var err error
	switch a.TargetType {
	case weft.TargetProject:
		_, err = projects().get(tx, a.TargetID)
	case weft.TargetDomain:
		_, err = domains().get(tx, a.TargetID)
	default:
		a.TargetID = wholeSystem
	}
	if err != nil {
		return err
	}
	if a.ActorType == weft.ActorUser {
		_, err = users().get(tx, a.ActorID)
	} else {
		_, err = groups().get(tx, a.ActorID)
	}
	if a.RoleID = q.r.PathValue("role"); err == nil && a.RoleID != "" {
		_, err = roleResource().get(tx, a.RoleID)
	}
	return err
}

// same is the conditions that an assignment has the ends of a, and its role if a
// has one.
func same(a *weft.RoleAssignment) []store.Cond {
	conds := []store.Cond{store.Eq("actor_id", a.ActorID), store.Eq("target_id", a.TargetID),
		store.Eq("target_type", a.TargetType), store.Eq("actor_type", a.ActorType)}
	if a.RoleID != "" {
		conds = append(conds, store.Eq("role_id", a.RoleID))
	}
	return conds
}

func noGrant(a *weft.RoleAssignment) error {
	return weft.Errorf(weft.NotFound, "RoleAssignmentNotFound", "Could not find role assignment with role: %s, user or group: %s, project, domain, or system: %s.",
		a.RoleID, a.ActorID, a.TargetID)
}

func (q *request) listGrants(a weft.RoleAssignment) error {
	if err := q.mayRead("list_grants", false); err != nil {
		return err
	}
	tx := q.read()
	if err := q.ends(tx, &a); err != nil {
		return err
	}
	given, err := store.RoleAssignments.Find(tx, same(&a)...)
	if err != nil {
		return err
	}
	rs, list := roleResource(), []any{}
	for _, g := range given {
		r, err := rs.get(tx, g.RoleID)
		if weft.IsKind(err, weft.NotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		list = append(list, rs.render(q, r))
	}
	return q.replyList("roles", list)
}

func (q *request) checkGrant(a weft.RoleAssignment) error {
	if err := q.mayRead("check_grant", false); err != nil {
		return err
	}
	tx := q.read()
	if err := q.ends(tx, &a); err != nil {
		return err
	}
	n, err := store.RoleAssignments.Count(tx, same(&a)...)
	if err == nil && n == 0 {
		err = noGrant(&a)
	}
	if err != nil {
		return err
	}
	return q.done()
}

func (q *request) addGrant(a weft.RoleAssignment) error {
	if err := q.mayWrite("create_grant"); err != nil {
		return err
	}
	err := q.update(func(tx *store.Tx) error {
		if err := q.ends(tx, &a); err != nil {
			return err
		}
		return assign(tx, &a)
	})
	if err != nil {
		return err
	}
	return q.done()
}

// assign stores an assignment unless it is there.
func assign(tx *store.Tx, a *weft.RoleAssignment) error {
	n, err := store.RoleAssignments.Count(tx, same(a)...)
	if err != nil || n > 0 {
		return err
	}
	return store.RoleAssignments.Insert(tx, a)
}

func (q *request) removeGrant(a weft.RoleAssignment) error {
	if err := q.mayWrite("revoke_grant"); err != nil {
		return err
	}
	err := q.update(func(tx *store.Tx) error {
		if err := q.ends(tx, &a); err != nil {
			return err
		}
		is, err := store.RoleAssignments.First(tx, same(&a)...)
		if err == nil && is == nil {
			err = noGrant(&a)
		}
		if err != nil {
			return err
		}
		return unassign(tx, is)
	})
	if err != nil {
		return err
	}
	return q.done()
}

// listAssignments lists assignments as they are or, with ?effective, as they take
// effect: of the members in place of groups, and with implied roles.
func (q *request) listAssignments() error {
	if err := q.mayRead("list_role_assignments", false); err != nil {
		return err
	}
	tx := q.read()
	list, err := store.RoleAssignments.Find(tx, q.targetConditions()...)
	if err == nil && q.flag("effective") {
		list, err = effective(tx, list)
	}
	if err != nil {
		return err
	}
	view := assignmentView{q: q, tx: tx, names: q.flag("include_names"), known: map[string]map[string]any{}}
	out := []any{}
	for _, a := range list {
		if !q.selects(a) {
			continue
		}
		one, err := view.render(a)
		if err != nil {
			return err
		}
		out = append(out, one)
	}
	return q.replyList("role_assignments", out)
}

func (q *request) targetConditions() []store.Cond {
	var where []store.Cond
	for param, kind := range map[string]string{"scope.project.id": weft.TargetProject, "scope.domain.id": weft.TargetDomain} {
		if q.query.Has(param) {
			where = append(where, store.Eq("target_type", kind), store.Eq("target_id", q.query.Get(param)))
		}
	}
	if q.query.Has("scope.system") {
		where = append(where, store.Eq("target_type", weft.TargetSystem))
	}
	return where
}

// selects applies the filters on the actor and the role, which must look at what
// takes effect, not at what is stored.
func (q *request) selects(a *weft.RoleAssignment) bool {
	is := func(param, value string) bool { return !q.query.Has(param) || q.query.Get(param) == value }
	return is("role.id", a.RoleID) &&
		(!q.query.Has("user.id") || a.ActorType == weft.ActorUser && is("user.id", a.ActorID)) &&
		(!q.query.Has("group.id") || a.ActorType == weft.ActorGroup && is("group.id", a.ActorID)) &&
		!q.query.Has("scope.OS-INHERIT:inherited_to") // nothing is inherited here
}

func effective(tx *store.Tx, stored []*weft.RoleAssignment) ([]*weft.RoleAssignment, error) {
	index, err := roleIndex(tx)
	if err != nil {
		return nil, err
	}
	memberships, err := store.Memberships.Find(tx)
	if err != nil {
		return nil, err
	}
	members := map[string][]string{}
	for _, m := range memberships {
		members[m.GroupID] = append(members[m.GroupID], m.UserID)
	}
	var out []*weft.RoleAssignment
	type key struct{ role, user, kind, target string }
	seen := map[key]bool{}
	for _, a := range stored {
		actors := []string{a.ActorID}
		if a.ActorType == weft.ActorGroup {
			actors = members[a.ActorID]
		}
		ids := map[string]bool{}
		index.imply(a.RoleID, ids)
		for _, role := range slices.Sorted(maps.Keys(ids)) {
			if index[role].DomainID != "" {
				continue // see rolesOf
			}
			for _, user := range actors {
				if k := (key{role, user, a.TargetType, a.TargetID}); !seen[k] {
					seen[k] = true
					out = append(out, &weft.RoleAssignment{RoleID: role, ActorType: weft.ActorUser, ActorID: user, TargetType: a.TargetType, TargetID: a.TargetID})
				}
			}
		}
	}
	return out, nil
}

// assignmentView renders assignments, if asked to with the names of their ends.
type assignmentView struct {
	q     *request
	tx    *store.Tx
	names bool
	known map[string]map[string]any
}

func (v *assignmentView) render(a *weft.RoleAssignment) (any, error) {
	role, err := v.end("role", a.RoleID)
	if err != nil {
		return nil, err
	}
	actor, err := v.end(a.ActorType, a.ActorID)
	if err != nil {
		return nil, err
	}
	path := "system"
	on := any(map[string]bool{"all": true})
	if a.TargetType != weft.TargetSystem {
		path = a.TargetType + "s/" + a.TargetID
		if on, err = v.end(a.TargetType, a.TargetID); err != nil {
			return nil, err
		}
	}
	return map[string]any{"role": role, a.ActorType: actor, "scope": map[string]any{a.TargetType: on},
		"links": map[string]any{"assignment": v.q.url(path + "/" + a.ActorType + "s/" + a.ActorID + "/roles/" + a.RoleID)}}, nil
}

// end is an end of an assignment: its id and, if wanted, its name and domain. Ends
// that were deleted meanwhile have no name.
func (v *assignmentView) end(kind, id string) (map[string]any, error) {
	out := map[string]any{"id": id}
	if !v.names {
		return out, nil
	}
	if known := v.known[kind+"/"+id]; known != nil {
		return known, nil
	}
	name, domainID, err := nameOf(v.tx, kind, id)
	if err != nil && !weft.IsKind(err, weft.NotFound) {
		return nil, err
	}
	out["name"] = name
	if domainID != "" {
		if out["domain"], err = v.end(weft.TargetDomain, domainID); err != nil {
			return nil, err
		}
	}
	v.known[kind+"/"+id] = out
	return out, nil
}

func nameOf(tx *store.Tx, kind, id string) (name, domainID string, err error) {
	switch kind {
	case "role":
		return nameIn(tx, store.Roles, id, func(r *weft.Role) (string, string) { return r.Name, string(r.DomainID) })
	case weft.ActorUser:
		return nameIn(tx, store.Users, id, func(u *weft.User) (string, string) { return u.Name, u.DomainID })
	case weft.ActorGroup:
		return nameIn(tx, store.Groups, id, func(g *weft.Group) (string, string) { return g.Name, g.DomainID })
	case weft.TargetProject:
		return nameIn(tx, store.Projects, id, func(p *weft.Project) (string, string) { return p.Name, p.DomainID })
	default:
		return nameIn(tx, store.Domains, id, func(d *weft.Domain) (string, string) { return d.Name, "" })
	}
}

func nameIn[T any](tx *store.Tx, table *store.Table[T], id string, of func(*T) (string, string)) (name, domainID string, err error) {
	v, err := table.Get(tx, id)
	if err != nil {
		return "", "", err
	}
	name, domainID = of(v)
	return name, domainID, nil
}
