package hostlock

import (
	"errors"
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/agent/hosttest"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

func TestOneHolder(t *testing.T) {
	hosttest.Need(t)
	me := Holder{PID: 1, StateDir: "/one"}
	release, err := Take(me)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = Take(Holder{StateDir: "/two"})
		var held *HeldError
		if !errors.As(err, &held) || held.Holder.StateDir != "/one" || held.Holder.PID != os.Getpid() {
			t.Fatalf("the second taker is told %v", err)
		}
	}
	release()
	if release, err = Take(me); err != nil {
		t.Fatalf("after its release: %v", err)
	}
	release()
}

// A holder that says nothing, or nonsense, holds nevertheless.
func TestStranger(t *testing.T) {
	hosttest.Need(t)
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var held *HeldError
	if _, err = Take(Holder{StateDir: "/two"}); !errors.As(err, &held) || held.Holder.PID != os.Getpid() ||
		held.Holder.StateDir != "" {
		t.Errorf("a silent holder: %v", err)
	}
}

// Another network namespace is another host.
func TestPerNamespace(t *testing.T) {
	hosttest.Need(t)
	first, err := Take(Holder{})
	if err != nil {
		t.Fatal(err)
	}
	defer first()
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	second, err := Take(Holder{})
	if err != nil {
		t.Fatal(err)
	}
	second()
}
