package identity

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// No field takes a list without a maximum.
func TestListsHaveMaxima(t *testing.T) {
	checkLists(t, "region", regions().fields)
	checkLists(t, "service", services().fields)
	checkLists(t, "endpoint", endpoints().fields)
	checkLists(t, "domain", domains().fields)
	checkLists(t, "group", groups().fields)
	checkLists(t, "project", projects().fields)
	checkLists(t, "role", roleResource().fields)
	checkLists(t, "user", users().fields)
	checkLists(t, "application credential", (&request{}).credentialFields())
}

func checkLists[T any](t *testing.T, noun string, fields []field[T]) {
	t.Helper()
	for _, f := range fields {
		if f.set == nil {
			continue
		}
		if err := f.set(new(T), json.RawMessage("[]")); err == nil && f.items == 0 {
			t.Errorf("%s: %s takes lists and has no maximum", noun, f.name)
		}
		var many []string
		for i := range f.items + 1 {
			many = append(many, fmt.Sprintf(`"%d"`, i))
		}
		raw := "[" + strings.Join(many, ",") + "]"
		if err := f.accept(new(T), json.RawMessage(raw)); err == nil {
			t.Errorf("%s: %s takes %d", noun, f.name, len(many))
		} else if len(err.Error()) > 1500 {
			t.Errorf("%s: %s: an error of %d bytes", noun, f.name, len(err.Error()))
		}
	}
}
