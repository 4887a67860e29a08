package share

import "testing"

func TestShares(t *testing.T) {
	s := New[string](3, 2)
	for i, take := range []struct {
		who string
		got bool
	}{{"a", true}, {"a", true}, {"a", false}, {"b", true}, {"b", false}} {
		if got := s.Take(take.who); got != take.got {
			t.Errorf("%s takes one, as number %d: %v", take.who, i+1, got)
		}
	}
	s.GiveBack("a")
	if !s.Take("b") || s.Take("a") {
		t.Error("what is given back cannot be taken")
	}
	if len(s.used) != 2 {
		t.Errorf("kept of %v", s.used)
	}
}
