package api

// Attr is one row of a resource's table: everything the API knows about an
// attribute.
type Attr struct {
	Name     string
	Post     bool // may be given in POST
	Put      bool // may be given in PUT
	Hidden   bool // never shown
	Required bool // must be given in POST
	Default  any  // for a POST that does not name it; Unset leaves it to the service
	Type     Type
	Filter   bool
	Sort     bool
	Ext      string // the extension that brings it; "" is the base resource
}

// unset is the type of Unset.
type unset struct{}

// Unset is the default of attributes whose absence differs from any value.
var Unset = unset{}

// ops are shorthands for the usual combinations, spelled as in the API reference:
// C(reate) U(pdate) V(isible) F(ilter) S(ort).
func row(name, ops string, def any, t Type) Attr {
	a := Attr{Name: name, Default: def, Type: t, Hidden: true}
	for _, o := range ops {
		switch o {
		case 'C':
			a.Post = true
		case 'U':
			a.Put = true
		case 'V':
			a.Hidden = false
		case 'F':
			a.Filter = true
		case 'S':
			a.Sort = true
		case 'R':
			a.Required = true
		}
	}
	return a
}

// ext marks rows as brought by an extension.
func ext(alias string, rows ...Attr) []Attr {
	for i := range rows {
		rows[i].Ext = alias
	}
	return rows
}

// ident are the rows that every resource has.
func ident() []Attr {
	return []Attr{
		row("id", "VFS", Unset, uuidType),
		row("tenant_id", "CVFS", Unset, text(255)),
		row("project_id", "CVFS", Unset, text(255)),
	}
}

// standard are the rows of resources with standard attributes.
func standard() []Attr {
	return []Attr{
		row("description", "CUVF", "", text(255)),
		row("created_at", "V", Unset, anyType),
		row("updated_at", "V", Unset, anyType),
		row("revision_number", "VF", Unset, revision),
	}
}

// tagged is the row of resources that carry tags.
func tagged() []Attr { return ext("standard-attr-tag", row("tags", "V", Unset, anyType)) }

// table joins groups of rows.
func table(groups ...[]Attr) []Attr {
	var all []Attr
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// revision is a number; as a filter anything else is one that nothing has.
var revision = Type{Name: "integer", Convert: func(v any) (any, error) {
	if n, err := toInt(v); err == nil {
		return n, nil
	}
	return int64(-1), nil
}}
