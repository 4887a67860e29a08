package dhcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// kernel is where the operations of one wiring are done.
type kernel struct {
	root *netlink.Handle
	ns   *netlink.Handle // nil until the namespace is there
}

func (k *kernel) close() {
	k.root.Close()
	if k.ns != nil {
		k.ns.Close()
	}
}

// wire makes the kernel agree with want, and says what it changed and where the
// sockets belong. The place is valid even when only the bridge is missing: then
// the service waits for it, ready.
func (a *Agent) wire(want wiring) (done []string, at place, err error) {
	root, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, place{}, err
	}
	k := &kernel{root: root}
	defer k.close()
	have, err := k.observe(want)
	if err != nil {
		return nil, place{}, fmt.Errorf("observing %s: %w", want.namespace, err)
	}
	for _, o := range plan(want, have) {
		if err := o.run(k); err != nil {
			return done, place{}, fmt.Errorf("%s: %w", o.text, err)
		}
		done = append(done, o.text)
	}
	at, err = k.place(want)
	if err != nil {
		return done, place{}, err
	}
	if have.bridge == 0 {
		err = fmt.Errorf("bridge %s is not there", want.bridge)
	}
	return done, at, err
}

func (k *kernel) place(want wiring) (place, error) {
	l, err := k.ns.LinkByName(want.device)
	if err != nil {
		return place{}, err
	}
	id, err := netns.ID(want.namespace)
	return place{namespace: id, ifindex: l.Attrs().Index}, err
}

// observe reads what there is of want. A namespace or a device of somebody else
// by the same name is an error: it must be neither used nor deleted.
func (k *kernel) observe(want wiring) (have observed, err error) {
	if l, err := find(k.root, want.bridge); err != nil {
		return have, err
	} else {
		have.bridge = l.index
	}
	if have.tap, err = find(k.root, want.tap); err != nil {
		return have, err
	}
	if !netns.Exists(want.namespace) {
		return have, have.conflict(want)
	}
	switch owned, err := netns.Owned(want.namespace); {
	case err != nil:
		return have, err
	case !owned:
		return have, fmt.Errorf("namespace %s is not ours", want.namespace)
	}
	have.namespace = true
	if k.ns, err = netns.Handle(want.namespace); err != nil {
		return have, err
	}
	if err := k.observeInside(want, &have); err != nil {
		return have, err
	}
	return have, have.conflict(want)
}

func (k *kernel) observeInside(want wiring, have *observed) error {
	links, err := k.ns.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		switch name := l.Attrs().Name; {
		case name == want.device:
			have.device = linkOf(l)
		case strings.HasPrefix(name, devicePrefix):
			have.stale = append(have.stale, name)
		}
	}
	if have.device.index == 0 {
		return nil
	}
	return k.observeAddresses(have)
}

func (k *kernel) observeAddresses(have *observed) error {
	dev := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: have.device.index}}
	addrs, err := k.ns.AddrList(dev, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		ip = ip.Unmap()
		if ok && !(ip.Is6() && ip.IsLinkLocalUnicast()) {
			have.addresses = append(have.addresses, netip.PrefixFrom(ip, bits))
		}
	}
	routes, err := k.ns.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{LinkIndex: have.device.index, Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if gw, ok := netip.AddrFromSlice(r.Gw.To4()); ok && isDefault(r.Dst) {
			have.gateway = gw
		}
	}
	return nil
}

func isDefault(dst *net.IPNet) bool {
	if dst == nil {
		return true
	}
	ones, _ := dst.Mask.Size()
	return ones == 0
}

// find is the link of that name, zero when there is none.
func find(h *netlink.Handle, name string) (link, error) {
	l, err := h.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return link{}, nil
	}
	if err != nil {
		return link{}, err
	}
	return linkOf(l), nil
}

func linkOf(l netlink.Link) link {
	a := l.Attrs()
	out := link{index: a.Index, alias: a.Alias, mtu: a.MTU, up: a.Flags&net.FlagUp != 0, master: a.MasterIndex, peer: a.ParentIndex}
	if len(a.HardwareAddr) == 6 {
		out.mac = weft.MAC(a.HardwareAddr)
	}
	return out
}

func (k *kernel) makeNamespace(name string) error {
	if err := netns.Ensure(name); err != nil {
		return err
	}
	var err error
	if k.ns, err = netns.Handle(name); err != nil {
		return err
	}
	return netns.Do(name, func() error {
		return errors.Join(
			// A router's advertisements are for the guests: the service has its addresses.
			sysctl("ipv6/conf/default/accept_ra", "0"),
			// An address that goes must not take others of its subnet along.
			sysctl("ipv4/conf/all/promote_secondaries", "1"))
	})
}

