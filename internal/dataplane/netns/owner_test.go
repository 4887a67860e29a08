package netns

import (
	"errors"
	"slices"
	"testing"
)

// A namespace is of one cloud on one host: neither another cloud nor the same one in
// another network namespace, which sees the same names, takes it for its own.
func TestOwner(t *testing.T) {
	name, elsewhere := scratch(t), scratch(t)+"-elsewhere"
	t.Cleanup(func() { unname(elsewhere) })
	for n, cloud := range map[string]string{name: "ours", elsewhere: "other"} {
		if err := Ensure(n, cloud); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(where, cloud string) {
		t.Helper()
		owned, err := Owned(name, cloud)
		if err != nil || owned {
			t.Errorf("%s, cloud %q owns it: %t %v", where, cloud, owned, err)
		}
		if names, err := List(cloud); err != nil || slices.Contains(names, name) {
			t.Errorf("%s, cloud %q lists it: %v %v", where, cloud, names, err)
		}
		if err := Delete(name, cloud); !errors.Is(err, ErrNotOurs) {
			t.Errorf("%s, cloud %q deletes it: %v", where, cloud, err)
		}
	}
	refused("here", "other")
	refused("here", "")
	if err := Do(elsewhere, func() error { refused("elsewhere", "ours"); return nil }); err != nil {
		t.Fatal(err)
	}
	if names, err := List("ours"); err != nil || !slices.Contains(names, name) {
		t.Errorf("ours: %v %v", names, err)
	}
	if err := Adopt(name, "other"); err != nil {
		t.Fatal(err)
	}
	if owned, err := Owned(name, "other"); err != nil || !owned {
		t.Errorf("adopted: %t %v", owned, err)
	}
	if err := Delete(name, "other"); err != nil {
		t.Error(err)
	}
}
