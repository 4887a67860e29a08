package api

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// reserved are the query parameters that are no filters.
var reserved = map[string]bool{"fields": true, "limit": true, "marker": true, "page_reverse": true, "sort_key": true, "sort_dir": true,
	"tags": true, "tags-any": true, "not-tags": true, "not-tags-any": true}

func (r *served[T]) list(rq *httpRequest) error {
	if err := r.prepare(rq); err != nil {
		return err
	}
	q, err := r.query(rq)
	if err != nil {
		return err
	}
	p, err := r.page(rq, &q)
	if err != nil {
		return err
	}
	if err := r.sorting(rq, &q); err != nil {
		return err
	}
	if p.backward {
		q.Backward()
	}
	if err := r.mark(rq, &q); err != nil {
		return err
	}
	return r.answer(rq, q, p)
}

// query turns the filters and sort keys of a request into a query.
func (r *served[T]) query(rq *httpRequest) (store.Query, error) {
	params := rq.query()
	q := store.Query{Compute: r.wanted(rq), Where: r.reach(rq)}
	if err := r.filters(rq, &q); err != nil {
		return q, err
	}
	if tags := r.tagFilters(params); len(tags) > 0 {
		q.Where = append(append(q.Where, tags...), r.tellable(rq, "tags"))
	}
	return q, nil
}

// filters are the conditions of the parameters, in the order of the request, in
// which an error names them too.
func (r *served[T]) filters(rq *httpRequest, q *store.Query) error {
	c, params := rq.caller, rq.query()
	var bad []string
	for _, name := range rq.paramNames() {
		values := params[name]
		if reserved[name] {
			continue
		}
		t, ok := r.Filters[name]
		if a := r.schema.byName[name]; !ok && a != nil && a.Filter {
			t, ok = a.Type, true
		}
		if !ok {
			bad = append(bad, "'"+name+"'")
			continue
		}
		args, err := filterValues(t, values)
		if err != nil {
			return err
		}
		cond, ok := r.Table.FilterOn(c, name, args)
		if !ok {
			bad = append(bad, "'"+name+"'")
			continue
		}
		q.Where = append(q.Where, cond, r.tellable(rq, name))
	}
	if len(bad) > 0 {
		return badRequest("[%s] is invalid attribute for filtering", strings.Join(bad, ", "))
	}
	return nil
}

// filterValues converts the texts of a filter to what the column holds, leaving out
// what it cannot hold.
func filterValues(t Type, values []string) ([]any, error) {
	args := make([]any, 0, len(values))
	for _, s := range values {
		var v any = s
		if t.Convert != nil && t.Name != "object" && !strings.HasPrefix(t.Name, "list") {
			var err error
			if v, err = t.Convert(s); err != nil {
				return nil, err
			}
		}
		switch x := v.(type) {
		case bool:
			v = map[bool]int{true: 1}[x]
		case string:
			if t.Name == "integer" {
				continue
			}
		case int64:
			if int64(int32(x)) != x { // no column holds it, and PostgreSQL says so with an error
				continue
			}
		}
		args = append(args, v)
	}
	return args, nil
}

