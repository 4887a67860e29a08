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
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// kernel is where the operations of one wiring are done.
type kernel struct {
	root *link.Handle
	ns   *link.Handle // nil until the namespace is there
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
	root, err := link.Open()
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
	l, err := k.ns.ByName(want.device)
	if err != nil {
		return place{}, err
	}
	id, err := netns.ID(want.namespace)
	return place{namespace: id, ifindex: l.Index}, err
}

// observe reads what there is of want. A namespace or a device of somebody else
// by the same name is an error: it must be neither used nor deleted.
func (k *kernel) observe(want wiring) (have observed, err error) {
	bridge, err := find(k.root, want.bridge)
	if err != nil {
		return have, err
	}
	have.bridge = bridge.Index
	if have.tap, err = find(k.root, want.tap); err != nil {
		return have, err
	}
	if have.tap.Index != 0 && !mark.Of(want.cloud, have.tap.Alias) {
		return have, fmt.Errorf("device %s is not ours (alias %q)", want.tap, have.tap.Alias)
	}
	if !netns.Exists(want.namespace) {
		return have, nil
	}
	switch owned, err := netns.Owned(want.namespace, want.cloud); {
	case err != nil:
		return have, err
	case !owned:
		return have, fmt.Errorf("namespace %s is not ours", want.namespace)
	}
	have.namespace = true
	if k.ns, err = link.OpenIn(want.namespace); err != nil {
		return have, err
	}
	return have, k.observeInside(want, &have)
}

func (k *kernel) observeInside(want wiring, have *observed) error {
	links, err := k.ns.List()
	if err != nil {
		return err
	}
	for _, l := range links {
		switch {
		case l.Name == want.device:
			have.device = l
		case strings.HasPrefix(l.Name, devicePrefix):
			have.stale = append(have.stale, l)
		}
	}
	if have.device.Index == 0 {
		return nil
	}
	addrs, err := k.ns.Addrs(have.device.Index)
	if err != nil {
		return err
	}
	for _, p := range addrs {
		if p.Addr().Is4() || !p.Addr().IsLinkLocalUnicast() {
			have.addresses = append(have.addresses, p)
		}
	}
	routes, err := k.ns.Routes(have.device.Index)
	for _, r := range routes {
		if r.Dst == anywhere {
			have.gateway = r.Via
		}
	}
	return err
}

// find is the link of that name, zero when there is none.
func find(h *link.Handle, name string) (link.Link, error) {
	l, err := h.ByName(name)
	if errors.Is(err, link.ErrNotFound) {
		return link.Link{}, nil
	}
	return l, err
}

func (k *kernel) makeNamespace(want wiring) error {
	if err := netns.Ensure(want.namespace, want.cloud); err != nil {
		return err
	}
	var err error
	if k.ns, err = link.OpenIn(want.namespace); err != nil {
		return err
	}
	return errors.Join(
		// A router's advertisements are for the guests: the service has its addresses.
		k.sysctl("net/ipv6/conf/default/accept_ra", "0"),
		// An address that goes must not take others of its subnet along.
		k.sysctl("net/ipv4/conf/all/promote_secondaries", "1"))
}

// sysctl sets a setting of the namespace. What the kernel lacks is no error.
func (k *kernel) sysctl(path, value string) error {
	err := k.ns.SetSysctl(path, value)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (k *kernel) makeVeth(want wiring, master int) error {
	changes := []link.Change{link.Alias(want.alias), link.MTU(want.mtu), link.NoAutoIPv6(), link.Up(true)}
	if master != 0 {
		changes = append(changes, link.Master(master))
	}
	_, err := k.root.Create(want.tap, link.Veth{
		Peer: want.device, PeerNS: k.ns.NS(), PeerMAC: want.mac, PeerMTU: want.mtu,
	}, changes...)
	return err
}

// setTap and setDevice change an end by name: it may have been made in this plan.
func (k *kernel) setTap(want wiring, changes ...link.Change) error {
	return setLink(k.root, want.tap, changes)
}

func (k *kernel) setDevice(want wiring, changes ...link.Change) error {
	return setLink(k.ns, want.device, changes)
}

func setLink(h *link.Handle, name string, changes []link.Change) error {
	l, err := h.ByName(name)
	if err != nil {
		return err
	}
	return h.Set(l.Index, changes...)
}

// inside runs do for the end in the namespace.
func (k *kernel) inside(want wiring, do func(index int) error) error {
	l, err := k.ns.ByName(want.device)
	if err != nil {
		return err
	}
	return do(l.Index)
}

func (k *kernel) addAddress(want wiring, p netip.Prefix) error {
	return k.inside(want, func(i int) error { return k.ns.AddAddr(i, p) })
}

func (k *kernel) deleteAddress(want wiring, p netip.Prefix) error {
	return k.inside(want, func(i int) error { return k.ns.DeleteAddr(i, p) })
}

func (k *kernel) setGateway(want wiring) error {
	return k.inside(want, func(i int) error {
		return k.ns.ReplaceRoute(link.Route{Dst: anywhere, Via: want.gateway, Link: i, OnLink: true})
	})
}

func (k *kernel) dropGateway(want wiring, gateway netip.Addr) error {
	return k.inside(want, func(i int) error {
		return k.ns.DeleteRoute(link.Route{Dst: anywhere, Via: gateway, Link: i})
	})
}

// open makes the sockets of a network's server in its namespace, where they stay
// whichever thread uses them, and starts it.
func open(log *slog.Logger, w wiring, at place, t *table, f *forwarder) (*server, error) {
	var conn *net.UDPConn
	var names []nameSockets
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
	return serve(log, at, conn, names, t, f), nil
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

// openNames makes a name server's sockets for each address, so that an answer comes
// from the address that was asked. They hear nothing but the network.
func openNames(device string, addrs []netip.Addr) (out []nameSockets, err error) {
	lc := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		return control(raw, func(fd int) error {
			return errors.Join(
				unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1), // a successor opens before we close
				unix.BindToDevice(fd, device))
		})
	}}
	for _, a := range addrs {
		n, err := listenNames(lc, netip.AddrPortFrom(a, 53).String())
		if err != nil {
			for _, n := range out {
				n.close()
			}
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

func listenNames(lc net.ListenConfig, at string) (n nameSockets, err error) {
	if n.udp, err = lc.ListenPacket(context.Background(), "udp4", at); err != nil {
		return n, err
	}
	if n.tcp, err = lc.Listen(context.Background(), "tcp4", at); err != nil {
		n.udp.Close()
	}
	return n, err
}

func control(raw syscall.RawConn, do func(fd int) error) error {
	var err error
	if e := raw.Control(func(fd uintptr) { err = do(int(fd)) }); e != nil {
		return e
	}
	return err
}
