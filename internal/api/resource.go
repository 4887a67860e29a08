package api

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Request is what a service function gets beside the noun: the attributes that
// the client named, and the accepted values including those that are no fields of
// the noun.
type Request struct {
	Given  weft.Given
	Values map[string]any
}

// Resource is one noun of the API: its names, its table of attributes, and what
// its verbs do. A nil verb is not allowed. Verbs run inside one transaction.
type Resource[T any] struct {
	Singular string // in bodies, policy rules and quotas: "network"
	Plural   string // in bodies: "networks"
	Path     string // in URLs where it differs from Plural: "security-groups"
	Rule     string // in policy rules where it differs from Singular: "floatingip_port_forwarding"
	Within   *Within
	Only     func() store.Cond // which rows of the table are of the resource; nil: all
	Table    *store.Table[T]
	Attrs    []Attr

	// Implements are the extensions whose behaviour comes with the resource; they
	// are announced when it is registered.
	Implements []string

	Create     func(tx *store.Tx, v *T, rq Request) error
	CreateBulk func(tx *store.Tx, vs []*T) error // checks that concern all of a bulk request; called first
	Update     func(tx *store.Tx, old, v *T, rq Request) error
	Delete     func(tx *store.Tx, v *T) error
	Cascade    func(tx *store.Tx, v *T) error // Delete with what depends on it

	Listing func(rq *httpRequest) error              // before a list or show
	Filters map[string]Type                          // filters beyond the attributes with Filter
	Parent  func(tx *store.Tx, v *T) (parent, error) // what it belongs to, for policy
	Using   func(tx *store.Tx, v *T) error           // refuses what a new one may not use; before policy
	Actions map[string]Action[T]                     // /{path}/{id}/{action}
	Below   map[string]Handler                       // what else is at /{path}/{id}/{name}
	ReadAll bool                                     // every caller sees every row

	// Discreet: who may not update what is shared with him is told that it is not
	// there. So does Neutron where a noun does not show that it is shared.
	Discreet bool

	// Veiled: whoever may not see one is told that there is no resource, not which noun
	// there is not. So does Neutron where only policy hides what its database shows.
	Veiled bool

	Unpaged    bool // lists have no pages, whatever limit says
	MarkerMust bool // a page after what does not exist is an error, not the first page
}

// Within places a resource below another, as port forwardings are below their
// floating IP: /floatingips/{id}/port_forwardings. Who cannot see the one above gets
// its 404; the nouns below belong to its project.
type Within struct {
	Path   string // of the resource above
	Column string // names the one above: a column of the table and a member of the noun
	Key    string // the column that names a noun in its path, where that is not its id

	Missing func(above, key string) error // for what is not there; nil: as the table says it

	// Of finds the one above by the id of a noun, for a resource that is reached by
	// a path of its own: nothing can be listed or made there.
	Of func(tx *store.Tx, id string) (above string, err error)
}

// Handler serves what is no usual verb. It gets the segments of the path after the
// one it is registered for.
type Handler func(rq *httpRequest, id string, rest []string) error

// Action is a verb on one noun beyond the usual ones. What it returns is the body
// of the answer: the noun itself is shown as usual, anything else as JSON.
type Action[T any] struct {
	Rule   string                             // the policy rule: "add_router_interface"
	Rules  func(body map[string]any) []string // further ones that what the body names has; nil: none
	Do     func(tx *store.Tx, v *T, body map[string]any) (any, error)
	Method string // "" is PUT; with GET there is no body and nothing may be written
}

// parent is what policy asks of the network or group that a noun belongs to.
type parent struct {
	owner  string // network:tenant_id, security_group:tenant_id
	shared bool   // network:shared: with the caller
}

func (r *Resource[T]) path() string {
	if r.Path != "" {
		return r.Path
	}
	return r.Plural
}

// served is a resource bound to a server, with what is derived from its table.
type served[T any] struct {
	*Resource[T]
	s      *Server
	schema *schema
	strip  map[string]bool // document members that are no visible attributes; nil: none
}

