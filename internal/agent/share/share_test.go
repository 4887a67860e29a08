package share

import "testing"

func TestShares(t *testing.T) {
	s := New[string](3, 2)
	if !s.Take("a") || !s.Take("a") || s.Take("a") || !s.Take("b") || s.Take("b") {
		t.Error("shares are not kept")
	}
	s.GiveBack("a")
	if !s.Take("b") || s.Take("a") {
		t.Error("what is given back cannot be taken")
	}
	if len(s.used) != 2 {
		t.Errorf("kept of %v", s.used)
	}
}
