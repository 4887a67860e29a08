package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/needs"
)

// scratch is a namespace name that nobody else uses.
func scratch(t *testing.T) string {
	t.Helper()
	needs.Root(t)
	name := fmt.Sprintf("wt-netns-%d-%s", os.Getpid(), strings.ToLower(t.Name()))
	t.Cleanup(func() {
		if Exists(name) {
			unname(name)
		}
	})
	return name
}

func TestEnsureListDelete(t *testing.T) {
	name := scratch(t)
	if _, err := Open(name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("opening what is not there: %v", err)
	}
	if err := Ensure(name, ""); err != nil {
		t.Fatal(err)
	}
	first, _ := ID(name)
	if err := Ensure(name, ""); err != nil {
		t.Fatalf("again: %v", err)
	}
	if again, _ := ID(name); again != first {
		t.Error("the second Ensure made a new namespace")
	}
	if names, err := List(""); err != nil || !slices.Contains(names, name) {
		t.Errorf("List = %v, %v", names, err)
	}
	if err := Delete(name, ""); err != nil {
		t.Fatal(err)
	}
	if Exists(name) {
		t.Error("still there after Delete")
	}
	if err := Delete(name, ""); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
}

func TestForeignIsSpared(t *testing.T) {
	name := scratch(t)
	needs.Programs(t, "ip")
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := Ensure(name, ""); err != nil {
		t.Fatal(err)
	}
	if names, _ := List(""); slices.Contains(names, name) {
		t.Error("List takes a foreign namespace for ours")
	}
	if err := Delete(name, ""); !errors.Is(err, ErrNotOurs) {
		t.Errorf("Delete = %v", err)
	}
}

func TestEnsureMendsHalfMade(t *testing.T) {
	name := scratch(t)
	if err := prepareDir(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(Path(name), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if err := Ensure(name, ""); err != nil {
		t.Fatal(err)
	}
	if !Exists(name) {
		t.Error("no namespace behind the name")
	}
}

func TestDoComesBack(t *testing.T) {
	name := scratch(t)
	if err := Ensure(name, ""); err != nil {
		t.Fatal(err)
	}
	want, _ := ID(name)
	inode := func() uint64 {
		var st unix.Stat_t
		if err := unix.Stat(self, &st); err != nil {
			t.Error(err)
		}
		return st.Ino
	}
	home := inode()
	oops := errors.New("oops")
	for range 50 {
		var in uint64
		if err := Do(name, func() error { in = inode(); return oops }); err != oops {
			t.Fatal(err)
		}
		if in != want {
			t.Fatalf("inside is %d, want %d", in, want)
		}
		if got := inode(); got != home {
			t.Fatalf("outside is %d, want %d", got, home)
		}
	}
}

func TestIPSeesOurs(t *testing.T) {
	name := scratch(t)
	if err := Ensure(name, ""); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ip", "-n", name, "link", "show", "lo").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "weft:netns") || !strings.Contains(string(out), "LOOPBACK,UP") {
		t.Errorf("%v: %s", err, out)
	}
}
