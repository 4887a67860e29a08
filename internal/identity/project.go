package identity

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func projects() *resource[weft.Project] {
	type T = weft.Project
	rs := &resource[T]{
		table: store.Projects, singular: "project", plural: "projects",
		fields: []field[T]{
			name("name", 64, func(p *T) *string { return &p.Name }).require(),
			name("domain_id", 64, func(p *T) *string { return &p.DomainID }).fix(),
			{name: "parent_id", fixed: true, get: func(p *T) any { return p.ParentID }, set: func(p *T, raw json.RawMessage) (err error) {
				p.ParentID, err = textOrNull("parent_id", raw)
				return err
			}},
			note("description", func(p *T) *string { return &p.Description }),
			flag("enabled", func(p *T) *bool { return &p.Enabled }),
			{name: "is_domain", get: func(*T) any { return false }, set: func(_ *T, raw json.RawMessage) error {
				if string(raw) != "false" {
					return badRequest("A project that is a domain is created as a domain.")
				}
				return nil
			}},
			tags(func(p *T) *weft.List[string] { return &p.Tags }),
			options(func(p *T) *weft.Extra { return &p.Options }),
		},
		extra:   func(p *T) *weft.Extra { return &p.Extra },
		filters: []string{"name", "domain_id", "parent_id", "enabled"}, flags: []string{"enabled"},
		fresh:  func(q *request) *T { return &T{Enabled: true, DomainID: q.home()} },
		mine:   func(g *grant, p *T) bool { return g.project != nil && g.project.ID == p.ID },
		remove: removeProject,
		where:  projectConditions,
	}
	rs.check = func(tx *store.Tx, v, old *T, _ map[string]json.RawMessage) error {
		if err := placeProject(tx, v, old); err != nil {
			return err
		}
		return rs.uniqueName(tx, v, v.Name, v.DomainID)
	}
	return rs
}

// placeProject keeps the tree whole: a parent exists and is enabled while its
// children are.
func placeProject(tx *store.Tx, v, old *weft.Project) error {
	if old == nil {
		return adoptProject(tx, v)
	}
	if !old.Enabled || v.Enabled {
		return nil
	}
	v.Epoch++
	n, err := store.Projects.Count(tx, store.Eq("parent_id", v.ID), store.Eq("enabled", 1))
	if err == nil && n > 0 {
		return forbidden("Cannot disable project " + v.ID + " since its subtree contains enabled projects")
	}
	return err
}

func adoptProject(tx *store.Tx, v *weft.Project) error {
	if _, err := domainOf(tx, v.DomainID); err != nil {
		return err
	}
	if v.ParentID == "" || v.ParentID == v.DomainID {
		v.ParentID = v.DomainID
		return nil
	}
	parent, err := store.Projects.First(tx, store.Eq("id", v.ParentID))
	switch {
	case err != nil:
		return err
	case parent == nil:
		return notFound("project", v.ParentID)
	case parent.DomainID != v.DomainID:
		return badRequest("Cannot create project, since it specifies its domain_id %s, but specifies a parent in a different domain (%s).", v.DomainID, parent.DomainID)
	case !parent.Enabled && v.Enabled:
		return forbidden("cannot create an enabled project under the disabled parent " + parent.ID)
	}
	return depth(tx, parent)
}

// maxDepth bounds the tree, so that walking up it stays cheap.
const maxDepth = 5

func depth(tx *store.Tx, p *weft.Project) error {
	for range maxDepth - 1 {
		if p.ParentID == p.DomainID {
			return nil
		}
		up, err := store.Projects.Get(tx, p.ParentID)
		if err != nil {
			return err
		}
		p = up
	}
	return forbidden("Max hierarchy depth reached for a branch of projects")
}

func removeProject(tx *store.Tx, p *weft.Project) error {
	n, err := store.Projects.Count(tx, store.Eq("parent_id", p.ID))
	if err != nil {
		return err
	}
	if n > 0 {
		return forbidden("Cannot delete the project " + p.ID + " since it is not a leaf in the hierarchy. Use the cascade option if you want to delete a whole subtree")
	}
	preferring, err := store.Users.Find(tx, store.Eq("default_project_id", p.ID))
	for _, u := range preferring {
		if err == nil {
			u.DefaultProjectID = ""
			err = store.Users.Update(tx, u)
		}
	}
	if err != nil {
		return err
	}
	if err := dropCredentials(tx, store.Eq("project_id", p.ID)); err != nil {
		return err
	}
	return dropAssignments(tx, store.Eq("target_id", p.ID), store.Eq("target_type", weft.TargetProject))
}

// dropProjectsOf drops projects from the leaves of the tree up.
func dropProjectsOf(tx *store.Tx, here store.Cond) error {
	leaf := store.Where("NOT EXISTS (SELECT 1 FROM projects c WHERE c.parent_id = t.id)")
	for range maxDepth {
		if err := projects().dropAll(tx, here, leaf); err != nil {
			return err
		}
	}
	return nil
}

