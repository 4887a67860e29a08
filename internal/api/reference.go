package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Reference is the API reference in Markdown, made from the tables: what each
// resource has, who brings it, and what may be done with it.
func (s *Server) Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, c := range s.order {
		c.refer(&b)
	}
	b.WriteString("\n## Other paths\n\n| path | verbs | what |\n|---|---|---|\n")
	for _, d := range s.described {
		fmt.Fprintf(&b, "| `/v2.0/%s` | %s | %s |\n", d.path, strings.Join(d.methods, " "), d.summary)
	}
	b.WriteString("\n## Extensions\n\n| alias | name |\n|---|---|\n")
	for _, e := range catalogue {
		if s.aliases[e.alias] {
			fmt.Fprintf(&b, "| `%s` | %s |\n", e.alias, e.name)
		}
	}
	return b.String()
}

const referenceHead = `# API reference

Made from the tables that weft decodes requests by (` + "`go test ./internal/api -run TestDocuments -update`" + `);
[openapi.yaml](openapi.yaml) is made from the same and is served at ` + "`/v2.0/openapi.yaml`" + `.

In the column *ops* an attribute may be given in POST (C) and in PUT (U), is visible (V), can be
filtered by (F) and sorted by (S); R marks those that a POST must have. Every list takes
` + "`fields`, `limit`, `marker`, `page_reverse`, `sort_key` and `sort_dir`" + `, and for resources with tags
` + "`tags`, `tags-any`, `not-tags` and `not-tags-any`" + `. PUT and DELETE take ` + "`If-Match: revision_number=N`" + `, POST
` + "`Idempotency-Key`" + `, DELETE ` + "`dry_run=true`" + `.
`

// refer writes the section of a resource.
func (r *served[T]) refer(b *strings.Builder) {
	path := r.path()
	if w := r.Within; w != nil && w.Of == nil {
		path = w.Path + "/{id}/" + path
	}
	fmt.Fprintf(b, "\n## %s\n\n`/v2.0/%s`: %s\n\n", r.Plural, path, strings.Join(r.verbs(), ", "))
	b.WriteString("| attribute | ops | type | default | extension |\n|---|---|---|---|---|\n")
	for i := range r.Attrs {
		a := &r.Attrs[i]
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", a.Name, a.ops(), a.kind(), a.fallback(), a.Ext)
	}
}

// verbs are what may be done with a resource.
func (r *served[T]) verbs() []string {
	out := []string{"list", "show"}
	for _, v := range []struct {
		name string
		ok   bool
	}{{"create", r.Create != nil}, {"update", r.Update != nil}, {"delete", r.Delete != nil}, {"delete with `cascade=true`", r.Cascade != nil}} {
		if v.ok {
			out = append(out, v.name)
		}
	}
	var more []string
	for name := range r.Actions {
		more = append(more, "`"+name+"`")
	}
	for name := range r.Below {
		more = append(more, "`"+name+"`")
	}
	slices.Sort(more)
	return append(out, more...)
}

func (a *Attr) ops() string {
	var b strings.Builder
	for _, o := range []struct {
		letter string
		ok     bool
	}{{"C", a.Post}, {"U", a.Put}, {"V", !a.Hidden}, {"F", a.Filter}, {"S", a.Sort}, {"R", a.Required}} {
		if o.ok {
			b.WriteString(o.letter)
		}
	}
	return b.String()
}

// kind is the type in words.
func (a *Attr) kind() string {
	name := a.Type.Name
	if name == "any" {
		name = ""
	}
	if choices, ok := a.Type.Schema["enum"].([]any); ok {
		parts := make([]string, len(choices))
		for i, c := range choices {
			parts[i] = fmt.Sprint(c)
		}
		name = strings.Join(parts, ", ")
	}
	if n, ok := a.Type.Schema["maxLength"]; ok {
		name += fmt.Sprintf(" of up to %v", n)
	}
	if a.Type.Nullable {
		name += " or null"
	}
	return name
}

// fallback is the default as it would be given.
func (a *Attr) fallback() string {
	if a.Default == Unset || !a.Post {
		return ""
	}
	text, err := json.Marshal(a.Default)
	if err != nil {
		return ""
	}
	return "`" + string(text) + "`"
}
