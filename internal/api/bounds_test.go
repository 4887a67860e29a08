package api

import (
	"fmt"
	"strings"
	"testing"
)

// checkBounds refuses an attribute whose type has no maximum: of a list, of the lists
// and keys in an object, of a text.
func checkBounds(t *testing.T, noun string, a *Attr) {
	t.Helper()
	if !a.Post && !a.Put {
		return
	}
	_, err := a.accept([]any{})
	if (err == nil || strings.HasPrefix(a.Type.Name, "list")) && a.Type.Items == 0 {
		t.Errorf("%s: the type of %s has no maximum", noun, a.Name)
	}
	many := make([]any, a.Type.Items+1)
	object := map[string]any{}
	for i := range many {
		many[i] = fmt.Sprintf("00000000-0000-4000-8000-%012x", i)
	}
	for i := range maxMembers + 1 {
		object[fmt.Sprint(i)] = i
	}
	for what, v := range map[string]any{
		"a list":      many,
		"an object":   object,
		"a long text": strings.Repeat("1", 1<<16),
		"a list in an object": map[string]any{"network_id": many[0], "external_fixed_ips": make([]any, max(a.Type.Items, maxMembers)+1),
			"k": make([]any, max(a.Type.Items, maxMembers)+1)},
		"a list in a list": []any{make([]any, max(a.Type.Items, maxMembers)+1)},
	} {
		if _, err := a.accept(v); err == nil {
			t.Errorf("%s: %s takes %s that is too long", noun, a.Name, what)
		} else if len(err.Error()) > 1500 {
			t.Errorf("%s: %s: the error for %s has %d bytes", noun, a.Name, what, len(err.Error()))
		}
	}
}