// projectConditions is the filters on tags, and on is_domain: domains have a
// collection of their own and no project is one.
func projectConditions(q *request) []store.Cond {
	var where []store.Cond
	if q.flag("is_domain") {
		where = append(where, store.Where("1 = 0"))
	}
	tagged := func(tag string) store.Cond {
		return store.Where("t.id IN (SELECT g.id FROM tags g WHERE g.noun = 'projects' AND g.tag = ?)", tag)
	}
	for _, name := range []string{"tags", "tags-any", "not-tags", "not-tags-any"} {
		if !q.query.Has(name) {
			continue
		}
		var conds []store.Cond
		for tag := range strings.SplitSeq(q.query.Get(name), ",") {
			conds = append(conds, tagged(tag))
		}
		c := join(conds, strings.HasSuffix(name, "-any"))
		if strings.HasPrefix(name, "not-") {
			c.SQL = "NOT (" + c.SQL + ")"
		}
		where = append(where, c)
	}
	return where
}

func join(conds []store.Cond, anyOf bool) store.Cond {
	op := " AND "
	if anyOf {
		op = " OR "
	}
	var texts []string
	var args []any
	for _, c := range conds {
		texts, args = append(texts, c.SQL), append(args, c.Args...)
	}
	return store.Cond{SQL: strings.Join(texts, op), Args: args}
}

func (m router) projects() {
	rs := projects()
	serve(m, rs)
	path := "/v3/projects/{id}/tags"
	m.closed("GET "+path, func(q *request) error {
		p, err := ownProject(q, rs, "list_project_tags")
		if err != nil {
			return err
		}
		return q.reply(http.StatusOK, map[string]any{"tags": p.Tags, "links": map[string]any{
			"self": q.base() + q.r.URL.RequestURI(), "previous": nil, "next": nil}})
	})
	m.closed("GET "+path+"/{tag}", func(q *request) error {
		p, err := ownProject(q, rs, "get_project_tag")
		if err != nil {
			return err
		}
		if tag := q.r.PathValue("tag"); !slices.Contains(p.Tags, tag) {
			return notFound("project tag", tag)
		}
		return q.done()
	})
	m.closed("PUT "+path, func(q *request) error {
		in, err := q.tagList()
		if err != nil {
			return err
		}
		return q.retag("update_project_tags", http.StatusOK, func(p *weft.Project) error {
			return tags(func(p *weft.Project) *weft.List[string] { return &p.Tags }).accept(p, in)
		})
	})
	m.closed("DELETE "+path, func(q *request) error {
		return q.retag("delete_project_tags", http.StatusNoContent, func(p *weft.Project) error { p.Tags = nil; return nil })
	})
	m.closed("PUT "+path+"/{tag}", func(q *request) error {
		return q.retag("create_project_tag", http.StatusCreated, func(p *weft.Project) error { return addTag(p, q.r.PathValue("tag")) })
	})
	m.closed("DELETE "+path+"/{tag}", func(q *request) error {
		return q.retag("delete_project_tag", http.StatusNoContent, func(p *weft.Project) error {
			tag := q.r.PathValue("tag")
			i := slices.Index(p.Tags, tag)
			if i < 0 {
				return notFound("project tag", tag)
			}
			p.Tags = slices.Delete(p.Tags, i, i+1)
			return nil
		})
	})
}

func addTag(p *weft.Project, tag string) error {
	if err := checkTag(tag); err != nil {
		return err
	}
	if !slices.Contains(p.Tags, tag) {
		if len(p.Tags) >= maxTags {
			return invalid("tags", "too many tags")
		}
		p.Tags = append(p.Tags, tag)
		slices.Sort(p.Tags)
	}
	return nil
}

func ownProject(q *request, rs *resource[weft.Project], action string) (*weft.Project, error) {
	p, err := rs.get(q.read(), q.r.PathValue("id"))
	if err := q.mayRead(action, err == nil && rs.mine(q.grant, p)); err != nil {
		return nil, err
	}
	return p, err
}

func (q *request) tagList() (json.RawMessage, error) {
	raw, err := q.rawBody()
	if err != nil {
		return nil, err
	}
	in, err := object(raw, "")
	if err != nil {
		return nil, badRequest("Malformed json in request body")
	}
	if in["tags"] == nil {
		return nil, badRequest("'tags' is a required property")
	}
	return in["tags"], nil
}

// retag changes the tags of a project and answers with them, or with nothing.
func (q *request) retag(action string, status int, change func(*weft.Project) error) error {
	if err := q.mayWrite(action); err != nil {
		return err
	}
	var p *weft.Project
	err := q.update(func(tx *store.Tx) (err error) {
		if p, err = projects().get(tx, q.r.PathValue("id")); err != nil {
			return err
		}
		if err := change(p); err != nil {
			return err
		}
		return store.Projects.Update(tx, p)
	})
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		q.w.WriteHeader(status)
		return nil
	}
	return q.reply(status, map[string]any{"tags": p.Tags, "links": map[string]any{"self": q.url("projects/" + p.ID + "/tags")}})
}
