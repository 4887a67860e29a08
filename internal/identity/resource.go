package identity

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// resource is what is particular to one noun; the verbs are common to all.
type resource[T any] struct {
	table    *store.Table[T]
	singular string
	plural   string
	fields   []field[T]
	extra    func(*T) *weft.Extra // where attributes go that are not fields
	filters  []string             // attributes that lists can be filtered by
	flags    []string             // those of them that are true or false
	public   bool                 // everybody with a token may see all

	fresh  func(q *request) *T                                                                          // a noun with its defaults
	before func(q *request, in map[string]json.RawMessage) (after func(*store.Tx, *T) error, err error) // what must not be done inside the transaction
	check  func(tx *store.Tx, v, old *T, in map[string]json.RawMessage) error                           // against other rows; old is nil when creating
	remove func(tx *store.Tx, v *T) error                                                               // refuses, or removes what belongs to v
	mine   func(g *grant, v *T) bool                                                                    // who may see it without being admin
	where  func(q *request) []store.Cond                                                                // for lists, beside the filters
}

func id[T any](v *T) string { return base(v).ID }

func base[T any](v *T) *weft.Meta { return any(v).(interface{ Base() *weft.Meta }).Base() }

// serve registers the five verbs.
func serve[T any](m router, rs *resource[T]) {
	path := "/v3/" + rs.plural
	m.closed("GET "+path, rs.list)
	m.closed("POST "+path, rs.create)
	m.closed("GET "+path+"/{id}", rs.show)
	m.closed("PATCH "+path+"/{id}", rs.update)
	m.closed("DELETE "+path+"/{id}", rs.delete)
}

// render is a noun as clients see it.
func (rs *resource[T]) render(q *request, v *T) map[string]any {
	out := map[string]any{}
	for k, raw := range *rs.extra(v) {
		out[k] = raw
	}
	for _, f := range rs.fields {
		if f.get != nil {
			out[f.name] = f.get(v)
		}
	}
	out["id"] = id(v)
	out["links"] = map[string]any{"self": q.url(rs.plural + "/" + id(v))}
	return out
}

func (rs *resource[T]) renderAll(q *request, list []*T) []any {
	out := make([]any, 0, len(list))
	for _, v := range list {
		out = append(out, rs.render(q, v))
	}
	return out
}

// find selects nouns for a list.
func (rs *resource[T]) find(tx *store.Tx, where ...store.Cond) ([]*T, error) {
	list := []*T{}
	order := []store.Order(nil)
	if _, ok := rs.table.Column("name"); ok {
		order = []store.Order{{Column: "name"}}
	}
	err := rs.table.Rows(tx, store.Query{Where: where, Sort: order}, func(row store.Row) error {
		v := new(T)
		list = append(list, v)
		return json.Unmarshal(row.Doc, v)
	})
	return list, err
}

func (rs *resource[T]) list(q *request) error {
	if err := q.mayRead("list_"+rs.plural, rs.public); err != nil {
		return err
	}
	where := rs.filtered(q)
	if rs.where != nil {
		where = append(where, rs.where(q)...)
	}
	list, err := rs.find(q.read(), where...)
	if err != nil {
		return err
	}
	return q.replyList(rs.plural, rs.renderAll(q, list))
}

// filtered is the conditions that the query names.
func (rs *resource[T]) filtered(q *request) []store.Cond {
	var where []store.Cond
	for _, attr := range rs.filters {
		if !q.query.Has(attr) {
			continue
		}
		var value any = q.query.Get(attr)
		if slices.Contains(rs.flags, attr) {
			value = 0
			if truth(q.query.Get(attr)) {
				value = 1
			}
		}
		c, _ := rs.table.FilterOn(q.caller(), attr, []any{value})
		where = append(where, c)
	}
	return where
}

// get loads a noun; the error is Keystone's.
func (rs *resource[T]) get(tx *store.Tx, id string) (*T, error) {
	v, err := rs.table.Get(tx, id)
	if weft.IsKind(err, weft.NotFound) {
		return nil, notFound(rs.singular, id)
	}
	return v, err
}

func (rs *resource[T]) show(q *request) error {
	v, err := rs.get(q.read(), q.r.PathValue("id"))
	mine := err == nil && rs.mine != nil && rs.mine(q.grant, v)
	// Who may not see it must not learn whether it exists.
	if err := q.mayRead("get_"+rs.singular, rs.public || mine); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	return q.reply(http.StatusOK, map[string]any{rs.singular: rs.render(q, v)})
}

func (rs *resource[T]) create(q *request) error {
	if err := q.mayWrite("create_" + rs.singular); err != nil {
		return err
	}
	in, err := q.body(rs.singular)
	if err != nil {
		return err
	}
	v := rs.fresh(q)
	if err := rs.decode(v, in, true); err != nil {
		return err
	}
	if base(v).ID == "" {
		base(v).ID = newID()
	}
	after, err := rs.prepare(q, in)
	if err != nil {
		return err
	}
	err = q.update(func(tx *store.Tx) error {
		if err := rs.check(tx, v, nil, in); err != nil {
			return err
		}
		if err := rs.table.Insert(tx, v); err != nil {
			return err
		}
		return after(tx, v)
	})
	if err != nil {
		return err
	}
	return q.reply(http.StatusCreated, map[string]any{rs.singular: rs.render(q, v)})
}

