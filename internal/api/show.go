package api

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func base(v any) *weft.Meta { return v.(interface{ Base() *weft.Meta }).Base() }

// hiddenMembers are the members of a noun's document that are no visible
// attributes, or nil.
func hiddenMembers(v any, s *schema) map[string]bool {
	var hidden map[string]bool
	for _, name := range members(reflect.TypeOf(v)) {
		if a := s.byName[name]; a == nil || a.Hidden {
			if hidden == nil {
				hidden = map[string]bool{}
			}
			hidden[name] = true
		}
	}
	return hidden
}

// members are the names of a struct type in JSON, those of embedded structs
// included.
func members(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var names []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			names = append(names, members(f.Type)...)
		case name != "" && name != "-":
			names = append(names, name)
		}
	}
	return names
}

func (r *served[T]) show(rq *httpRequest, id string) error {
	if err := r.prepare(rq); err != nil {
		return err
	}
	if err := r.checkParams(rq); err != nil {
		return err
	}
	q := store.Query{Where: append(r.reach(rq), store.Eq("id", id)), Compute: r.wanted(rq)}
	q.Keep = q.Compute == nil
	tx := rq.read()
	out := append(make([]byte, 0, 2048), `{"`+r.Singular+`":`...)
	found := false
	names := r.Table.Attributes(q.Compute)
	err := r.Table.Rows(tx, q, func(row store.Row) error {
		var err error
		if found, err = r.admitsRow(rq, tx, row.Doc); err != nil || !found {
			return err
		}
		v, err := r.viewOf(rq, row.Doc)
		if err != nil {
			return err
		}
		out = v.appendDoc(out, row.Doc, names, row.Extra)
		return nil
	})
	if err != nil {
		return err
	}
	if !found {
		return r.missing(tx, id)
	}
	return rq.write(http.StatusOK, append(out, '}'))
}

// checkParams refuses what a list refuses: one noun is shown regardless of filters,
// but not of wrong ones.
func (r *served[T]) checkParams(rq *httpRequest) error {
	if rq.r.URL.RawQuery == "" {
		return nil
	}
	q, err := r.query(rq)
	if err != nil {
		return err
	}
	if _, err := r.page(rq, &q); err != nil {
		return err
	}
	return r.sorting(rq, &q)
}

func (r *served[T]) prepare(rq *httpRequest) error {
	if r.Listing == nil {
		return nil
	}
	return r.Listing(rq)
}

// wanted is the computed attributes to select: all, or those among the fields
// asked for.
func (r *served[T]) wanted(rq *httpRequest) []string {
	fields := rq.query()["fields"]
	if len(fields) == 0 {
		return nil
	}
	return append([]string{}, fields...)
}

// viewOf is how rows are shown to the caller. Attribute rules are evaluated
// against one row and hold for its whole list, as in Neutron.
func (r *served[T]) viewOf(rq *httpRequest, doc []byte) (*view, error) {
	v := &view{hide: r.strip}
	if fields := rq.query()["fields"]; len(fields) > 0 {
		v.fields = make(map[string]bool, len(fields))
		for _, f := range fields {
			v.fields[f] = true
		}
	}
	hidden, err := r.hiddenFrom(rq, doc)
	if err != nil || len(hidden) == 0 {
		return v, err
	}
	hide := make(map[string]bool, len(r.strip)+len(hidden))
	for name := range r.strip {
		hide[name] = true
	}
	for _, name := range hidden {
		hide[name] = true
	}
	v.hide = hide
	return v, nil
}

// renderAll is the body that shows nouns just written.
func (r *served[T]) renderAll(rq *httpRequest, tx *store.Tx, made []*T, bulk bool) ([]byte, error) {
	out := make([]byte, 0, 2048*len(made))
	if bulk {
		out = append(out, `{"`+r.Plural+`":[`...)
	} else {
		out = append(out, `{"`+r.Singular+`":`...)
	}
	for i, v := range made {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = r.appendNoun(rq, tx, out, v); err != nil {
			return nil, err
		}
	}
	if bulk {
		out = append(out, ']')
	}
	return append(out, '}'), nil
}

func (r *served[T]) appendNoun(rq *httpRequest, tx *store.Tx, out []byte, v *T) ([]byte, error) {
	if len(r.Table.Computed) == 0 {
		doc, err := store.Encode(v)
		if err != nil {
			return nil, err
		}
		vw, err := r.viewOf(rq, doc)
		if err != nil {
			return nil, err
		}
		return vw.appendDoc(out, doc, nil, nil), nil
	}
	names := r.Table.Attributes(nil)
	err := r.Table.Rows(tx, store.Query{Where: []store.Cond{store.Eq("id", base(v).ID)}, Keep: true}, func(row store.Row) error {
		doc := append([]byte(nil), row.Doc...)
		vw, err := r.viewOf(rq, doc)
		if err != nil {
			return err
		}
		out = vw.appendDoc(out, doc, names, row.Extra)
		return nil
	})
	return out, err
}
