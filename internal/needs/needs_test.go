package needs

import (
	"testing"
)

// ending notes how a test would have ended.
type ending struct {
	testing.TB
	how string
}

func (e *ending) Helper()               {}
func (e *ending) Fatalf(string, ...any) { e.how += "failed" }
func (e *ending) Skipf(string, ...any)  { e.how += "skipped" }

func TestMissing(t *testing.T) {
	for value, want := range map[string]string{"": "skipped", "0": "skipped", "1": "failedskipped"} {
		t.Setenv(require, value)
		e := &ending{}
		Programs(e, "no-such-program")
		if e.how != want { // the real Fatalf does not return
			t.Errorf("with %s=%q the test is %s, not %s", require, value, e.how, want)
		}
	}
}