// collection is what the server knows of a resource whatever its noun.
type collection interface {
	names() (singular, plural, path string)
	table() []Attr
	announced() []string
	document(paths, schemas object)
	refer(b *strings.Builder)
	within() *Within
	serve(rq *httpRequest, rest []string) error
	// mayCreate is the refusal of policy to make anything below what the caller
	// cannot see, if it refuses.
	mayCreate(rq *httpRequest, tx *store.Tx) error
	// owner is the project of a noun that the caller may see, or the error that
	// hides it.
	owner(rq *httpRequest, tx *store.Tx, id string) (string, error)
	// sees reports whether there is a noun of this id, and the caller may see it.
	sees(rq *httpRequest, tx *store.Tx, id string) bool
}

// upper is the noun that a nested resource is reached through.
type upper struct{ id, owner string }

func (r *served[T]) names() (string, string, string) { return r.Singular, r.Plural, r.path() }
func (r *served[T]) table() []Attr                   { return r.Attrs }
func (r *served[T]) announced() []string             { return r.Implements }
func (r *served[T]) within() *Within                 { return r.Within }

func (r *served[T]) owner(rq *httpRequest, tx *store.Tx, id string) (string, error) {
	v, err := r.load(rq, tx, id)
	if err != nil {
		return "", err
	}
	return base(v).ProjectID, nil
}

func (r *served[T]) sees(rq *httpRequest, tx *store.Tx, id string) bool {
	v, err := r.Table.Get(tx, id)
	switch {
	case err != nil:
		return false
	case rq.caller.Admin || base(v).ProjectID == rq.caller.ProjectID:
		return true
	case r.Within != nil: // seen by its own project's only
		return false
	}
	_, err = r.load(rq, tx, id)
	return err == nil
}

func (r *served[T]) mayCreate(rq *httpRequest, tx *store.Tx) error {
	return (&judge[T]{r: r, rq: rq, tx: tx, noun: new(T)}).allow("create_" + r.rule())
}

// rule is the name of the resource in policy.
func (r *served[T]) rule() string {
	if r.Rule != "" {
		return r.Rule
	}
	return r.Singular
}

// reach are the conditions on what the caller can get at here: what is visible to
// them, or what is below the noun in the path.
func (r *served[T]) reach(rq *httpRequest) []store.Cond {
	if r.Within != nil {
		where := []store.Cond{store.Eq(r.Within.Column, rq.up.id)}
		if r.Only != nil {
			where = append(where, r.Only())
		}
		return where
	}
	if c := r.Table.VisibleTo(rq.caller); c.SQL != "" && !r.ReadAll && !r.judged(rq) {
		return []store.Cond{c}
	}
	return nil
}

// Register adds a resource to the server.
func Register[T any](s *Server, r *Resource[T]) { s.add(bind(s, r)) }

func bind[T any](s *Server, r *Resource[T]) *served[T] {
	sv := &served[T]{Resource: r, s: s, schema: newSchema(r.Attrs)}
	sv.strip = hiddenMembers(new(T), sv.schema)
	return sv
}

// serve routes /{path}, /{path}/{id} and what is below.
func (r *served[T]) serve(rq *httpRequest, rest []string) error {
	method := rq.r.Method
	if len(rest) > 0 {
		var err error
		if rest, err = r.resolve(rq, rest); err != nil {
			return err
		}
	}
	switch {
	case len(rest) == 0 && method == http.MethodGet:
		return r.list(rq)
	case len(rest) == 0 && method == http.MethodPost && r.Create != nil:
		return r.create(rq)
	case len(rest) == 1 && method == http.MethodGet:
		return r.show(rq, rest[0])
	case len(rest) == 1 && method == http.MethodPut && r.Update != nil:
		return r.update(rq, rest[0])
	case len(rest) == 1 && method == http.MethodDelete && r.Delete != nil:
		return r.delete(rq, rest[0])
	case len(rest) == 0 && (method == http.MethodPut || method == http.MethodDelete):
		return r.Table.Missing("None") // as Neutron has it, which looks for it first
	case len(rest) <= 1:
		return notAllowed()
	case rest[1] == "tags" && r.schema.byName["tags"] != nil:
		return r.tags(rq, rest[0], rest[2:])
	case len(rest) == 2 && r.Actions[rest[1]].Do != nil:
		return r.act(rq, rest[0], rest[1])
	case r.Below[rest[1]] != nil:
		return r.Below[rest[1]](rq, rest[0], rest[2:])
	}
	return notFound()
}

