package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// attend goes to where the networks of the running weft are. If those are the
// namespaces of a rootless one it becomes argv in there, or without argv this very
// command. Otherwise it returns, in the process that has to do the work.
func attend(dir stateDir, argv []string) error {
	if inside() {
		return nil
	}
	w, err := dir.running()
	if err != nil {
		return err
	}
	switch {
	case w.rootless && argv != nil:
		return joinRootless(w.pid, argv)
	case w.rootless:
		self, err := os.Executable()
		if err != nil {
			return err
		}
		return joinRootless(w.pid, append([]string{self}, os.Args[1:]...))
	}
	return nil
}

// runningWeft is the process that uses a state directory.
type runningWeft struct {
	pid      int
	rootless bool
}

// errNotRunning is wrapped in the error for a state directory that no weft uses.
var errNotRunning = errors.New("no weft runs")

// running is the weft that uses the state directory. The folder says which process
// that is, and a command of ours may enter its namespaces and believe its
// clouds.yaml: so the folder, its lock and the process must belong to whoever runs
// the command. Root is no exception. In the namespaces of another user's process
// that user is the master of what root would run.
func (d stateDir) running() (runningWeft, error) {
	var none runningWeft
	if err := d.owned(); err != nil {
		return none, err
	}
	if free, err := d.lockIsFree(); err != nil || free {
		return none, errors.Join(fmt.Errorf("%w with state directory %s: `weft up` starts one", errNotRunning, d), err)
	}
	data, err := os.ReadFile(d.pid())
	if err != nil {
		return none, fmt.Errorf("the weft of %s is starting or stopping: %w", d, err)
	}
	fields := strings.Fields(string(data))
	if len(fields) == 0 {
		return none, fmt.Errorf("%s is empty", d.pid())
	}
	w := runningWeft{rootless: len(fields) > 1 && fields[1] == "rootless"}
	if w.pid, err = strconv.Atoi(fields[0]); err != nil {
		return none, fmt.Errorf("%s: %w", d.pid(), err)
	}
	uid, err := effectiveUser(w.pid)
	if err != nil {
		return none, fmt.Errorf("%w with state directory %s: process %d is gone", errNotRunning, d, w.pid)
	}
	if uid != os.Geteuid() {
		return none, fmt.Errorf("process %d, which %s names, is of user %d, not of user %d", w.pid, d.pid(), uid, os.Geteuid())
	}
	return w, nil
}

// owned refuses a state directory, or a lock in it, of somebody else.
func (d stateDir) owned() error {
	for _, path := range []string{string(d), d.lockFile()} {
		var st unix.Stat_t
		err := unix.Lstat(path, &st)
		switch {
		case errors.Is(err, unix.ENOENT):
			return fmt.Errorf("%w with state directory %s: there is no %s", errNotRunning, d, path)
		case err != nil:
			return fmt.Errorf("looking at %s: %w", path, err)
		case int(st.Uid) != os.Geteuid():
			return fmt.Errorf("%s belongs to user %d, not to user %d: run this as its owner", path, st.Uid, os.Geteuid())
		}
	}
	return nil
}

// lockIsFree reports whether no process holds the lock of the state directory.
func (d stateDir) lockIsFree() (bool, error) {
	f, err := os.OpenFile(d.lockFile(), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, fmt.Errorf("looking at the lock: %w", err)
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// effectiveUser is the id of the user on whose behalf a process runs. The owner of
// its folder in /proc is not always that user.
func effectiveUser(pid int) (int, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if ids, ok := strings.CutPrefix(line, "Uid:"); ok {
			if fields := strings.Fields(ids); len(fields) > 1 {
				return strconv.Atoi(fields[1])
			}
		}
	}
	return 0, fmt.Errorf("process %d does not say whose it is", pid)
}
