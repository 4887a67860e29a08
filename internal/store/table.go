package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
)

// Table keeps the nouns of type T. The zero value of the optional fields is the
// common case.
type Table[T any] struct {
	Name     string // of the SQL table and of the noun in the change log: "ports"
	Noun     string // as quotas and errors name it: "port"
	NotFound string // Neutron's error type: "PortNotFound"
	Label    string // how the message begins: "Port"; "" is NotFound without its ending
	Ending   string // how the message ends; "" is " could not be found."
	Quote    string // around the id in it

	Columns  []Column[T]
	Computed []Computed
	Filters  map[string]Filter       // attributes filtered other than by a column of their name
	Visible  func(*weft.Caller) Cond // who but an admin sees a row; nil: its project

	Index func(tx *Tx, old, new *T) error // keeps side tables; old is nil on insert, new on delete
	Quota bool                            // count rows by project in quota_usage

	FromZero bool // the first revision is 0, as of some nouns in Neutron, and not 1

	sql statements
}

// Column is a column derived from the noun. Name is both the column and the
// attribute it indexes.
type Column[T any] struct {
	Name  string
	Attr  string // the attribute, where it is not spelled as the column
	Value func(*T) any
}

// Computed is an attribute whose JSON text comes from SQL over the row t. One ?
// in the expression stands for the caller's project.
type Computed struct {
	Attr   string
	SQL    string
	Args   int                 // how many ? it has
	Render func([]byte) []byte // from the text selected to the JSON shown; nil: as it is
	Null   string              // the JSON shown where the SQL is NULL; "": what Render makes of it, or the row does not have the attribute

	// Only is a query without parameters that has rows if the SQL can be other than
	// NULL for any row. It is asked once a statement, so that what nobody uses costs
	// a list nothing per row.
	Only string
}

// Filter turns the values of a filter into a condition; an empty result of SQL
// means that nothing matches.
type Filter func(c *weft.Caller, values []any) Cond

// statements are a table's fixed SQL texts, made once.
type statements struct{ insert, update, delete, get string }

// Ready makes the table's statements. Call it once, where the table is declared.
func (t Table[T]) Ready() *Table[T] {
	names, marks, sets := []string{"id", "project_id", "revision", "doc"}, "?, ?, ?, ?", []string{"revision = ?", "doc = ?"}
	for _, c := range t.Columns {
		names = append(names, c.Name)
		sets = append(sets, c.Name+" = ?")
		marks += ", ?"
	}
	t.sql = statements{
		insert: fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", t.Name, strings.Join(names, ", "), marks),
		update: fmt.Sprintf("UPDATE %s SET %s WHERE id = ? AND revision = ?", t.Name, strings.Join(sets, ", ")),
		delete: fmt.Sprintf("DELETE FROM %s WHERE id = ?", t.Name),
		get:    fmt.Sprintf("SELECT doc FROM %s WHERE id = ?", t.Name),
	}
	if t.Label == "" {
		t.Label = strings.TrimSuffix(t.NotFound, "NotFound")
	}
	if t.Ending == "" {
		t.Ending = " could not be found."
	}
	return &t
}

func meta(v any) *weft.Meta { return v.(interface{ Base() *weft.Meta }).Base() }

// Missing is the error for an id that does not exist, or not for the caller.
func (t *Table[T]) Missing(id string) error {
	return weft.Errorf(weft.NotFound, t.NotFound, "%s %s%s%s%s", t.Label, t.Quote, id, t.Quote, t.Ending)
}

// Encode is the stored form of a noun.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// maxDocument is the largest document in bytes: a trunk with a subport for each VLAN has
// less. Every change of one is in the change log, with what was before.
const maxDocument = 512 << 10

// encode is Encode for a document that is to be stored.
func (t *Table[T]) encode(v *T) ([]byte, error) {
	doc, err := Encode(v)
	if err != nil {
		return nil, fmt.Errorf("encoding a row of %s: %w", t.Name, err)
	}
	if len(doc) > maxDocument {
		return nil, weft.Errorf(weft.TooLarge, "HTTPRequestEntityTooLarge",
			"%s %s would have %d bytes, more than the %d that are kept of one.",
			t.Label, meta(v).ID, len(doc), maxDocument)
	}
	return doc, nil
}

