package link

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/netns"
)

// A Handle reads and changes the interfaces of one network namespace. It may be
// used by several goroutines. It keeps its namespace alive until Close.
type Handle struct {
	ns   *netns.NS
	conn *conn
	nl   *netlink.Handle // for addresses, routes and neighbours
}

// ErrNotFound is wrapped by the errors about an interface that is not there.
var ErrNotFound = errors.New("no such interface")

// Open opens a handle in the process's own namespace.
func Open() (*Handle, error) {
	ns, err := netns.Current()
	if err != nil {
		return nil, err
	}
	return open(ns)
}

// OpenIn opens a handle in a named namespace. A namespace that is not there is
// fs.ErrNotExist.
func OpenIn(name string) (*Handle, error) {
	ns, err := netns.Open(name)
	if err != nil {
		return nil, err
	}
	return open(ns)
}

func open(ns *netns.NS) (*Handle, error) {
	h := &Handle{ns: ns}
	err := ns.Do(func() (err error) {
		if h.conn, err = dial(); err != nil {
			return err
		}
		h.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("opening netlink: %w", err)
	}
	return h, nil
}

// Close releases the handle. It must not be in use.
func (h *Handle) Close() {
	if h.conn != nil {
		h.conn.close()
	}
	if h.nl != nil {
		h.nl.Close()
	}
	h.ns.Close()
}

// NS is the namespace of the handle. It is valid until Close.
func (h *Handle) NS() *netns.NS { return h.ns }

// Sysctl reads a setting of the namespace, by its path below /proc/sys
// ("net/ipv4/ip_forward").
func (h *Handle) Sysctl(path string) (string, error) {
	var b []byte
	err := h.ns.Do(func() (err error) {
		b, err = os.ReadFile(filepath.Join("/proc/sys", path))
		return err
	})
	return strings.TrimSpace(string(b)), err
}

// SetSysctl gives a setting of the namespace a value, unless it has it already.
func (h *Handle) SetSysctl(path, value string) error {
	file := filepath.Join("/proc/sys", path)
	return h.ns.Do(func() error {
		if b, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(b)) == value {
			return nil
		}
		return os.WriteFile(file, []byte(value), 0)
	})
}
