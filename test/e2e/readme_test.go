package e2e

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/needs"
)

// TestREADME does what the README says, as written, in a fresh clone: `make run`, the
// whole tour, and the chapter of docs/operating.md on backup, restore and upgrade.
func TestREADME(t *testing.T) {
	onHost(t, func(t *testing.T) {
		r := newReader(t)
		r.make("install", "DESTDIR="+t.TempDir())
		stop := r.start("make", "run")
		r.follow("README.md", "A tour of five minutes")
		r.do("bin/weft stop --state-dir .weft")
		stop()
		r.do("bin/weft up --cleanup --state-dir .weft") // another cloud is refused where this one's things are
		r.operate()
	}, "make", "git", "openstack", "ping", "ip")
}

// TestREADMERootless is the tour of an ordinary user. The program is built already:
// that user has no cache to build it from in a reasonable time.
func TestREADMERootless(t *testing.T) {
	onHost(t, func(t *testing.T) {
		c := newCloud(t)
		home := c.becomeNobody()
		if err := c.mayMakeUserNamespaces(); err != nil {
			needs.Missing(t, "needs unprivileged user namespaces: %v", err)
		}
		r := newReader(t)
		r.attr = c.attr
		r.env = append(r.env, "HOME="+home)
		r.place(os.Getenv(binaryEnv))
		stop := r.start("bin/weft", "up", "--state-dir", ".weft")
		r.follow("README.md", "A tour of five minutes")
		r.do("bin/weft stop --state-dir .weft")
		stop()
	}, "git", "openstack", "ping", "ip", "nsenter")
}

// reader is somebody who does what the documents say.
type reader struct {
	t    *testing.T
	dir  string // the clone
	env  []string
	attr syscall.SysProcAttr
}

func newReader(t *testing.T) *reader {
	dir := filepath.Join(t.TempDir(), "weft")
	// The ordinary user goes through the folders that are this test's own, and no others'.
	for d := filepath.Dir(dir); d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := &reader{t: t, dir: dir, env: os.Environ()}
	clone := exec.Command("git", "-c", "safe.directory=*", "clone", "--quiet", "--no-hardlinks", "../..", dir)
	if out, err := clone.CombinedOutput(); err != nil {
		needs.Missing(t, "needs a git checkout to clone: %v\n%s", err, out)
	}
	return r
}

// place puts a binary where `make build` would, and gives the clone to the reader.
func (r *reader) place(binary string) {
	data, err := os.ReadFile(binary)
	if err == nil {
		err = os.Mkdir(filepath.Join(r.dir, "bin"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(r.dir, "bin/weft"), data, 0o755)
	}
	if err == nil && r.attr.Credential != nil {
		err = filepath.Walk(r.dir, func(path string, _ os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, int(r.attr.Credential.Uid), int(r.attr.Credential.Gid))
		})
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *reader) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(r.t.Context(), name, args...)
	attr := r.attr
	cmd.Dir, cmd.Env, cmd.SysProcAttr = r.dir, r.env, &attr
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func (r *reader) make(args ...string) {
	r.t.Helper()
	if out, err := r.command("make", args...).CombinedOutput(); err != nil {
		r.t.Fatalf("make %v: %v\n%s", args, err, out)
	}
}

// do runs lines of shell, all of which have to succeed, and returns what they print.
func (r *reader) do(lines ...string) string {
	r.t.Helper()
	out, err := r.command("bash", "-euxo", "pipefail", "-c", strings.Join(lines, "\n")).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", strings.Join(lines, "\n"), err, out)
	}
	return string(out)
}

// follow does the commands of a chapter, in one shell as a person would.
func (r *reader) follow(file, chapter string) {
	r.t.Helper()
	lines := r.commands(file, chapter)
	if len(lines) < 3 {
		r.t.Fatalf("%s has no commands under %q", file, chapter)
	}
	proven := r.do(lines...)
	for _, want := range []string{"all 20 proofs passed", " 0% packet loss"} {
		if !strings.Contains(proven, want) {
			r.t.Errorf("nothing says %q:\n%s", want, proven)
		}
	}
}

// commands are the lines with a prompt of a chapter's console blocks.
func (r *reader) commands(file, chapter string) []string {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, file))
	if err != nil {
		r.t.Fatal(err)
	}
	_, text, found := strings.Cut(string(data), "\n## "+chapter+"\n")
	if !found {
		r.t.Fatalf("%s has no chapter %q", file, chapter)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var out []string
	for line := range strings.Lines(text) {
		if c, ok := strings.CutPrefix(line, "$ "); ok {
			out = append(out, strings.TrimSpace(c))
		}
	}
	return out
}

// start runs a weft until stop, which waits for an end that something else asked for.
func (r *reader) start(name string, args ...string) (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	cmd := r.command(name, args...)
	cmd.SysProcAttr.Setpgid = true
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "weft: ready") {
				close(ready)
			}
		}
		cancel()
	}()
	select {
	case <-ready:
	case <-ended:
		r.t.Fatalf("%s %v ended:\n%s", name, args, log.String())
	case <-time.After(5 * time.Minute):
		r.t.Fatalf("%s %v does not become ready:\n%s", name, args, log.String())
	}
	return func() {
		r.t.Helper()
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
			r.t.Fatal("it was told to stop and goes on")
		}
		if err := cmd.Wait(); err != nil {
			r.t.Errorf("%s %v: %v\n%s", name, args, err, log.String())
		}
	}
}

// operate makes a backup, loses what was made after it, and restores it, with the
// commands of docs/operating.md and the folders that it names: those of this host,
// which the test hides behind empty ones.
func (r *reader) operate() {
	for _, dir := range []string{"/var/lib", "/var/backups"} {
		if err := unix.Mount("weft-test", dir, "tmpfs", 0, ""); err != nil {
			needs.Missing(r.t, "needs to mount over %s: %v", dir, err)
		}
	}
	r.env = append(r.env, "PATH="+filepath.Join(r.dir, "bin")+":"+os.Getenv("PATH"))
	cloud := "export OS_CLIENT_CONFIG_FILE=/var/lib/weft/clouds.yaml OS_CLOUD=weft"
	steps := r.commands("docs/operating.md", "Backup, restore, upgrade")
	if len(steps) != 7 {
		r.t.Fatalf("the chapter has other commands than this test knows: %q", steps)
	}
	stop := r.start(filepath.Join(r.dir, "bin/weft"), "up")
	r.do(cloud, "openstack network create before", steps[0], "openstack network create after", steps[1])
	stop()
	r.do(steps[2:4]...)
	stop = r.start(filepath.Join(r.dir, "bin/weft"), "up")
	if names := r.do(cloud, "openstack network list -f value -c Name"); !strings.Contains(names, "before") ||
		strings.Contains(names, "after") {
		r.t.Errorf("after the restore there are %s", names)
	}
	if out := r.do(steps[4:]...); !strings.Contains(out, "schema ") {
		r.t.Errorf("no schema in %s", out)
	}
	stop()
	stop = r.start(filepath.Join(r.dir, "bin/weft"), "up") // the new version, which is the same one here
	r.do("weft status", "weft stop")
	stop()
}