func (t *Table[T]) decode(doc []byte) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(doc, v); err != nil {
		return nil, fmt.Errorf("decoding a row of %s: %w", t.Name, err)
	}
	return v, nil
}

// Get loads a noun; the error is Missing if there is none.
func (t *Table[T]) Get(tx *Tx, id string) (*T, error) {
	var doc []byte
	found, err := tx.QueryRow(t.sql.get, []any{id}, &doc)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, t.Missing(id)
	}
	tx.remember(t.Name, id, doc)
	return t.decode(doc)
}

// GetVisible is Get for what the caller may see; the rest is missing.
func (t *Table[T]) GetVisible(tx *Tx, id string) (*T, error) {
	if visible := t.VisibleTo(tx.Caller); visible.SQL != "" {
		n, err := t.Count(tx, Eq("id", id), visible)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, t.Missing(id)
		}
	}
	return t.Get(tx, id)
}

// Find returns the nouns that meet the conditions, in order of id.
func (t *Table[T]) Find(tx *Tx, where ...Cond) ([]*T, error) {
	text, args := "SELECT id, doc FROM "+t.Name+" t", []any(nil)
	clause, args := and(where, args)
	var out []*T
	ask := tx.Query
	if len(args) > 4 { // a list of its own length: not worth keeping prepared
		ask = tx.queryOnce
	}
	err := ask(text+clause+" ORDER BY id", args, func(scan func(...any) error) error {
		var id string
		var doc []byte
		if err := scan(&id, &doc); err != nil {
			return err
		}
		tx.remember(t.Name, id, doc)
		v, err := t.decode(doc)
		out = append(out, v)
		return err
	})
	return out, err
}

// First is the first of Find, or nil.
func (t *Table[T]) First(tx *Tx, where ...Cond) (*T, error) {
	all, err := t.Find(tx, where...)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

// Count counts the nouns that meet the conditions.
func (t *Table[T]) Count(tx *Tx, where ...Cond) (int, error) {
	clause, args := and(where, nil)
	n := 0
	_, err := tx.QueryRow("SELECT COUNT(*) FROM "+t.Name+" t"+clause, args, &n)
	return n, err
}

// Insert stores a new noun, giving it an id if it has none, and fills in its
// standard attributes.
func (t *Table[T]) Insert(tx *Tx, v *T) error {
	if err := t.insert(tx, v); err != nil {
		return err
	}
	return t.after(tx, nil, v, nil, tx.loaded[t.Name+"/"+meta(v).ID])
}

// insert writes the row alone.
func (t *Table[T]) insert(tx *Tx, v *T) error {
	m := meta(v)
	if m.ID == "" {
		m.ID = uuid.NewString()
	}
	m.TenantID = m.ProjectID
	m.CreatedAt = weft.Time{Time: tx.Now()}
	m.UpdatedAt = m.CreatedAt
	m.Revision = 1
	if t.FromZero {
		m.Revision = 0
	}
	doc, err := t.encode(v)
	if err != nil {
		return err
	}
	args := make([]any, 0, 4+len(t.Columns))
	args = append(args, m.ID, m.ProjectID, m.Revision, string(doc))
	for _, c := range t.Columns {
		args = append(args, c.Value(v))
	}
	if _, err := tx.Exec(t.sql.insert, args...); err != nil {
		return err
	}
	tx.remember(t.Name, m.ID, doc)
	return nil
}

// Update stores a noun that was loaded in this transaction. If it does not
// differ from what is stored nothing happens; otherwise its revision grows.
func (t *Table[T]) Update(tx *Tx, v *T) error { return t.update(tx, v, false) }

// Touch raises the revision of a noun because something that belongs to it has
// changed.
func (t *Table[T]) Touch(tx *Tx, id string) error {
	v, err := t.Get(tx, id)
	if err != nil {
		return err
	}
	return t.update(tx, v, true)
}

func (t *Table[T]) update(tx *Tx, v *T, always bool) error {
	m := meta(v)
	before := tx.loaded[t.Name+"/"+m.ID]
	if before == nil {
		return fmt.Errorf("updating %s %s, which this transaction has not read", t.Name, m.ID)
	}
	m.TenantID = m.ProjectID
	doc, err := Encode(v)
	if err != nil {
		return fmt.Errorf("encoding a row of %s: %w", t.Name, err)
	}
	if !always && bytes.Equal(doc, before) {
		return nil
	}
	old, err := t.decode(before)
	if err != nil {
		return err
	}
	m.Revision = meta(old).Revision + 1
	m.UpdatedAt = weft.Time{Time: tx.Now()}
	if doc, err = t.encode(v); err != nil {
		return err
	}
	args := make([]any, 0, 4+len(t.Columns))
	args = append(args, m.Revision, string(doc))
	for _, c := range t.Columns {
		args = append(args, c.Value(v))
	}
	n, err := tx.Exec(t.sql.update, append(args, m.ID, m.Revision-1)...)
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("updating %s %s: revision %d is gone", t.Name, m.ID, m.Revision-1)
	}
	tx.remember(t.Name, m.ID, doc)
	return t.after(tx, old, v, before, doc)
}

