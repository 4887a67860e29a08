package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Dir is where namespaces have their names.
const Dir = "/run/netns"

// Mark is the alias of the loopback device of each namespace of ours.
const Mark = "weft:netns"

const loopback = 1 // the interface index of lo in every namespace

// ErrNotOurs is the refusal to delete a namespace that lacks the Mark.
var ErrNotOurs = errors.New("the namespace was not made by weft")

// Path is the file by which a named namespace can be opened.
func Path(name string) string { return filepath.Join(Dir, name) }

// Ensure makes a namespace with its loopback up and marked as ours, if there is
// none of that name. One that is there is left as it is: its loopback is brought
// up if it is down, and it stays somebody else's if it was.
func Ensure(name string) error {
	if err := ensure(name); err != nil {
		return fmt.Errorf("making network namespace %s: %w", name, err)
	}
	return nil
}

func ensure(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	switch ok, err := mounted(name); {
	case err != nil:
		return err
	case ok:
		return Do(name, bringUp)
	}
	if err := prepareDir(); err != nil {
		return err
	}
	f, err := os.OpenFile(Path(name), os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	f.Close()
	err = onThread(func() error { return pin(name) })
	if err != nil {
		os.Remove(Path(name))
	}
	return err
}

// pin makes a namespace and, when it is as it shall be, gives it its name.
func pin(name string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("leaving the present namespace: %w", err)
	}
	if err := mark(); err != nil {
		return err
	}
	return unix.Mount(self, Path(name), "", unix.MS_BIND, "")
}

// mark brings lo up and writes our alias on it, in the thread's namespace.
func mark() error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	lo := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: loopback}}
	return errors.Join(h.LinkSetAlias(lo, Mark), h.LinkSetUp(lo))
}

func bringUp() error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	return h.LinkSetUp(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: loopback}})
}

// Delete removes the name of a namespace of ours; the kernel destroys what was in
// it, later, when nobody uses it any more. A name that does not exist is no
// error; a namespace of somebody else is ErrNotOurs.
func Delete(name string) error {
	ours, err := Owned(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !ours {
		err = ErrNotOurs
	}
	if err == nil {
		err = unname(name)
	}
	if err != nil {
		return fmt.Errorf("deleting network namespace %s: %w", name, err)
	}
	return nil
}

func unname(name string) error {
	if err := unix.Unmount(Path(name), unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	if err := os.Remove(Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Exists reports whether there is a namespace of that name, whoever made it.
func Exists(name string) bool {
	ok, err := mounted(name)
	return ok && err == nil
}

// Owned reports whether the namespace is one of ours. A name that is not there
// is fs.ErrNotExist.
func Owned(name string) (bool, error) {
	ok, err := mounted(name)
	if err != nil {
		return false, err
	}
	if !ok {
		// An empty file is what is left of a namespace whose mount is gone; only
		// its name is there to be deleted, and it can hold nothing of anybody.
		_, err := os.Stat(Path(name))
		return err == nil, err
	}
	h, err := Handle(name)
	if err != nil {
		return false, err
	}
	defer h.Close()
	lo, err := h.LinkByIndex(loopback)
	if err != nil {
		return false, fmt.Errorf("reading lo of network namespace %s: %w", name, err)
	}
	return lo.Attrs().Alias == Mark, nil
}

// List is the names of the namespaces of ours, sorted.
func List() ([]string, error) {
	entries, err := os.ReadDir(Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		ok, err := mounted(e.Name())
		if err == nil && ok {
			ok, err = Owned(e.Name())
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // deleted while we looked
		case err != nil:
			return nil, err
		case ok:
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// ID tells namespaces apart: one that is made anew under an old name has another
// ID. (An ID may come back after its namespace is gone for good.)
func ID(name string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(Path(name), &st); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: Path(name), Err: err}
	}
	return st.Ino, nil
}

// Handle is a handle for routing netlink that works in the namespace, from any
// thread. The caller closes it.
func Handle(name string) (*netlink.Handle, error) {
	var h *netlink.Handle
	err := Do(name, func() (err error) {
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	return h, err
}

func checkName(name string) error {
	if name == "" || name == "." || name == ".." || name != filepath.Base(name) {
		return fmt.Errorf("%q cannot name a network namespace", name)
	}
	return nil
}

// mounted reports whether a namespace lies behind the name. No file, or a plain
// one, is none.
func mounted(name string) (bool, error) {
	var st unix.Statfs_t
	err := unix.Statfs(Path(name), &st)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return st.Type == unix.NSFS_MAGIC, err
}

// prepareDir makes Dir a mount of its own whose mounts are seen by every mount
// namespace that has it, as `ip netns add` does: otherwise a name deleted in one
// would stay busy in the other.
func prepareDir() error {
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return err
	}
	share := func() error { return unix.Mount("", Dir, "none", unix.MS_SHARED|unix.MS_REC, "") }
	err := share()
	if errors.Is(err, unix.EINVAL) { // not a mount point yet
		if err := unix.Mount(Dir, Dir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mounting %s on itself: %w", Dir, err)
		}
		err = share()
	}
	if err != nil {
		return fmt.Errorf("sharing the mounts of %s: %w", Dir, err)
	}
	return nil
}
