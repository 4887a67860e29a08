package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/weftnet/weft"
)

// Options are merged in a time that grows with their number, not with its square.
func TestMergeManyOptions(t *testing.T) {
	many := func(name string) (out []weft.ExtraDHCPOpt) {
		for i := range 100_000 {
			out = append(out, weft.ExtraDHCPOpt{Name: fmt.Sprint(name, i), Value: "1", IPVersion: 4})
		}
		return out
	}
	start := time.Now()
	if n := len(mergeOptions(many("a"), many("b"))); n != 200_000 {
		t.Errorf("%d options", n)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}
