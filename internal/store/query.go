package store

import (
	"database/sql"
	"fmt"
	"strings"

	"github.com/weftnet/weft"
)

// Cond is a condition on the row t; without SQL it admits every row.
type Cond struct {
	SQL  string
	Args []any
}

// Where is a condition in SQL, on columns of the row t.
func Where(sql string, args ...any) Cond { return Cond{sql, args} }

// Eq is the condition that a column has a value.
func Eq(column string, value any) Cond { return Cond{"t." + column + " = ?", []any{value}} }

// In is the condition that a column has one of the values; none if there are none.
func In(column string, values ...any) Cond {
	switch len(values) {
	case 0:
		return Cond{"1 = 0", nil}
	case 1:
		return Eq(column, values[0])
	}
	return Cond{"t." + column + " IN (" + marks(len(values)) + ")", values}
}

// Strings makes arguments of strings.
func Strings[S ~string](values []S) []any {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = string(v)
	}
	return args
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func and(where []Cond, args []any) (string, []any) {
	var parts []string
	for _, c := range where {
		if c.SQL != "" {
			parts = append(parts, "("+c.SQL+")")
			args = append(args, c.Args...)
		}
	}
	if len(parts) == 0 {
		return "", args
	}
	return " WHERE " + strings.Join(parts, " AND "), args
}

// Order is a sort key.
type Order struct {
	Column string
	Desc   bool
}

// Query selects rows for display.
type Query struct {
	Where   []Cond
	Sort    []Order
	Limit   int      // 0: all
	Marker  string   // id of the row to start after, in sort order; needs Limit
	Reverse bool     // the page before the marker; rows still come in forward order
	Compute []string // computed attributes wanted; nil is all, empty is none
	Keep    bool     // the statement is one of few, which come again: keep it prepared
}

// Backward turns the order of a query round, in which the rows then come too.
func (q *Query) Backward() {
	for i := range q.Sort {
		q.Sort[i].Desc = !q.Sort[i].Desc
	}
	q.Sort = append(q.Sort, Order{"id", true})
}

// Row is one noun as it is shown: its document, and the JSON texts of computed
// attributes in the order of Rows' names. The bytes are valid during the call only.
type Row struct {
	Doc   []byte
	Extra [][]byte
}

// ErrMarker is wrapped in the error for a marker that is not a row.
var ErrMarker = fmt.Errorf("marker not found")

// Attributes is the names of the computed attributes that a query yields.
func (t *Table[T]) Attributes(want []string) []string {
	var names []string
	for _, c := range t.computed(want) {
		names = append(names, c.Attr)
	}
	return names
}

func (t *Table[T]) computed(want []string) []Computed {
	if want == nil {
		return t.Computed
	}
	var out []Computed
	for _, c := range t.Computed {
		for _, w := range want {
			if w == c.Attr {
				out = append(out, c)
				break
			}
		}
	}
	return out
}

// Rows calls each for every row that q selects, as one statement. It holds a reader of
// the database meanwhile: each must not wait for anybody, least of all for a client.
func (t *Table[T]) Rows(tx *Tx, q Query, each func(Row) error) error {
	text, args, err := t.compose(tx, q)
	if err != nil {
		return err
	}
	extra := t.computed(q.Compute)
	ask := tx.queryOnce
	if q.Keep {
		ask = tx.Query
	}
	row := Row{Extra: make([][]byte, len(extra))}
	dest := make([]any, 1+len(extra))
	var rawDoc sql.RawBytes
	raws := make([]sql.RawBytes, len(extra))
	dest[0] = &rawDoc
	for i := range extra {
		dest[1+i] = &raws[i]
	}
	return ask(text, args, func(scan func(...any) error) error {
		if err := scan(dest...); err != nil {
			return err
		}
		row.Doc = rawDoc
		for i := range raws {
			row.Extra[i] = extra[i].json(raws[i])
		}
		return each(row)
	})
}

// expression is the SQL of the attribute as it is selected.
func (c *Computed) expression() string {
	if c.Only == "" {
		return c.SQL
	}
	return "CASE WHEN EXISTS (" + c.Only + ") THEN " + c.SQL + " END"
}

// json is what is shown for the text selected; nil is NULL.
func (c *Computed) json(text []byte) []byte {
	switch {
	case text == nil && c.Null != "":
		return []byte(c.Null)
	case c.Render != nil:
		return c.Render(text)
	}
	return text
}

