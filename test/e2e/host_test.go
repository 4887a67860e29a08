package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/ownhost"
	"github.com/weftnet/weft/internal/needs"
)

// hostEnv is set, to the name of the test, in a process on a host of its own.
const hostEnv = "WEFT_E2E_HOST"

// onHost runs a test on a host of its own: in a process with network interfaces,
// namespace names, /run and /sys that nobody else sees and that are gone when it
// ends, however it ends. Without root that is one in a user namespace; where the
// kernel refuses that too, the test is skipped.
func onHost(t *testing.T, test func(*testing.T), programs ...string) {
	needs.Programs(t, programs...)
	if os.Getenv(hostEnv) == t.Name() {
		test(t)
		return
	}
	skipped, err := runAgain(t)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		t.Fatalf("on a host of its own: %v", err)
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EINVAL):
		needs.Missing(t, "needs root or unprivileged user namespaces: %v", err)
	case err != nil:
		t.Fatal(err)
	case skipped != "":
		t.Skip(skipped)
	}
}

// runAgain runs the test in new namespaces. Its output is shown behind a bar, so
// that nothing takes its lines for reports of this process.
func runAgain(t *testing.T) (skipped string, err error) {
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1", fmt.Sprintf("-test.short=%t", testing.Short()))
	if deadline, ok := t.Deadline(); ok {
		cmd.Args = append(cmd.Args, "-test.timeout="+untilJustBefore(deadline))
	}
	cmd.Env = append(os.Environ(), hostEnv+"="+t.Name())
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	done := make(chan struct{})
	go func() {
		defer close(done)
		skipped = relay(t, r)
	}()
	err = ownhost.Run(cmd)
	w.Close()
	<-done
	return skipped, err
}

var (
	skipLine   = regexp.MustCompile(`^--- SKIP: `)
	reportLine = regexp.MustCompile(`^(=== |\s*--- PASS|PASS$|ok )`)
)

// relay copies the output of the process and finds out whether, and why, its test
// was skipped.
func relay(t *testing.T, r io.Reader) (skipped string) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 16<<20)
	last := ""
	for in.Scan() {
		line := in.Text()
		if skipLine.MatchString(line) {
			skipped = last
		}
		if !reportLine.MatchString(line) {
			fmt.Fprintln(t.Output(), "| "+line)
			last = line
		}
	}
	io.Copy(io.Discard, r)
	return skipped
}