func (r *served[T]) tagFilters(params url.Values) []store.Cond {
	var out []store.Cond
	split := func(name string) []any {
		var tags []any
		for _, v := range params[name] {
			for _, t := range strings.Split(v, ",") {
				tags = append(tags, t)
			}
		}
		slices.SortFunc(tags, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		return slices.Compact(tags)
	}
	has := func(tags []any) store.Cond {
		c := store.In("tag", tags...)
		return store.Where("t.id IN (SELECT t.id FROM tags t WHERE t.noun = '"+r.Table.Name+"' AND "+c.SQL+")", c.Args...)
	}
	not := func(c store.Cond) store.Cond { return store.Where("NOT ("+c.SQL+")", c.Args...) }
	all := func(tags []any) store.Cond {
		c := store.In("tag", tags...)
		return store.Where("t.id IN (SELECT t.id FROM tags t WHERE t.noun = '"+r.Table.Name+"' AND "+c.SQL+" GROUP BY t.id HAVING COUNT(*) = ?)",
			append(c.Args, len(tags))...)
	}
	if tags := split("tags"); len(tags) > 0 {
		out = append(out, all(tags))
	}
	if tags := split("tags-any"); len(tags) > 0 {
		out = append(out, has(tags))
	}
	if tags := split("not-tags"); len(tags) > 0 {
		out = append(out, not(all(tags)))
	}
	if tags := split("not-tags-any"); len(tags) > 0 {
		out = append(out, not(has(tags)))
	}
	return out
}

// sorting reads the sort keys. Each has a direction; empty ones are none, and so are
// attributes that the caller may not see of every row.
func (r *served[T]) sorting(rq *httpRequest, q *store.Query) error {
	params := rq.query()
	keys, dirs := nonEmpty(params["sort_key"]), nonEmpty(params["sort_dir"])
	if len(keys) != len(dirs) {
		return badRequest("The number of sort_keys and sort_dirs must be same")
	}
	columns := make([]string, len(keys))
	if bad := rejected(keys, func(i int, key string) bool {
		a := r.schema.byName[key]
		var ok bool
		columns[i], ok = r.Table.Column(key)
		return a != nil && a.Sort && ok
	}); bad != "" {
		return badRequest("[%s] is invalid attribute for sort_keys", bad)
	}
	if bad := rejected(dirs, func(_ int, d string) bool { return d == "asc" || d == "desc" }); bad != "" {
		return badRequest("[%s] is invalid value for sort_dirs, valid value is 'asc' and 'desc'", bad)
	}
	for i, col := range columns {
		if r.tellable(rq, keys[i]).SQL != "" {
			continue
		}
		if !slices.Contains(columns[:i], col) { // of a key given twice the first counts
			q.Sort = append(q.Sort, store.Order{Column: col, Desc: dirs[i] == "desc"})
		}
	}
	return nil
}

func nonEmpty(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
}

// rejected is a list, as Python writes it, of what is not good.
func rejected(list []string, good func(int, string) bool) string {
	var bad []string
	for i, s := range list {
		if !good(i, s) {
			bad = append(bad, "'"+s+"'")
		}
	}
	return strings.Join(bad, ", ")
}

// page is the state of a paginated list.
type page struct {
	limit       int
	reverse     bool
	backward    bool // not a page but the whole list, from its end
	n           int
	first, last string
}

func (p *page) saw(id string) {
	if p.n == 0 {
		p.first = id
	}
	p.last = id
	p.n++
}

// page is the page that the client asks for. Of a parameter given twice the last
// counts.
func (rq *httpRequest) page() (*page, error) {
	p := &page{}
	if s, ok := rq.last("limit"); ok {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil, weft.Errorf(weft.BadRequest, "BadRequest", "Bad limit request: Limit must be an integer 0 or greater and not '%s'.", s)
		}
		p.limit = n
	}
	if top := rq.s.MaxLimit; top > 0 && (p.limit == 0 || p.limit > top) {
		p.limit = top
	}
	reverse, _ := rq.last("page_reverse")
	p.reverse = p.limit > 0 && strings.EqualFold(reverse, "true")
	p.backward = p.limit == 0 && strings.EqualFold(reverse, "true")
	return p, nil
}

// page puts the page into a query, but for where it begins.
func (r *served[T]) page(rq *httpRequest, q *store.Query) (*page, error) {
	if r.Unpaged {
		return &page{}, nil
	}
	p, err := rq.page()
	if err != nil {
		return nil, err
	}
	q.Limit, q.Reverse = p.limit, p.reverse
	return p, nil
}

// mark finds the row after which a page begins. One that is gone, or of somebody
// else, is an error for some resources and none for others, as in Neutron.
func (r *served[T]) mark(rq *httpRequest, q *store.Query) error {
	if q.Limit == 0 {
		return nil
	}
	q.Marker, _ = rq.last("marker")
	if q.Marker == "" {
		return nil
	}
	_, err := r.load(rq, rq.read(), q.Marker)
	if weft.IsKind(err, weft.NotFound) && !r.MarkerMust {
		q.Marker, err = "", nil
	}
	return err
}

// links are the links to the neighbouring pages, as Neutron has them: "next" is
// left out only after a short forward page, "previous" only after a short reverse
// one.
func (p *page) links(rq *httpRequest) string {
	var parts []string
	link := func(rel, marker string, reverse bool) {
		v := url.Values{}
		for k, x := range rq.query() {
			if k != "marker" && k != "page_reverse" {
				v[k] = x
			}
		}
		if marker != "" {
			v.Set("marker", marker)
		}
		if reverse {
			v.Set("page_reverse", "True")
		}
		href, _ := store.Encode(rq.base() + rq.r.URL.Path + "?" + v.Encode())
		parts = append(parts, `{"rel":"`+rel+`","href":`+string(href)+`}`)
	}
	if p.reverse || p.n >= p.limit {
		link("next", p.last, false)
	}
	if !p.reverse || p.n >= p.limit {
		link("previous", p.first, true)
	}
	return "[" + strings.Join(parts, ",") + "]"
}
