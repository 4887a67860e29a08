package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftnet/weft/internal/dataplane/ownhost"
)

// binaryEnv names a binary of weft to test instead of one built for the purpose.
// The processes that tests start for their hosts are told by it which one it is.
const binaryEnv = "WEFT_E2E_BINARY"

func TestMain(m *testing.M) {
	if os.Getenv(hostEnv) != "" {
		if err := ownhost.Furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "making a host for the test:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	os.Exit(withBinary(m.Run))
}

// withBinary builds weft, once for all tests.
func withBinary(run func() int) int {
	if os.Getenv(binaryEnv) != "" {
		return run()
	}
	dir, err := os.MkdirTemp("", "weft-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755) // the rootless test runs it as somebody else
	bin := filepath.Join(dir, "weft")
	if err := noteSources(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	build := exec.Command("go", "build", "-o", bin, "../../cmd/weft")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building weft:", err)
		return 1
	}
	os.Setenv(binaryEnv, bin)
	return run()
}

// noteSources looks at every source of weft, so that `go test` knows what the
// results depend on and does not give old ones for a changed weft.
func noteSources() error {
	return filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (strings.HasPrefix(e.Name(), ".") && len(e.Name()) > 2 || e.Name() == "bin"):
			return filepath.SkipDir
		case e.IsDir():
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
}
