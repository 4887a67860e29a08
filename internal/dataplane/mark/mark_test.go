package mark

import "testing"

func TestMark(t *testing.T) {
	for alias, want := range map[string]Mark{
		"weft:network:n1":              {Kind: Network, ID: "n1"}, // as wefts wrote it before clouds had ids
		"weft:netns":                   {Kind: Space},
		"weft:port:p1@c1":              {Kind: Port, ID: "p1", Cloud: "c1"},
		"weft:outside:a@b:c@c1":        {Kind: Outside, ID: "a@b:c", Cloud: "c1"},
		"weft:netns@c1/4026531840":     {Kind: Space, Cloud: "c1", Host: "4026531840"},
		"weft:plug:p1@c1":              {Kind: Plug, ID: "p1", Cloud: "c1"},
		"weft:something-newer:x:y@c-2": {Kind: "something-newer", ID: "x:y", Cloud: "c-2"},
	} {
		got, ok := Parse(alias)
		if !ok || got != want || got.String() != alias {
			t.Errorf("%s is %+v %t, and %s again", alias, got, ok, got)
		}
	}
	for _, alias := range []string{"", "not-weft:port:x", "weft", "Weft:port:x"} {
		if m, ok := Parse(alias); ok || Of("", alias) || Foreign("", alias) {
			t.Errorf("%q is taken for a mark: %+v", alias, m)
		}
	}
}

func TestWhose(t *testing.T) {
	for _, c := range []struct {
		cloud, alias string
		of, foreign  bool
	}{
		{"c1", "weft:port:p@c1", true, false},
		{"c1", "weft:port:p@c2", false, true},
		{"c1", "weft:port:p@c11", false, true},
		{"c1", "weft:port:p", false, false},
		{"", "weft:port:p", true, false},
		{"", "weft:port:p@c1", false, true},
		{"c1", "somebody", false, false},
	} {
		if of, foreign := Of(c.cloud, c.alias), Foreign(c.cloud, c.alias); of != c.of || foreign != c.foreign {
			t.Errorf("%q and cloud %q: of it %t, foreign %t", c.alias, c.cloud, of, foreign)
		}
	}
}
