// Package needs is how a test says what it cannot do without: a program, the rights
// of root, a database. On a developer's machine the test is then skipped, by name.
// With WEFT_REQUIRE=1, as in CI, it fails: what is meant to be tested there cannot
// pass by being left out. What only a kernel can have is skipped by the tests
// themselves, everywhere.
package needs

import (
	"os"
	"os/exec"
	"testing"
)

// require is the variable that makes a want a failure.
const require = "WEFT_REQUIRE"

// Missing ends the test, since something is not here.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(require) != "" && os.Getenv(require) != "0" {
		t.Fatalf("missing, and "+require+" is set: "+format, args...)
	}
	t.Skipf(format, args...)
}

// Programs ends the test if one of the programs is not here.
func Programs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			Missing(t, "needs the program %s", name)
		}
	}
}

// Root ends the test if it is not root's.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "needs root")
	}
}
