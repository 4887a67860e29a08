package identity

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// catalogEntry is a service as tokens show it.
type catalogEntry struct {
	ID        string            `json:"id"`
	Type      string            `json:"type"`
	Name      string            `json:"name"`
	Endpoints []catalogEndpoint `json:"endpoints"`
}

type catalogEndpoint struct {
	ID        string  `json:"id"`
	Interface string  `json:"interface"`
	RegionID  weft.ID `json:"region_id"`
	Region    weft.ID `json:"region"`
	URL       string  `json:"url"`
}

// loadCatalogue is the enabled services with the endpoints that can be reached
// from a scope.
func loadCatalogue(tx *store.Tx, sc scope) ([]catalogEntry, error) {
	services, err := store.Services.Find(tx, store.Eq("enabled", 1))
	if err != nil {
		return nil, err
	}
	endpoints, err := store.Endpoints.Find(tx, store.Eq("enabled", 1))
	if err != nil {
		return nil, err
	}
	byService := map[string][]catalogEndpoint{}
	for _, e := range endpoints {
		if u, ok := expand(e.URL, sc); ok {
			byService[e.ServiceID] = append(byService[e.ServiceID], catalogEndpoint{e.ID, e.Interface, e.RegionID, e.RegionID, u})
		}
	}
	list := make([]catalogEntry, 0, len(services))
	for _, s := range services {
		entry := catalogEntry{s.ID, s.Type, s.Name, byService[s.ID]}
		if entry.Endpoints == nil {
			entry.Endpoints = []catalogEndpoint{}
		}
		list = append(list, entry)
	}
	return list, nil
}

// expand fills the project into an endpoint's URL; without a project it cannot.
func expand(u string, sc scope) (string, bool) {
	project := ""
	if sc.kind == weft.TargetProject {
		project = sc.id
	}
	filled := strings.NewReplacer("%(project_id)s", project, "$(project_id)s", project,
		"%(tenant_id)s", project, "$(tenant_id)s", project).Replace(u)
	return filled, project != "" || filled == u
}

func (q *request) showCatalogue() error {
	if q.grant.scope.kind == "" {
		return forbidden("identity:get_auth_catalog")
	}
	list, err := loadCatalogue(q.read(), q.grant.scope)
	if err != nil {
		return err
	}
	return q.replyList("catalog", list)
}

func regions() *resource[weft.Region] {
	type T = weft.Region
	rs := &resource[T]{
		table: store.Regions, singular: "region", plural: "regions", public: true,
		fields: []field[T]{
			name("id", 255, func(r *T) *string { return &r.ID }).fix(),
			note("description", func(r *T) *string { return &r.Description }),
			ref("parent_region_id", func(r *T) *weft.ID { return &r.ParentID }),
		},
		extra:   func(r *T) *weft.Extra { return &r.Extra },
		filters: []string{"parent_region_id"},
		fresh:   func(*request) *T { return new(T) },
	}
	rs.check = func(tx *store.Tx, v, old *T, _ map[string]json.RawMessage) error {
		if v.ParentID != "" {
			if string(v.ParentID) == v.ID {
				return badRequest("A region cannot be its own parent.")
			}
			if _, err := rs.get(tx, string(v.ParentID)); err != nil {
				return err
			}
		}
		if old != nil {
			return nil
		}
		n, err := store.Regions.Count(tx, store.Eq("id", v.ID))
		if err == nil && n > 0 {
			err = conflict("region", "Duplicate ID, "+v.ID)
		}
		return err
	}
	rs.remove = func(tx *store.Tx, v *T) error {
		n, err := store.Endpoints.Count(tx, store.Eq("region_id", v.ID))
		if err != nil {
			return err
		}
		below, err := store.Regions.Count(tx, store.Eq("parent_region_id", v.ID))
		if err == nil && n+below > 0 {
			err = forbidden("Unable to delete region " + v.ID + " because it or its child regions have associated endpoints")
		}
		return err
	}
	return rs
}

