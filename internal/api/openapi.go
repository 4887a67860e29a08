package api

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/weftnet/weft"
)

// object is a node of the OpenAPI document. Its members come out sorted by name.
type object = map[string]any

// described is a path that no table describes: what it answers is any object.
type described struct {
	path, summary string
	methods       []string
}

// Describe adds a path that is no table of nouns to the API's document.
func (s *Server) Describe(path, summary string, methods ...string) {
	s.described = append(s.described, described{path, summary, methods})
}

// OpenAPI is the document of the API (OpenAPI 3.1), made from the tables. Call it
// when every resource is registered.
func (s *Server) OpenAPI() ([]byte, error) {
	schemas := object{"Error": errorSchema()}
	paths := object{}
	for _, c := range s.order {
		c.document(paths, schemas)
	}
	for _, d := range s.described {
		ops := object{}
		for _, m := range d.methods {
			ops[strings.ToLower(m)] = operation(d.summary, "default", successes[m], object{})
		}
		withParameters(d.path, ops)
		paths["/v2.0/"+d.path] = ops
	}
	out, err := yaml.MarshalWithOptions(object{
		"openapi": "3.1.0",
		"info": object{"title": "weft Networking API", "version": "2.0", "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": "The OpenStack Networking API v2.0 as weft serves it. Made from the tables that the server decodes requests by."},
		"security":   []any{object{"token": []any{}}},
		"components": object{"schemas": schemas, "securitySchemes": object{"token": object{"type": "apiKey", "in": "header", "name": "X-Auth-Token"}}},
		"paths":      paths,
	}, yaml.Indent(2), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("encoding the API's document: %w", err)
	}
	return out, nil
}

// serveOpenAPI answers with the document; it is no secret.
func (s *Server) serveOpenAPI(rq *httpRequest) error {
	if rq.r.Method != http.MethodGet {
		return notAllowed()
	}
	s.documentOnce.Do(func() { s.document, s.documentErr = s.OpenAPI() })
	if s.documentErr != nil {
		return s.documentErr
	}
	rq.w.Header().Set("Content-Type", "application/yaml")
	rq.w.WriteHeader(http.StatusOK)
	rq.w.Write(s.document)
	return nil
}

func errorSchema() object {
	return object{"type": "object", "description": "A refusal. type is the class name that Neutron gives it; detail names what blocks a deletion.",
		"properties": object{"NeutronError": object{"type": "object", "required": []any{"type", "message", "detail"},
			"properties": object{"type": object{"type": "string"}, "message": object{"type": "string"}, "detail": object{"type": "string"}}}}}
}

// successes are the statuses of what goes well, by method.
var successes = map[string]string{http.MethodGet: "200", http.MethodPost: "201", http.MethodPut: "200", http.MethodDelete: "204"}

func operation(summary, tag, status string, answer object) object {
	ok := object{"description": "Done."}
	if answer != nil {
		ok["content"] = jsonContent(answer)
	}
	return object{"summary": summary, "tags": []any{tag}, "responses": object{status: ok,
		"default": object{"description": "Refused.", "content": jsonContent(ref("Error"))}}}
}

