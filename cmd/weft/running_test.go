package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/weftnet/weft/internal/needs"
)

// used makes a state directory that this process uses, as far as its lock says, and
// whose weft.pid names a process.
func used(t *testing.T, pid int, how string) stateDir {
	t.Helper()
	d := stateDir(t.TempDir())
	lock, err := d.lock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lock.close)
	if err := os.WriteFile(d.pid(), []byte(strconv.Itoa(pid)+how+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRunning(t *testing.T) {
	if w, err := used(t, os.Getpid(), " rootless").running(); err != nil || w.pid != os.Getpid() || !w.rootless {
		t.Errorf("running = %+v, %v", w, err)
	}
	for name, d := range map[string]stateDir{
		"no folder":       stateDir(t.TempDir() + "/none"),
		"nothing in it":   stateDir(t.TempDir()),
		"process is gone": used(t, 1<<22+1, ""),
	} {
		if _, err := d.running(); !errors.Is(err, errNotRunning) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := used(t, os.Getpid(), "")
	if lock, err := d.lock(); err == nil {
		lock.close()
		t.Error("it is locked twice")
	}
}

// A lock that nobody holds belongs to a weft that has ended, whatever process has its
// number now.
func TestNumberUsedAgain(t *testing.T) {
	d := stateDir(t.TempDir())
	lock, err := d.lock()
	if err != nil {
		t.Fatal(err)
	}
	lock.close()
	if err := os.WriteFile(d.pid(), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.running(); !errors.Is(err, errNotRunning) {
		t.Errorf("running: %v", err)
	}
}

// Root is not led into the namespaces of a process of somebody else's by that
// somebody's folder, and not by a folder of its own either.
func TestOthersAreNotEntered(t *testing.T) {
	needs.Root(t)
	other := exec.Command("sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	refused := func(d stateDir, why string) {
		t.Helper()
		if _, err := d.running(); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, not %q", err, why)
		}
		if err := attend(d, nil); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("attend: %v, not %q", err, why)
		}
	}
	refused(used(t, other.Process.Pid, " rootless"), "of user 65534")
	for _, path := range []func(stateDir) string{func(d stateDir) string { return string(d) }, stateDir.lockFile} {
		d := used(t, os.Getpid(), " rootless")
		if err := os.Chown(path(d), 65534, 65534); err != nil {
			t.Fatal(err)
		}
		refused(d, "belongs to user 65534")
	}
}

// TestLockFollowsNoLink has somebody put a link in the place of the lock: what it
// leads to is not written to.
func TestLockFollowsNoLink(t *testing.T) {
	d := stateDir(t.TempDir())
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, d.lockFile()); err != nil {
		t.Fatal(err)
	}
	if lock, err := d.lock(); err == nil {
		lock.close()
		t.Error("the lock is a link, and was taken")
	}
}
