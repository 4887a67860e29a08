package netns

import "testing"

func TestWatch(t *testing.T) {
	name := scratch(t)
	gone, err := Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := Ensure(name, ""); err != nil {
		t.Fatal(err)
	}
	for Exists(name) {
		if err := Delete(name, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := <-gone; !ok {
		t.Error("the watch ended")
	}
}