func jsonContent(schema object) object {
	return object{"application/json": object{"schema": schema}}
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func wrapped(key string, schema object) object {
	return object{"type": "object", "required": []any{key}, "properties": object{key: schema}}
}

// schemaName is the name of a resource's schema: "security_group" is SecurityGroup.
func schemaName(singular string) string {
	var b strings.Builder
	for _, part := range strings.FieldsFunc(singular, func(r rune) bool { return r == '_' || r == '-' }) {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

// document adds a resource's schemas and paths.
func (r *served[T]) document(paths, schemas object) {
	name := schemaName(r.rule())
	schemas[name] = r.shownSchema()
	list := "/v2.0/" + r.path()
	if w := r.Within; w != nil && w.Of == nil {
		list = "/v2.0/" + w.Path + "/{" + w.Column + "}/" + r.path()
	}
	one := list + "/{id}"
	get := operation("List "+r.Plural, r.Singular, "200", object{"type": "object", "required": []any{r.Plural},
		"properties": object{r.Plural: object{"type": "array", "items": ref(name)}, r.Plural + "_links": linksSchema()}})
	get["parameters"] = r.listParameters()
	collection, item := object{"get": get}, object{"get": operation("Show one "+r.Singular, r.Singular, "200", wrapped(r.Singular, ref(name)))}
	if r.Create != nil {
		schemas[name+"Create"] = r.requestSchema(true)
		post := operation("Create "+r.Plural+", one or several", r.Singular, "201", object{"type": "object"})
		post["requestBody"] = object{"required": true, "content": jsonContent(object{"oneOf": []any{
			wrapped(r.Singular, ref(name+"Create")), wrapped(r.Plural, object{"type": "array", "minItems": 1, "items": ref(name + "Create")})}})}
		post["parameters"] = []any{object{"name": "Idempotency-Key", "in": "header", "schema": object{"type": "string", "maxLength": maxKey}}}
		collection["post"] = post
	}
	if r.Update != nil {
		schemas[name+"Update"] = r.requestSchema(false)
		put := operation("Update one "+r.Singular, r.Singular, "200", wrapped(r.Singular, ref(name)))
		put["requestBody"] = object{"required": true, "content": jsonContent(wrapped(r.Singular, ref(name+"Update")))}
		put["parameters"] = []any{ifMatch()}
		item["put"] = put
	}
	if r.Delete != nil {
		del := operation("Delete one "+r.Singular, r.Singular, "204", nil)
		del["parameters"] = r.deleteParameters()
		del["responses"].(object)["200"] = object{"description": "What would go, with dry_run.", "content": jsonContent(object{"type": "object"})}
		item["delete"] = del
	}
	paths[list], paths[one] = withParameters(list, collection), withParameters(one, item)
	r.documentBelow(paths, one)
}

// documentBelow adds the verbs of single nouns, and their tags. What handlers serve
// below a noun has to be described.
func (r *served[T]) documentBelow(paths object, one string) {
	for name, a := range r.Actions {
		method := "put"
		if a.Method != "" {
			method = strings.ToLower(a.Method)
		}
		op := operation(strings.ReplaceAll(name, "_", " "), r.Singular, "200", object{})
		if method == "put" {
			op["requestBody"] = object{"required": true, "content": jsonContent(object{"type": "object"})}
		}
		paths[one+"/"+name] = withParameters(one, object{method: op})
	}
	if r.schema.byName["tags"] == nil {
		return
	}
	tags := wrapped("tags", object{"type": "array", "items": object{"type": "string", "maxLength": 255}})
	put := operation("Replace the tags", r.Singular, "200", tags)
	put["requestBody"] = object{"required": true, "content": jsonContent(tags)}
	post := operation("Add tags", r.Singular, "200", tags)
	post["requestBody"] = put["requestBody"]
	paths[one+"/tags"] = withParameters(one, object{"get": operation("List the tags", r.Singular, "200", tags), "put": put, "post": post,
		"delete": operation("Remove all tags", r.Singular, "204", nil)})
	paths[one+"/tags/{tag}"] = withParameters(one+"/tags/{tag}", object{"get": operation("Ask for a tag", r.Singular, "204", nil),
		"put": operation("Add a tag", r.Singular, "201", nil), "delete": operation("Remove a tag", r.Singular, "204", nil)})
}

// withParameters adds the parameters that a path holds in braces.
func withParameters(path string, ops object) object {
	var list []any
	for _, segment := range strings.Split(path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			list = append(list, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	if list != nil {
		ops["parameters"] = list
	}
	return ops
}

func ifMatch() object {
	return object{"name": "If-Match", "in": "header", "description": "revision_number=N: refuse with 412 unless that is the revision.", "schema": object{"type": "string"}}
}

func queryFlag(name, what string) object {
	return object{"name": name, "in": "query", "description": what, "schema": object{"type": "boolean"}}
}

func (r *served[T]) deleteParameters() []any {
	list := []any{ifMatch(), queryFlag("dry_run", "Change nothing; say what would go.")}
	if r.Cascade != nil {
		list = append(list, queryFlag("cascade", "Remove what depends on it, too."))
	}
	return list
}

// listParameters are the filters of a resource and what every list understands.
func (r *served[T]) listParameters() []any {
	var list []any
	add := func(name, what string, schema object) {
		p := object{"name": name, "in": "query", "schema": schema}
		if what != "" {
			p["description"] = what
		}
		list = append(list, p)
	}
	text := object{"type": "string"}
	for i := range r.Attrs {
		if a := &r.Attrs[i]; a.Filter {
			add(a.Name, "", object{"type": "array", "items": text})
		}
	}
	var keys []any
	for i := range r.Attrs {
		if a := &r.Attrs[i]; a.Sort {
			keys = append(keys, a.Name)
		}
	}
	if keys != nil {
		add("sort_key", "", object{"type": "array", "items": object{"type": "string", "enum": keys}})
		add("sort_dir", "", object{"type": "array", "items": object{"type": "string", "enum": []any{"asc", "desc"}}})
	}
	add("fields", "Show these attributes only.", object{"type": "array", "items": text})
	add("limit", "The largest number of elements; 0 is all.", object{"type": "integer", "minimum": 0})
	add("marker", "The id of the last element of the page before.", text)
	add("page_reverse", "", object{"type": "boolean"})
	if r.schema.byName["tags"] != nil {
		for _, name := range []string{"tags", "tags-any", "not-tags", "not-tags-any"} {
			add(name, "Tags, with commas between them.", text)
		}
	}
	return list
}

func linksSchema() object {
	return object{"type": "array", "description": "Only with a limit.", "items": object{"type": "object",
		"properties": object{"rel": object{"type": "string", "enum": []any{"next", "previous"}}, "href": object{"type": "string"}}}}
}

// shownSchema is what an answer shows of a noun.
func (r *served[T]) shownSchema() object {
	fields := fieldTypes(reflect.TypeFor[T]())
	properties := object{}
	for i := range r.Attrs {
		a := &r.Attrs[i]
		if a.Hidden {
			continue
		}
		schema := object{}
		if t, ok := fields[a.Name]; ok {
			if schema = goSchema(t); t.Kind() == reflect.Map && a.Type.Nullable {
				schema["type"] = []any{"object", "null"}
			}
		} else if a.Type.Name != "any" {
			schema = clone(a.Type.schema())
		}
		properties[a.Name] = annotated(a, schema)
	}
	return object{"type": "object", "properties": properties}
}

// requestSchema is what a POST or a PUT may hold.
func (r *served[T]) requestSchema(create bool) object {
	properties := object{}
	var required []any
	for i := range r.Attrs {
		a := &r.Attrs[i]
		if create && !a.Post || !create && !a.Put {
			continue
		}
		schema := annotated(a, clone(a.Type.schema()))
		if create && a.Default != Unset {
			schema["default"] = a.Default
		}
		if create && a.Required {
			required = append(required, a.Name)
		}
		properties[a.Name] = schema
	}
	out := object{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		out["required"] = required
	}
	return out
}

func annotated(a *Attr, schema object) object {
	if a.Ext != "" {
		schema["x-extension"] = a.Ext
	}
	return schema
}

func clone(o object) object {
	out := make(object, len(o)+2)
	for k, v := range o {
		out[k] = v
	}
	return out
}

// schema is the JSON schema of the type, as far as it goes: what it cannot say is
// still checked.
func (t Type) schema() object {
	out := clone(t.Schema)
	if len(out) == 0 {
		out = clone(namedSchemas[t.Name])
	}
	if len(out) == 0 && strings.HasPrefix(t.Name, "list") {
		out = object{"type": "array", "items": object{}}
	}
	if t.Items > 0 && out["type"] == "array" {
		out["maxItems"] = t.Items
	}
	if kind, ok := out["type"].(string); ok && t.Nullable {
		out["type"] = []any{kind, "null"}
	}
	if choices, ok := out["enum"].([]any); ok && t.Nullable && !slices.Contains(choices, any(nil)) {
		out["enum"] = append(slices.Clone(choices), nil)
	}
	return out
}

// namedSchemas are the schemas of types that say no more than their name.
var namedSchemas = map[string]object{
	"string":          {"type": "string"},
	"boolean":         {"type": "boolean"},
	"integer":         {"type": "integer"},
	"object":          {"type": "object"},
	"uuid":            {"type": "string", "format": "uuid"},
	"MAC address":     {"type": "string", "pattern": "^([0-9a-fA-F]{2}[:.-]?){5}[0-9a-fA-F]{2}$"},
	"IP address":      {"type": "string", "format": "ip"},
	"CIDR":            {"type": "string", "format": "cidr"},
	"list of uuids":   {"type": "array", "items": object{"type": "string", "format": "uuid"}, "uniqueItems": true},
	"list of strings": {"type": "array", "items": object{"type": "string"}},
}

// fieldTypes is the types of a noun's members, by name in JSON.
func fieldTypes(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			for n, ft := range fieldTypes(f.Type) {
				out[n] = ft
			}
		case name != "" && name != "-":
			out[name] = f.Type
		}
	}
	return out
}

// goSchema is the JSON schema of a field as it is shown.
func goSchema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[weft.ID]():
		return object{"type": []any{"string", "null"}}
	case reflect.TypeFor[weft.Digits]():
		return object{"type": "string", "pattern": "^[0-9]+$"}
	case reflect.TypeFor[weft.Addr]():
		return object{"type": []any{"string", "null"}, "format": "ip"}
	case reflect.TypeFor[weft.Time]():
		return object{"type": "string", "format": "date-time"}
	}
	if t.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()) {
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		inner := goSchema(t.Elem())
		if kind, ok := inner["type"].(string); ok {
			inner["type"] = []any{kind, "null"}
		}
		return inner
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint16, reflect.Uint32:
		return object{"type": "integer"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice:
		return object{"type": "array", "items": goSchema(t.Elem())}
	case reflect.Map:
		return object{"type": "object"}
	case reflect.Struct:
		properties := object{}
		for name, ft := range fieldTypes(t) {
			properties[name] = goSchema(ft)
		}
		return object{"type": "object", "properties": properties}
	}
	return object{}
}