// resolve puts the id of a nested noun in the place of its key in the path.
func (r *served[T]) resolve(rq *httpRequest, path []string) ([]string, error) {
	if r.Within == nil || r.Within.Key == "" && r.Within.Missing == nil {
		return path, nil
	}
	key := r.Within.Key
	if key == "" {
		key = "id"
	}
	v, err := r.Table.First(rq.read(), append(r.reach(rq), store.Eq(key, path[0]))...)
	switch {
	case err != nil:
		return nil, err
	case v != nil:
		return append([]string{base(v).ID}, path[1:]...), nil
	case r.Within.Missing != nil:
		return nil, r.Within.Missing(rq.up.id, path[0])
	}
	return nil, r.Table.Missing(path[0])
}

func (r *served[T]) create(rq *httpRequest) error {
	data, err := rq.readText("create_" + r.rule())
	if err == nil {
		err = rq.body.Bulk()
	}
	if err != nil {
		return err
	}
	body, err := parseBody(data)
	if err != nil {
		return err
	}
	list, bulk, err := objects(body, r.Singular, r.Plural)
	if err != nil {
		return err
	}
	made, requests, err := r.decodeAll(rq, list)
	if err != nil {
		return err
	}
	return rq.idempotent(data, func(tx *store.Tx) ([]byte, error) {
		if err := r.insertAll(rq, tx, made, requests, bulk); err != nil {
			return nil, err
		}
		return r.renderAll(rq, tx, made, bulk)
	})
}

func (r *served[T]) decodeAll(rq *httpRequest, list []map[string]any) ([]*T, []Request, error) {
	made, requests := make([]*T, len(list)), make([]Request, len(list))
	for i, in := range list {
		values, given, err := r.schema.create(in, rq.caller)
		if err != nil {
			return nil, nil, err
		}
		v := new(T)
		if r.Within != nil {
			values[r.Within.Column] = rq.up.id
		}
		if err := overlay(v, values); err != nil {
			return nil, nil, err
		}
		if r.Within != nil {
			base(v).ProjectID = rq.up.owner
		}
		made[i], requests[i] = v, Request{given, values}
	}
	return made, requests, nil
}

func (r *served[T]) insertAll(rq *httpRequest, tx *store.Tx, made []*T, requests []Request, bulk bool) error {
	perProject := map[string]int{}
	for i, v := range made {
		if r.Using != nil {
			if err := r.Using(tx, v); err != nil {
				return err
			}
		}
		if err := r.mayWrite(rq, tx, "create", v, requests[i], nil); err != nil {
			return err
		}
		perProject[base(v).ProjectID]++
	}
	if r.Table.Quota {
		for project, n := range perProject {
			if err := rq.s.Quota.Check(tx, project, r.Singular, n); err != nil {
				return err
			}
		}
	}
	if bulk && r.CreateBulk != nil {
		if err := r.CreateBulk(tx, made); err != nil {
			return err
		}
	}
	for i, v := range made {
		if err := r.Create(tx, v, requests[i]); err != nil {
			return err
		}
	}
	return nil
}