// Rewrite stores a noun without a new revision and without an entry in the change
// log: for what nobody follows, such as heartbeats.
func (t *Table[T]) Rewrite(tx *Tx, v *T) error {
	doc, err := Encode(v)
	if err != nil {
		return fmt.Errorf("encoding a row of %s: %w", t.Name, err)
	}
	m := meta(v)
	args := []any{m.Revision, string(doc)}
	for _, c := range t.Columns {
		args = append(args, c.Value(v))
	}
	_, err = tx.Exec(t.sql.update, append(args, m.ID, m.Revision)...)
	return err
}

// Delete removes a noun that was loaded in this transaction.
func (t *Table[T]) Delete(tx *Tx, v *T) error {
	m := meta(v)
	before := tx.loaded[t.Name+"/"+m.ID]
	if err := t.after(tx, v, nil, before, nil); err != nil {
		return err
	}
	n, err := tx.Exec(t.sql.delete, m.ID)
	if err != nil {
		return err
	}
	if n == 0 {
		return t.Missing(m.ID)
	}
	delete(tx.loaded, t.Name+"/"+m.ID)
	return nil
}

// after does what goes with every write: side tables, usage, change log.
func (t *Table[T]) after(tx *Tx, old, v *T, before, after []byte) error {
	if err := t.indexTags(tx, old, v); err != nil {
		return err
	}
	if t.Index != nil {
		if err := t.Index(tx, old, v); err != nil {
			return err
		}
	}
	m, op := (*weft.Meta)(nil), OpUpdate
	switch {
	case v == nil:
		m, op = meta(old), OpDelete
	case old == nil:
		m, op = meta(v), OpCreate
	default:
		m = meta(v)
	}
	if t.Quota && op != OpUpdate && m.ProjectID != "" {
		if err := tx.count(m.ProjectID, t.Noun, op == OpCreate); err != nil {
			return err
		}
	}
	return tx.append(t.Name, op, m, before, after)
}

func (t *Table[T]) indexTags(tx *Tx, old, v *T) error {
	if old != nil && len(meta(old).Tags) > 0 {
		if _, err := tx.Exec("DELETE FROM tags WHERE noun = ? AND id = ?", t.Name, meta(old).ID); err != nil {
			return err
		}
	}
	if v == nil {
		return nil
	}
	for _, tag := range meta(v).Tags {
		if _, err := tx.Exec("INSERT INTO tags (noun, id, tag) VALUES (?, ?, ?)", t.Name, meta(v).ID, tag); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) remember(noun, id string, doc []byte) {
	if tx.loaded != nil {
		tx.loaded[noun+"/"+id] = doc
	}
}

// count maintains how many of a noun a project has, so that a quota check does
// not count rows.
func (tx *Tx) count(project, noun string, more bool) error {
	by := -1
	if more {
		by = 1
	}
	_, err := tx.Exec(`INSERT INTO quota_usage (project_id, resource, used) VALUES (?, ?, ?)
		ON CONFLICT (project_id, resource) DO UPDATE SET used = quota_usage.used + excluded.used`, project, noun, by)
	return err
}