// sysctl sets one of the thread's namespace. What the kernel lacks is no error.
func sysctl(name, value string) error {
	err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (k *kernel) makeVeth(want wiring, master int) error {
	ns, err := os.Open(netns.Path(want.namespace))
	if err != nil {
		return err
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.MasterIndex = want.tap, want.mtu, master
	v := netlink.NewVeth(attrs)
	v.PeerName, v.PeerMTU = want.device, uint32(want.mtu)
	v.PeerHardwareAddr = want.mac.HardwareAddr()
	v.PeerNamespace = netlink.NsFd(ns.Fd())
	return k.root.LinkAdd(v)
}

func with(h *netlink.Handle, name string, do func(netlink.Link) error) error {
	l, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	return do(l)
}

func (k *kernel) deleteTap(name string) error    { return with(k.root, name, k.root.LinkDel) }
func (k *kernel) deleteDevice(name string) error { return with(k.ns, name, k.ns.LinkDel) }
func (k *kernel) raise(name string) error        { return with(k.ns, name, k.ns.LinkSetUp) }

func (k *kernel) setMTU(h *netlink.Handle, name string, mtu int) error {
	return with(h, name, func(l netlink.Link) error { return h.LinkSetMTU(l, mtu) })
}

func (k *kernel) setAlias(name, alias string) error {
	return with(k.root, name, func(l netlink.Link) error { return k.root.LinkSetAlias(l, alias) })
}

func (k *kernel) setMaster(name string, master int) error {
	return with(k.root, name, func(l netlink.Link) error {
		if master == 0 {
			return k.root.LinkSetNoMaster(l)
		}
		return k.root.LinkSetMasterByIndex(l, master)
	})
}

func (k *kernel) setMAC(name string, mac weft.MAC) error {
	return with(k.ns, name, func(l netlink.Link) error { return k.ns.LinkSetHardwareAddr(l, mac.HardwareAddr()) })
}

// raiseTap brings the host end up without an address of its own.
func (k *kernel) raiseTap(name string) error {
	return with(k.root, name, func(l netlink.Link) error {
		const none = 1 // IN6_ADDR_GEN_MODE_NONE
		if err := k.root.LinkSetIP6AddrGenMode(l, none); err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
			return err
		}
		return k.root.LinkSetUp(l)
	})
}

// kernelAddr skips duplicate detection for IPv6: the address is ours by
// allocation, and the service is to answer at once.
func kernelAddr(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

func (k *kernel) addAddress(name string, p netip.Prefix) error {
	return with(k.ns, name, func(l netlink.Link) error { return k.ns.AddrReplace(l, kernelAddr(p)) })
}

func (k *kernel) deleteAddress(name string, p netip.Prefix) error {
	return with(k.ns, name, func(l netlink.Link) error {
		err := k.ns.AddrDel(l, kernelAddr(p))
		if errors.Is(err, unix.EADDRNOTAVAIL) { // gone with its primary
			return nil
		}
		return err
	})
}

func (k *kernel) setGateway(name string, gw netip.Addr) error {
	return with(k.ns, name, func(l netlink.Link) error {
		return k.ns.RouteReplace(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: gw.AsSlice(), Flags: int(netlink.FLAG_ONLINK)})
	})
}

func (k *kernel) dropGateway(name string) error {
	return with(k.ns, name, func(l netlink.Link) error {
		all := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
		err := k.ns.RouteDel(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: all})
		if errors.Is(err, unix.ESRCH) { // gone with its address
			return nil
		}
		return err
	})
}

// open makes the sockets of a network's server in its namespace, where they stay
// whichever thread uses them, and starts it.
func open(log *slog.Logger, w wiring, at place, t *table, set Settings) (*server, error) {
	var conn *net.UDPConn
	var names []net.PacketConn
	err := netns.Do(w.namespace, func() (err error) {
		if conn, err = server4.NewIPv4UDPConn(w.device, &net.UDPAddr{Port: dhcpv4.ServerPort}); err != nil {
			return err
		}
		if err := noChecksum(conn); err != nil {
			return err
		}
		names, err = openNames(w.device, t.servers)
		return err
	})
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		return nil, fmt.Errorf("opening sockets in %s: %w", w.namespace, err)
	}
	return serve(log, at, conn, names, t, set), nil
}

// noChecksum leaves the UDP checksum out. A veth hands packets over without
// having computed it, and clients that read raw packets take that for damage.
func noChecksum(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return control(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) })
}

// openNames makes a name server's socket for each address, so that an answer
// comes from the address that was asked. They hear nothing but the network.
func openNames(device string, addrs []netip.Addr) (out []net.PacketConn, err error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return control(raw, func(fd int) error {
			return errors.Join(
				unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1), // a successor opens before we close
				unix.BindToDevice(fd, device))
		})
	}}
	for _, a := range addrs {
		c, err := lc.ListenPacket(context.Background(), "udp4", netip.AddrPortFrom(a, 53).String())
		if err != nil {
			for _, c := range out {
				c.Close()
			}
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func control(raw syscall.RawConn, do func(fd int) error) error {
	var err error
	if e := raw.Control(func(fd uintptr) { err = do(int(fd)) }); e != nil {
		return e
	}
	return err
}