func (t *Table[T]) compose(tx *Tx, q Query) (string, []any, error) {
	var b strings.Builder
	var args []any
	b.WriteString("SELECT t.doc")
	for _, c := range t.computed(q.Compute) {
		b.WriteString(", " + c.expression())
		for range c.Args {
			args = append(args, tx.Caller.ProjectID)
		}
	}
	b.WriteString(" FROM " + t.Name + " t")
	order := append(append([]Order(nil), q.Sort...), Order{Column: "id"})
	where := q.Where
	if q.Marker != "" {
		c, err := t.beyond(tx, q.Marker, order, q.Reverse)
		if err != nil {
			return "", nil, err
		}
		where = append(append([]Cond(nil), where...), c)
	}
	clause, args := and(where, args)
	selected := clause + ordered(order, q)
	if q.Reverse { // the page ends before the marker, and is shown in forward order all the same
		selected = " WHERE t.id IN (SELECT t.id FROM " + t.Name + " t" + selected + ")" + orderBy(order, false)
	}
	b.WriteString(selected)
	return b.String(), args, nil
}

// ordered is the end of a statement: in what order, and how many.
func ordered(order []Order, q Query) string {
	text := ""
	if len(q.Sort) > 0 || q.Limit > 0 {
		text = orderBy(order, q.Reverse)
	}
	if q.Limit > 0 {
		text += fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	return text
}

func orderBy(order []Order, reverse bool) string {
	var b strings.Builder
	for i, o := range order {
		b.WriteString([]string{", ", " ORDER BY "}[btoi(i == 0)] + "t." + o.Column)
		if o.Desc != reverse {
			b.WriteString(" DESC")
		}
	}
	return b.String()
}

// beyond is the condition that a row comes after the marker in the given order.
func (t *Table[T]) beyond(tx *Tx, marker string, order []Order, reverse bool) (Cond, error) {
	cols := make([]string, len(order))
	vals := make([]any, len(order))
	ptrs := make([]any, len(order))
	for i, o := range order {
		cols[i] = o.Column
		ptrs[i] = &vals[i]
	}
	found, err := tx.QueryRow("SELECT "+strings.Join(cols, ", ")+" FROM "+t.Name+" WHERE id = ?", []any{marker}, ptrs...)
	if err != nil {
		return Cond{}, err
	}
	if !found {
		return Cond{}, fmt.Errorf("%w: %w", ErrMarker, t.Missing(marker))
	}
	var c Cond
	for i, o := range order {
		var part strings.Builder
		for j := range i {
			part.WriteString("t." + cols[j] + " = ? AND ")
			c.Args = append(c.Args, vals[j])
		}
		op := ">"
		if o.Desc != reverse {
			op = "<"
		}
		part.WriteString("t." + cols[i] + " " + op + " ?")
		c.Args = append(c.Args, vals[i])
		if i > 0 {
			c.SQL += " OR "
		}
		c.SQL += "(" + part.String() + ")"
	}
	return c, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// VisibleTo is the condition that the caller may see a row; SQL is empty for
// callers who see all.
func (t *Table[T]) VisibleTo(c *weft.Caller) Cond {
	switch {
	case c.Admin || c.Advsvc:
		return Cond{}
	case c.ProjectID == "": // or rows that belong to nobody would be everybody's
		return Where("1 = 0")
	case t.Visible != nil:
		return t.Visible(c)
	default:
		return Eq("project_id", c.ProjectID)
	}
}

// FilterOn is the condition for a filter on an attribute, and whether the table
// can filter on it at all.
func (t *Table[T]) FilterOn(c *weft.Caller, attr string, values []any) (Cond, bool) {
	if f := t.Filters[attr]; f != nil {
		return f(c, values), true
	}
	col, ok := t.Column(attr)
	if !ok {
		return Cond{}, false
	}
	return In(col, values...), true
}

// Column is the column that indexes an attribute.
func (t *Table[T]) Column(attr string) (string, bool) {
	switch attr {
	case "id", "project_id":
		return attr, true
	case "tenant_id":
		return "project_id", true
	case "revision_number":
		return "revision", true
	}
	for _, c := range t.Columns {
		if c.Attr == attr || c.Attr == "" && c.Name == attr {
			return c.Name, true
		}
	}
	return "", false
}
