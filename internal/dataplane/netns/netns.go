package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/mark"
)

// Dir is where namespaces have their names.
const Dir = "/run/netns"

const loopback = 1 // the interface index of lo in every namespace

// ErrNotOurs is the refusal to use or delete a namespace that is not the cloud's, on
// this host.
var ErrNotOurs = errors.New("the namespace is not of this weft")

// Home is the host that the caller is on, a network namespace too, by its number in
// the kernel. Names in Dir may be those of several hosts: who has network namespaces
// without mounts of their own.
func Home() (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(self, &st); err != nil {
		return "", fmt.Errorf("finding the present network namespace: %w", err)
	}
	return strconv.FormatUint(st.Ino, 10), nil
}

// markOf is the mark of the cloud's namespaces on this host.
func markOf(cloud string) (mark.Mark, error) {
	if cloud == "" {
		return mark.Mark{Kind: mark.Space}, nil
	}
	home, err := Home()
	return mark.Mark{Kind: mark.Space, Cloud: cloud, Host: home}, err
}

// Path is the file by which a named namespace can be opened.
func Path(name string) string { return filepath.Join(Dir, name) }

// Ensure makes a namespace with its loopback up and marked as the cloud's, if there
// is none of that name. One that is there is left as it is: its loopback is brought
// up if it is down, and it stays somebody else's if it was.
func Ensure(name, cloud string) error {
	if err := ensure(name, cloud); err != nil {
		return fmt.Errorf("making network namespace %s: %w", name, err)
	}
	return nil
}

func ensure(name, cloud string) error {
	if err := checkName(name); err != nil {
		return err
	}
	switch ok, err := mounted(name); {
	case err != nil:
		return err
	case ok:
		return Do(name, bringUp)
	}
	alias, err := markOf(cloud)
	if err != nil {
		return err
	}
	if err := prepareDir(); err != nil {
		return err
	}
	f, err := os.OpenFile(Path(name), os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	f.Close()
	err = onThread(func() error { return pin(name, alias.String()) })
	if err != nil {
		os.Remove(Path(name))
	}
	return err
}

// pin makes a namespace and, when it is as it shall be, gives it its name.
func pin(name, alias string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("leaving the present namespace: %w", err)
	}
	if err := begin(alias); err != nil {
		return err
	}
	return unix.Mount(self, Path(name), "", unix.MS_BIND, "")
}

// begin brings lo up and writes an alias on it, in the thread's namespace.
func begin(alias string) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	lo := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: loopback}}
	return errors.Join(h.LinkSetAlias(lo, alias), h.LinkSetUp(lo))
}

func bringUp() error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	return h.LinkSetUp(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: loopback}})
}

// Delete removes the name of a namespace of the cloud; the kernel destroys what was
// in it, later, when nobody uses it any more. A name that does not exist is no
// error; a namespace of somebody else is ErrNotOurs.
func Delete(name, cloud string) error {
	ours, err := Owned(name, cloud)
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

// Owned reports whether the namespace is the cloud's, on this host. A name that is
// not there is fs.ErrNotExist.
func Owned(name, cloud string) (bool, error) {
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
	want, err := markOf(cloud)
	if err != nil {
		return false, err
	}
	alias, err := alias(name)
	return alias == want.String(), err
}

// alias is that of a namespace's loopback.
func alias(name string) (string, error) {
	h, err := Handle(name)
	if err != nil {
		return "", err
	}
	defer h.Close()
	lo, err := h.LinkByIndex(loopback)
	if err != nil {
		return "", fmt.Errorf("reading lo of network namespace %s: %w", name, err)
	}
	return lo.Attrs().Alias, nil
}

// Adopt makes a namespace the cloud's, whosever it was.
func Adopt(name, cloud string) error {
	want, err := markOf(cloud)
	if err != nil {
		return err
	}
	h, err := Handle(name)
	if err != nil {
		return fmt.Errorf("adopting network namespace %s: %w", name, err)
	}
	defer h.Close()
	return h.LinkSetAlias(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: loopback}}, want.String())
}

// List is the names of the cloud's namespaces on this host, sorted.
func List(cloud string) ([]string, error) {
	all, err := Marked()
	var names []string
	for name, m := range all {
		if m.Cloud == cloud {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}

// Marked is the namespaces of wefts on this host, and what they are marked with.
func Marked() (map[string]mark.Mark, error) {
	home, err := Home()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]mark.Mark{}
	for _, e := range entries {
		if ok, err := mounted(e.Name()); err != nil || !ok {
			continue // no namespace, or deleted while we looked
		}
		text, err := alias(e.Name())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if m, ok := mark.Parse(text); ok && m.Kind == mark.Space && (m.Host == "" || m.Host == home) {
			out[e.Name()] = m
		}
	}
	return out, nil
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
