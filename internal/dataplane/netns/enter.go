package netns

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// NS is an open namespace. It keeps the namespace alive, named or not, until
// Close.
type NS struct{ file *os.File }

// Open opens a named namespace. One that is not there is fs.ErrNotExist.
func Open(name string) (*NS, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if ok, err := mounted(name); err == nil && !ok {
		return nil, &fs.PathError{Op: "open", Path: Path(name), Err: fs.ErrNotExist}
	}
	return openPath(Path(name))
}

// Current opens the namespace that the calling thread is in. Outside of Do that
// is the one the process was started in.
func Current() (*NS, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return openPath(self)
}

func openPath(path string) (*NS, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &NS{f}, nil
}

// FD is the descriptor by which netlink messages name the namespace. It is
// valid until Close.
func (n *NS) FD() int { return int(n.file.Fd()) }

// Close lets go of the namespace.
func (n *NS) Close() error { return n.file.Close() }

// Do runs f in the namespace, on a thread that runs nothing else meanwhile.
// Sockets that f opens stay in the namespace; goroutines that f starts are not in
// it. Do returns f's error, or says why the namespace could not be entered.
func (n *NS) Do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(n.FD(), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering network namespace %s: %w", n.file.Name(), err)
		}
		return f()
	})
}

// Do runs f in a named namespace; see NS.Do.
func Do(name string, f func() error) error {
	n, err := Open(name)
	if err != nil {
		return err
	}
	defer n.Close()
	return n.Do(f)
}

// onThread runs f on a thread of its own and returns the thread to the namespace
// it was in. A thread that cannot return is left locked, and so dies with its
// goroutine instead of running others in the wrong place. So it does when f
// panics.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := openPath(self)
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		defer home.Close()
		err = f()
		if unix.Setns(home.FD(), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// self is the namespace of the thread that opens it.
const self = "/proc/thread-self/ns/net"
