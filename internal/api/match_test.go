package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
)

// compare checks a value against an expectation of a script.
func compare(got any, want string) error {
	how, rest, _ := strings.Cut(want, " ")
	switch how {
	case "sorted", "has", "lacks":
		want = rest
	case "names":
		return names(got, strings.Fields(rest))
	case "":
		return nil
	}
	var w any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		return fmt.Errorf("the expectation is no JSON: %v", err)
	}
	list, many := w.([]any)
	if !many {
		return match(got, w, "")
	}
	have, ok := got.([]any)
	if !ok {
		return fmt.Errorf("not a list")
	}
	switch how {
	case "sorted":
		return match(have, w, "")
	case "lacks":
		for _, x := range list {
			if findLike(have, x) >= 0 {
				return fmt.Errorf("has %v", x)
			}
		}
		return nil
	}
	return among(have, list, how != "has")
}

func names(got any, want []string) error {
	m, ok := got.(map[string]any)
	if !ok {
		return fmt.Errorf("not an object")
	}
	slices.Sort(want)
	if have := slices.Sorted(maps.Keys(m)); !slices.Equal(have, want) {
		return fmt.Errorf("members\n got %v\nwant %v", have, want)
	}
	return nil
}

// among finds every element wanted, each another one, and with all set no others.
func among(have, want []any, all bool) error {
	left := slices.Clone(have)
	for _, x := range want {
		i := findLike(left, x)
		if i < 0 {
			return fmt.Errorf("no element like %v", x)
		}
		left = slices.Delete(left, i, i+1)
	}
	if all && len(left) > 0 {
		return fmt.Errorf("%d elements too many, one is %v", len(left), left[0])
	}
	return nil
}

func findLike(list []any, x any) int {
	return slices.IndexFunc(list, func(v any) bool { return match(v, x, "") == nil })
}

// forms are the patterns that stand for values.
var forms = map[string]func(any) bool{
	"<any>":  func(any) bool { return true },
	"<int>":  func(v any) bool { _, ok := v.(float64); return ok },
	"<uuid>": parses(func(s string) error { _, err := uuid.Parse(s); return err }),
	"<mac>":  parses(func(s string) error { _, err := weft.ParseMAC(s); return err }),
	"<ip>":   parses(func(s string) error { _, err := netip.ParseAddr(s); return err }),
	"<time>": parses(func(s string) error { _, err := time.Parse("2006-01-02T15:04:05Z", s); return err }),
}

func parses(f func(string) error) func(any) bool {
	return func(v any) bool {
		s, ok := v.(string)
		return ok && f(s) == nil
	}
}

// match checks that got has what want has; where says which member differs.
func match(got, want any, where string) error {
	if s, ok := want.(string); ok && forms[s] != nil {
		if !forms[s](got) {
			return fmt.Errorf("%s is %v and not %s", where, got, s)
		}
		return nil
	}
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is not an object", where)
		}
		for _, name := range slices.Sorted(maps.Keys(w)) {
			v, there := g[name]
			if w[name] == "<absent>" && !there {
				continue
			}
			if !there {
				return fmt.Errorf("no member %s.%s", where, name)
			}
			if err := match(v, w[name], where+"."+name); err != nil {
				return err
			}
		}
		return nil
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Errorf("%s is not a list of %d", where, len(w))
		}
		for i := range w {
			if err := match(g[i], w[i], fmt.Sprintf("%s.%d", where, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s is %v and not %v", where, got, want)
	}
	return nil
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		got, want string
		same      bool
	}{
		{`{"a":1,"b":2}`, `{"a":1}`, true},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"a":1}`, `{"b":"<absent>"}`, true},
		{`{"a":1}`, `{"a":"<absent>"}`, false},
		{`{"a":null}`, `{"a":null}`, true},
		{`[1,2]`, `[2,1]`, true},
		{`[1,2]`, `sorted [2,1]`, false},
		{`[1,2]`, `has [2]`, true},
		{`[1,2]`, `[2]`, false},
		{`[1,2]`, `lacks [3]`, true},
		{`[1,2]`, `lacks [3,1]`, false},
		{`{"a":1}`, `names a`, true},
		{`{"a":1}`, `names a b`, false},
		{`{"a":"10.0.0.1"}`, `{"a":"<ip>"}`, true},
		{`{"a":"10.0.0.256"}`, `{"a":"<ip>"}`, false},
	} {
		var got any
		if err := json.Unmarshal([]byte(c.got), &got); err != nil {
			t.Fatal(err)
		}
		if err := compare(got, c.want); (err == nil) != c.same {
			t.Errorf("compare(%s, %s) = %v", c.got, c.want, err)
		}
	}
}