func services() *resource[weft.Service] {
	type T = weft.Service
	return &resource[T]{
		table: store.Services, singular: "service", plural: "services",
		fields: []field[T]{
			name("type", 255, func(s *T) *string { return &s.Type }).require(),
			note("name", func(s *T) *string { return &s.Name }),
			note("description", func(s *T) *string { return &s.Description }),
			flag("enabled", func(s *T) *bool { return &s.Enabled }),
		},
		extra:   func(s *T) *weft.Extra { return &s.Extra },
		filters: []string{"name", "type"},
		fresh:   func(*request) *T { return &T{Enabled: true} },
		check:   func(*store.Tx, *T, *T, map[string]json.RawMessage) error { return nil },
		remove: func(tx *store.Tx, s *T) error {
			return endpoints().dropAll(tx, store.Eq("service_id", s.ID))
		},
	}
}

func endpoints() *resource[weft.Endpoint] {
	type T = weft.Endpoint
	region := func(e *T) *weft.ID { return &e.RegionID }
	return &resource[T]{
		table: store.Endpoints, singular: "endpoint", plural: "endpoints",
		fields: []field[T]{
			name("service_id", 64, func(e *T) *string { return &e.ServiceID }).require(),
			{name: "interface", required: true, get: func(e *T) any { return e.Interface }, set: func(e *T, raw json.RawMessage) (err error) {
				e.Interface, err = text("interface", raw)
				if err == nil && e.Interface != "public" && e.Interface != "internal" && e.Interface != "admin" {
					err = invalid("interface", "%s is not one of ['admin', 'internal', 'public']", repr(raw))
				}
				return err
			}},
			ref("region", region), // the old name, which clients still send and read
			ref("region_id", region),
			{name: "url", required: true, get: func(e *T) any { return e.URL }, set: setURL},
			flag("enabled", func(e *T) *bool { return &e.Enabled }),
		},
		extra:   func(e *T) *weft.Extra { return &e.Extra },
		filters: []string{"service_id", "interface", "region_id"},
		fresh:   func(*request) *T { return &T{Enabled: true} },
		check:   checkEndpoint,
	}
}

func setURL(e *weft.Endpoint, raw json.RawMessage) error {
	s, err := text("url", raw)
	if err != nil {
		return err
	}
	plain, _ := expand(s, scope{weft.TargetProject, "p"})
	if u, err := url.Parse(plain); err != nil || u.Scheme == "" || len(s) > 2048 {
		return invalid("url", "%s is not a 'uri'", repr(raw))
	}
	e.URL = s
	return nil
}

// checkEndpoint makes the region if there is none, as Keystone does.
func checkEndpoint(tx *store.Tx, v, _ *weft.Endpoint, _ map[string]json.RawMessage) error {
	if _, err := services().get(tx, v.ServiceID); err != nil {
		return err
	}
	if v.RegionID == "" {
		return nil
	}
	return ensureRegion(tx, string(v.RegionID))
}

func ensureRegion(tx *store.Tx, id string) error {
	if len(id) > 255 {
		return invalid("region_id", "the id is too long")
	}
	n, err := store.Regions.Count(tx, store.Eq("id", id))
	if err != nil || n > 0 {
		return err
	}
	r := new(weft.Region)
	r.ID = id
	return store.Regions.Insert(tx, r)
}

func (m router) catalogue() {
	serve(m, regions())
	m.closed("PUT /v3/regions/{id}", putRegion)
	serve(m, services())
	serve(m, endpoints())
}

// putRegion creates a region of the id in the path.
func putRegion(q *request) error {
	id, rs := q.r.PathValue("id"), regions()
	rs.fresh = func(*request) *weft.Region {
		r := new(weft.Region)
		r.ID = id
		return r
	}
	check := rs.check
	rs.check = func(tx *store.Tx, v, old *weft.Region, in map[string]json.RawMessage) error {
		if v.ID != id {
			return badRequest("The region ID %s in the body is not that of the path, %s.", v.ID, id)
		}
		return check(tx, v, old, in)
	}
	return rs.create(q)
}
