// Package hosttest gives the tests of a package a host of their own: network
// interfaces, namespace names and /run that nobody else sees. So tests may delete
// what an agent would delete on a real host, run beside each other and beside a
// weft at work, and leave nothing behind, however they end.
package hosttest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/weftnet/weft/internal/dataplane/ownhost"
	"github.com/weftnet/weft/internal/needs"
)

// inside is set in the environment of a process on a host of its own.
const inside = "WEFT_TEST_HOST"

// Main is the body of a package's TestMain: it runs the tests in a new process on
// a host of its own. Without root that is one in a user namespace; where the
// kernel refuses that too, the tests run here and must skip what needs root (see
// Need).
func Main(m *testing.M) {
	if slices.Contains(os.Args, "-test.fuzzworker") { // of a process that is on its host, by pipes that only it has
		os.Exit(m.Run())
	}
	if os.Getenv(inside) != "" {
		if err := ownhost.Furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "making a host for the tests:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	err := ownhost.Again(inside)
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit):
		os.Exit(max(exit.ExitCode(), 1))
	}
	fmt.Fprintln(os.Stderr, "no host of their own for the tests:", err)
	os.Exit(m.Run())
}

// Need ends a test that cannot be done where it runs.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	if os.Getenv(inside) == "" {
		needs.Missing(t, "needs root or user namespaces: makes network namespaces")
	}
	needs.Programs(t, programs...)
}