func (rs *resource[T]) prepare(q *request, in map[string]json.RawMessage) (func(*store.Tx, *T) error, error) {
	if rs.before != nil {
		return rs.before(q, in)
	}
	return func(*store.Tx, *T) error { return nil }, nil
}

func (rs *resource[T]) update(q *request) error {
	if err := q.mayWrite("update_" + rs.singular); err != nil {
		return err
	}
	in, err := q.body(rs.singular)
	if err != nil {
		return err
	}
	after, err := rs.prepare(q, in)
	if err != nil {
		return err
	}
	var v *T
	err = q.update(func(tx *store.Tx) error {
		v, err = rs.change(tx, q.r.PathValue("id"), in)
		if err != nil {
			return err
		}
		return after(tx, v)
	})
	if err != nil {
		return err
	}
	return q.reply(http.StatusOK, map[string]any{rs.singular: rs.render(q, v)})
}

func (rs *resource[T]) change(tx *store.Tx, id string, in map[string]json.RawMessage) (*T, error) {
	old, err := rs.get(tx, id)
	if err != nil {
		return nil, err
	}
	v, err := rs.get(tx, id)
	if err != nil {
		return nil, err
	}
	if err := rs.decode(v, in, false); err != nil {
		return nil, err
	}
	for _, f := range rs.fields {
		if f.fixed && f.get(v) != f.get(old) {
			return nil, badRequest("Cannot change %s.", f.name)
		}
	}
	if err := rs.check(tx, v, old, in); err != nil {
		return nil, err
	}
	return v, rs.table.Update(tx, v)
}

func (rs *resource[T]) delete(q *request) error {
	if err := q.mayWrite("delete_" + rs.singular); err != nil {
		return err
	}
	err := q.update(func(tx *store.Tx) error {
		v, err := rs.get(tx, q.r.PathValue("id"))
		if err != nil {
			return err
		}
		return rs.drop(tx, v)
	})
	if err != nil {
		return err
	}
	return q.done()
}

// drop deletes a noun that this transaction has loaded, with what belongs to it.
func (rs *resource[T]) drop(tx *store.Tx, v *T) error {
	if rs.remove != nil {
		if err := rs.remove(tx, v); err != nil {
			return err
		}
	}
	return rs.table.Delete(tx, v)
}

// dropAll drops what meets the conditions.
func (rs *resource[T]) dropAll(tx *store.Tx, where ...store.Cond) error {
	list, err := rs.table.Find(tx, where...)
	for _, v := range list {
		if err == nil {
			err = rs.drop(tx, v)
		}
	}
	return err
}

// decode takes what a client gives into v. What is no field is kept as it is.
func (rs *resource[T]) decode(v *T, in map[string]json.RawMessage, creating bool) error {
	rest := map[string]json.RawMessage{}
	for k, raw := range in {
		switch {
		case k == "id" || k == "links":
		case !storable(k):
			return badRequest("The name of an attribute is not valid text.")
		default:
			rest[k] = raw
		}
	}
	for _, f := range rs.fields {
		raw, given := in[f.name]
		delete(rest, f.name)
		if !given {
			if f.required && creating {
				return badRequest("'%s' is a required property", f.name)
			}
			continue
		}
		if f.set != nil {
			if err := f.accept(v, raw); err != nil {
				return err
			}
		}
	}
	*rs.extra(v) = merge(*rs.extra(v), rest)
	return nil
}

// unique refuses v if another row meets the conditions.
func (rs *resource[T]) unique(tx *store.Tx, v *T, found string, where ...store.Cond) error {
	other, err := rs.table.First(tx, append(where, store.Where("t.id <> ?", id(v)))...)
	if err != nil {
		return err
	}
	if other != nil {
		return conflict(rs.singular, "Duplicate entry found with "+found)
	}
	return nil
}

// uniqueName refuses a second noun of a name in a domain.
func (rs *resource[T]) uniqueName(tx *store.Tx, v *T, name, domainID string) error {
	return rs.unique(tx, v, "name "+name+" at domain ID "+domainID, store.Eq("domain_id", domainID), store.Eq("name", name))
}

// mayWrite refuses all but administrators.
func (q *request) mayWrite(action string) error {
	if q.grant.caller.HasRole(weft.RoleAdmin) {
		return nil
	}
	return forbidden("identity:" + action)
}

// mayRead refuses all but administrators, who may read the whole system, and those
// whose own it is.
func (q *request) mayRead(action string, own bool) error {
	c := &q.grant.caller
	if own || c.HasRole(weft.RoleAdmin) || c.System && c.HasRole(weft.RoleReader) {
		return nil
	}
	return forbidden("identity:" + action)
}
