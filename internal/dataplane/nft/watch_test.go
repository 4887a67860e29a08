package nft_test

import (
	"testing"

	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/dataplane/nft"
)

func TestWatch(t *testing.T) {
	hosttest.Need(t)
	signals, err := nft.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := nft.Open(0), nft.Open(0)
	changed := func(want bool) {
		t.Helper()
		if _, ok := <-signals; !ok {
			t.Fatal("the watch ended")
		}
		if got, err := ours.Changed(); got != want || err != nil {
			t.Errorf("Changed = %v, %v", got, err)
		}
	}
	if _, err := ours.Converge(t.Context(), filter()); err != nil {
		t.Fatal(err)
	}
	changed(false)
	if err := theirs.Delete(filter()); err != nil {
		t.Fatal(err)
	}
	changed(true)
	if _, err := ours.Converge(t.Context(), filter()); err != nil {
		t.Fatal(err)
	}
	changed(false)
	if err := theirs.Delete(filter()); err != nil {
		t.Fatal(err)
	}
}