// load gets a noun that the caller may see, or the error that hides it.
func (r *served[T]) load(rq *httpRequest, tx *store.Tx, id string) (*T, error) {
	if where := r.reach(rq); len(where) > 0 {
		n, err := r.Table.Count(tx, append(where, store.Eq("id", id))...)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, r.missing(tx, id)
		}
	}
	v, err := r.Table.Get(tx, id)
	if err != nil || !r.judged(rq) {
		return v, err
	}
	if shown, err := r.admits(rq, tx, v); err != nil || !shown {
		return nil, cmp.Or(err, r.missing(tx, id))
	}
	return v, nil
}

// missing is the error that hides a noun from who may not see it, or says that there
// is none.
func (r *served[T]) missing(tx *store.Tx, id string) error {
	if !r.Veiled {
		return r.Table.Missing(id)
	}
	_, err := r.Table.Get(tx, id)
	return cmp.Or(err, notFound())
}

func (r *served[T]) update(rq *httpRequest, id string) error {
	body, err := rq.readBody("update_" + r.rule())
	if err != nil {
		return err
	}
	if _, ok := body[r.Plural]; ok && body[r.Singular] == nil {
		return badRequest("Bulk operation not supported")
	}
	list, _, err := objects(body, r.Singular, r.Plural)
	if err != nil {
		return err
	}
	if err := checkProject(list[0], rq.caller); err != nil {
		return err
	}
	values, given, err := r.schema.update(list[0])
	if err != nil {
		return err
	}
	var out []byte
	err = rq.update(func(tx *store.Tx) error {
		if out, err = r.change(rq, tx, id, Request{given, values}); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	return rq.write(http.StatusOK, out)
}

func (r *served[T]) change(rq *httpRequest, tx *store.Tx, id string, in Request) ([]byte, error) {
	old, err := r.load(rq, tx, id)
	if err != nil {
		return nil, err
	}
	if err := rq.checkRevision(base(old)); err != nil {
		return nil, err
	}
	v := weft.Clone(old)
	if err := overlay(v, in.Values); err != nil {
		return nil, err
	}
	if err := r.mayWrite(rq, tx, "update", v, in, old); weft.IsKind(err, weft.Forbidden) && r.Discreet {
		return nil, notFound()
	} else if err != nil {
		return nil, err
	}
	if err := r.Update(tx, old, v, in); err != nil {
		return nil, err
	}
	return r.renderAll(rq, tx, []*T{v}, false)
}

func (r *served[T]) act(rq *httpRequest, id, name string) error {
	action := r.Actions[name]
	var body map[string]any
	run := rq.update
	switch {
	case action.Method == http.MethodGet && rq.r.Method == http.MethodGet:
		run = func(fn func(*store.Tx) error) error { return fn(rq.read()) }
	case action.Method == "" && rq.r.Method == http.MethodPut:
		var err error
		if body, err = rq.readBody(action.Rule); err != nil {
			return err
		}
	default:
		return notAllowed()
	}
	var out any
	err := run(func(tx *store.Tx) error {
		v, err := r.load(rq, tx, id)
		if err != nil {
			return err
		}
		if err := (&judge[T]{r: r, rq: rq, tx: tx, noun: v}).allowAll(action.rules(body)); err != nil {
			return err
		}
		if out, err = action.Do(tx, v, body); err != nil {
			return err
		}
		if doc, ok := out.(*T); ok {
			out, err = r.rawRender(rq, tx, doc)
		}
		return err
	})
	if err != nil {
		return err
	}
	if raw, ok := out.(rawBody); ok {
		return rq.write(http.StatusOK, raw)
	}
	writeJSON(rq.w, http.StatusOK, out)
	return nil
}

// rules is the rules of policy that a request has to meet.
func (a Action[T]) rules(body map[string]any) []string {
	if a.Rules == nil {
		return []string{a.Rule}
	}
	return append([]string{a.Rule}, a.Rules(body)...)
}

// rawBody is a body that is already JSON.
type rawBody []byte

func (r *served[T]) rawRender(rq *httpRequest, tx *store.Tx, v *T) (rawBody, error) {
	out, err := r.renderAll(rq, tx, []*T{v}, false)
	return rawBody(out), err
}
