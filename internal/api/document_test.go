package api_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/weftnet/weft/internal/api"
)

var update = flag.Bool("update", false, "write the documents of the API")

// The documents in docs are those that the tables make.
func TestDocuments(t *testing.T) {
	s := api.NewServer(api.Config{})
	testCloud().Register(s)
	spec, err := s.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"openapi.yaml": string(spec), "reference.md": s.Reference()} {
		path := filepath.Join("..", "..", "docs", name)
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("docs/%s is not what the tables say; go test ./internal/api -run TestDocuments -update", name)
		}
	}
}

// document is the API's document as its readers understand it.
type document struct {
	Paths      map[string]map[string]any
	Components struct{ Schemas map[string]any }
}

func readDocument(t *testing.T, w *world) document {
	t.Helper()
	rec := w.do("nobody", "GET", "/v2.0/openapi.yaml", "", nil)
	var d document
	if err := yaml.Unmarshal(rec.Body.Bytes(), &d); err != nil || rec.Code != 200 {
		t.Fatalf("status %d, %v", rec.Code, err)
	}
	return d
}

// check says where the answer to a request is not as the document has it.
func (d document) check(method, target string, status int, body []byte) error {
	path, _, _ := strings.Cut(target, "?")
	path = strings.TrimSuffix(path, ".json")
	if !strings.HasPrefix(path, "/v2.0/") || path == "/v2.0/" || strings.HasPrefix(path, "/v2.0/policies/") {
		return nil // what is there for old clients, and versions
	}
	op := d.operation(strings.TrimSuffix(path, "/"), strings.ToLower(method))
	if op == nil {
		return fmt.Errorf("the API's document does not have %s %s", method, path)
	}
	responses, _ := op["responses"].(map[string]any)
	r, ok := responses[fmt.Sprint(status)].(map[string]any)
	if !ok {
		return fmt.Errorf("the API's document has no status %d for %s %s", status, method, path)
	}
	content, _ := r["content"].(map[string]any)
	media, _ := content["application/json"].(map[string]any)
	var v any
	if media == nil || json.Unmarshal(body, &v) != nil {
		return nil
	}
	return d.valid(media["schema"], v, "body")
}

// operation finds the entry of a path: the one that matches with the most literal
// segments.
func (d document) operation(path, method string) map[string]any {
	var best map[string]any
	most := -1
	for pattern, ops := range d.Paths {
		n := literals(pattern, path)
		if op, ok := ops[method].(map[string]any); ok && n > most {
			best, most = op, n
		}
	}
	return best
}

func literals(pattern, path string) int {
	p, q := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(p) != len(q) {
		return -1
	}
	n := 0
	for i := range p {
		switch {
		case strings.ReplaceAll(p[i], "-", "_") == strings.ReplaceAll(q[i], "-", "_"): // some old clients use one for the other
			n++
		case !strings.HasPrefix(p[i], "{"):
			return -1
		}
	}
	return n
}

// valid checks a value against a schema as far as the document uses JSON schema.
func (d document) valid(schema, v any, at string) error {
	s, _ := schema.(map[string]any)
	if name, ok := s["$ref"].(string); ok {
		s, _ = d.Components.Schemas[strings.TrimPrefix(name, "#/components/schemas/")].(map[string]any)
	}
	if want := s["type"]; want != nil && !isOf(want, v) {
		return fmt.Errorf("%s is %T, not %v", at, v, want)
	}
	properties, _ := s["properties"].(map[string]any)
	switch x := v.(type) {
	case []any:
		for i, e := range x {
			if err := d.valid(s["items"], e, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, e := range x {
			inner, ok := properties[name]
			if properties != nil && !ok {
				return fmt.Errorf("%s.%s is not in the API's document", at, name)
			}
			if err := d.valid(inner, e, at+"."+name); err != nil {
				return err
			}
		}
	}
	return nil
}

func isOf(want, v any) bool {
	if list, ok := want.([]any); ok {
		return slices.ContainsFunc(list, func(w any) bool { return isOf(w, v) })
	}
	n, number := v.(float64)
	switch want {
	case "null":
		return v == nil
	case "integer":
		return number && n == float64(int64(n))
	case "string":
		_, ok := v.(string)
		return ok
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "array":
		_, ok := v.([]any)
		return ok
	case "object":
		_, ok := v.(map[string]any)
		return ok
	}
	return false
}
