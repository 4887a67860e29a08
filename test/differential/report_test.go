package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// A run of everything is good if every difference is explained and every explanation
// has a difference.
func TestFinish(t *testing.T) {
	const text = `^alice GET /a$ | ^status: neutron 500 .*, weft 404 | why
^alice GET /b$ | ^name: neutron "x" | why
`
	asked := map[string][2]outcome{
		"alice GET /a": {{Status: 500}, {Status: 404}},
		"alice GET /b": {{Status: 200, Body: map[string]any{"name": "x"}}, {Status: 200, Body: map[string]any{"name": "y"}}},
		"alice GET /c": {{Status: 200}, {Status: 201}},
	}
	for _, c := range []struct {
		name     string
		requests []string
		all      bool
		want     int
	}{
		{"all explained, all used", []string{"alice GET /a", "alice GET /b"}, true, 0},
		{"one explains nothing", []string{"alice GET /a"}, true, 1},
		{"none explains anything", nil, true, 2},
		{"one not explained", []string{"alice GET /a", "alice GET /b", "alice GET /c"}, true, 1},
		{"only some were asked", []string{"alice GET /a"}, false, 0},
		{"only some were asked, one not explained", []string{"alice GET /c"}, false, 1},
	} {
		r := &report{known: explanations(t, text)}
		for _, rq := range c.requests {
			r.compare(request{again: rq}, asked[rq][0], asked[rq][1])
		}
		got, err := r.finish(filepath.Join(t.TempDir(), "report"), c.all)
		if err != nil || got != c.want {
			t.Errorf("%s: %d faults, error %v; want %d", c.name, got, err, c.want)
		}
		if idle := strings.Contains(r.out.String(), "explains nothing any more"); idle != (c.all && len(c.requests) < 2) {
			t.Errorf("%s: it says\n%s", c.name, r.out.String())
		}
	}
}

func explanations(t *testing.T, text string) (out []*explanation) {
	for line := range strings.Lines(text) {
		e, err := parseExplanation(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func TestExplained(t *testing.T) {
	if list, err := readExplained("explained"); err != nil || len(list) == 0 {
		t.Errorf("%d explanations, error %v", len(list), err)
	}
	for _, bad := range []string{"a | b", "a | b | ", "( | b | why", "a | ( | why"} {
		if _, err := parseExplanation(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
