package plug

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
)

// device is an interface in a namespace and a netlink socket there.
type device struct {
	*netlink.Handle
	link netlink.Link
}

func (d *device) close() { d.Handle.Close() }

func (d *device) up() error {
	if err := d.LinkSetUp(d.link); err != nil {
		return fmt.Errorf("setting %s up: %w", d.link.Attrs().Name, err)
	}
	return nil
}

// configure puts a lease in force. What is right already is left alone.
func (d *device) configure(l Lease) error {
	if l.MTU > 0 && l.MTU != d.link.Attrs().MTU {
		if err := d.LinkSetMTU(d.link, l.MTU); err != nil {
			return fmt.Errorf("setting the MTU of %s to %d: %w", d.link.Attrs().Name, l.MTU, err)
		}
	}
	if err := d.setAddress(l.Address); err != nil {
		return fmt.Errorf("setting the address %s: %w", l.Address, err)
	}
	return d.setRoutes(l.Routes)
}

// setAddress makes p the only IPv4 address. Others go first: the kernel deletes
// the secondary addresses of a subnet with the primary one.
func (d *device) setAddress(p netip.Prefix) error {
	addrs, err := d.AddrList(d.link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if a.IPNet.String() != p.String() {
			if err := d.AddrDel(d.link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				return err
			}
		}
	}
	return d.AddrReplace(d.link, &netlink.Addr{IPNet: ipNet(p)})
}

// setRoutes makes routes the only ones of a DHCP client. Those on the link come
// first, because the next hops of others may be behind them.
func (d *device) setRoutes(routes []weft.Route) error {
	keep := map[string]bool{}
	for _, onLink := range []bool{true, false} {
		for _, r := range routes {
			if r.NextHop.IsUnspecified() != onLink {
				continue
			}
			k := d.route(r)
			if err := d.RouteReplace(k); err != nil {
				return fmt.Errorf("adding the route to %s via %s: %w", r.Destination, r.NextHop, err)
			}
			keep[k.Dst.String()] = true
		}
	}
	return d.dropRoutes(keep)
}

func (d *device) dropRoutes(keep map[string]bool) error {
	had, err := d.RouteListFiltered(netlink.FAMILY_V4,
		&netlink.Route{LinkIndex: d.link.Attrs().Index, Protocol: unix.RTPROT_DHCP},
		netlink.RT_FILTER_OIF|netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return err
	}
	for _, r := range had {
		if r.Dst != nil && !keep[r.Dst.String()] || r.Dst == nil && !keep["0.0.0.0/0"] {
			if err := d.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("removing the route to %s: %w", r.Dst, err)
			}
		}
	}
	return nil
}

func (d *device) route(r weft.Route) *netlink.Route {
	k := &netlink.Route{LinkIndex: d.link.Attrs().Index, Dst: ipNet(r.Destination), Protocol: unix.RTPROT_DHCP}
	if r.NextHop.IsUnspecified() {
		k.Scope = netlink.SCOPE_LINK
	} else {
		k.Gw = r.NextHop.AsSlice()
		k.Flags = int(netlink.FLAG_ONLINK) // a next hop outside the subnet is legal
	}
	return k
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
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
