package plug

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/link"
)

// device is an interface in a namespace and a handle there.
type device struct {
	*link.Handle
	link link.Link
}

func openDevice(namespace, name string) (*device, error) {
	h, err := link.OpenIn(namespace)
	if err != nil {
		return nil, err
	}
	l, err := h.ByName(name)
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("in namespace %s: %w", namespace, err)
	}
	return &device{Handle: h, link: l}, nil
}

func (d *device) up() error {
	if d.link.Up {
		return nil
	}
	return d.Set(d.link.Index, link.Up(true))
}

// configure puts a lease in force. What is right already is left alone.
func (d *device) configure(l Lease) error {
	if l.MTU > 0 && l.MTU != d.link.MTU {
		if err := d.Set(d.link.Index, link.MTU(l.MTU)); err != nil {
			return err
		}
	}
	if err := d.setAddress(l.Address); err != nil {
		return err
	}
	return d.setRoutes(l.Routes)
}

// setAddress makes p the only IPv4 address. Others go first: the kernel deletes
// the secondary addresses of a subnet with the primary one.
func (d *device) setAddress(p netip.Prefix) error {
	had, err := d.Addrs(d.link.Index)
	if err != nil {
		return err
	}
	for _, old := range had {
		if old != p && old.Addr().Is4() {
			if err := d.DeleteAddr(d.link.Index, old); err != nil {
				return err
			}
		}
	}
	return d.AddAddr(d.link.Index, p)
}

// setRoutes makes routes the only ones of a DHCP client. Those on the link come
// first, because the next hops of others may be behind them.
func (d *device) setRoutes(routes []weft.Route) error {
	keep := map[netip.Prefix]bool{}
	for _, onLink := range []bool{true, false} {
		for _, r := range routes {
			if r.NextHop.IsUnspecified() != onLink {
				continue
			}
			if err := d.ReplaceRoute(d.route(r)); err != nil {
				return err
			}
			keep[r.Destination] = true
		}
	}
	had, err := d.Routes(d.link.Index)
	if err != nil {
		return err
	}
	for _, old := range had {
		if old.Protocol == unix.RTPROT_DHCP && !keep[old.Dst] {
			if err := d.DeleteRoute(old); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *device) route(r weft.Route) link.Route {
	k := link.Route{Dst: r.Destination, Link: d.link.Index, Protocol: unix.RTPROT_DHCP}
	if !r.NextHop.IsUnspecified() {
		k.Via, k.OnLink = r.NextHop, true // a next hop outside the subnet is legal
	}
	return k
}

// resolvMark is the first line of what writeResolv writes.
const resolvMark = "# written by weft\n"

func resolvPath(namespace string) string {
	return filepath.Join("/etc/netns", namespace, "resolv.conf")
}

// writeResolv tells programs started by "ip netns exec" the name servers, and
// returns the file's path. A machine whose /etc cannot be written is no error,
// and a file somebody else wrote is left alone: then the path is empty.
func writeResolv(namespace string, l Lease) string {
	path := resolvPath(namespace)
	if old, err := os.ReadFile(path); err == nil && !strings.HasPrefix(string(old), resolvMark) {
		return ""
	}
	var b strings.Builder
	b.WriteString(resolvMark)
	if l.Domain != "" {
		fmt.Fprintf(&b, "search %s\n", l.Domain)
	}
	for _, a := range l.DNS {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return ""
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return ""
	}
	return path
}

// removeResolv takes back what writeResolv wrote.
func removeResolv(namespace string) {
	path := resolvPath(namespace)
	if old, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(old), resolvMark) {
		return
	}
	os.Remove(path)
	os.Remove(filepath.Dir(path)) // fails while it holds other files
}
