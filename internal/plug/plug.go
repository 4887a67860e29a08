package plug

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

// Spec is what is attached to a port.
type Spec struct {
	PortID string
	MAC    weft.MAC
	MTU    int // 0: the kernel's default
	// Namespace is the name of the network namespace, made when missing. Empty
	// with Tap.
	Namespace string
	// Device is the interface's name in the namespace; empty: eth0.
	Device string
	// Tap asks for a persistent tap device for a virtual machine instead.
	Tap bool
}

func (s Spec) device() string {
	if s.Device == "" {
		return "eth0"
	}
	return s.Device
}

func (s Spec) validate() error {
	switch {
	case s.PortID == "":
		return errors.New("no port given")
	case s.Tap && s.Namespace != "":
		return errors.New("a tap belongs to a machine, not to a namespace")
	case s.Tap:
		return nil
	case s.Namespace == "" || strings.ContainsAny(s.Namespace, "/\x00") || strings.HasPrefix(s.Namespace, "."):
		return fmt.Errorf("%q is not a name for a network namespace", s.Namespace)
	case s.MAC.IsZero():
		return errors.New("no MAC address given")
	}
	return nil
}

// Alias marks the host end of what is plugged into a port.
func Alias(portID string) string { return "weft:plug:" + portID }

// Attach makes the device of a port and, at its other end, the instance's. What
// is there already and right is left untouched; what is ours and wrong is made
// anew; a device or an interface of somebody else is an error.
func Attach(ctx context.Context, s Spec) error {
	if err := s.validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer root.Close()
	if s.Tap {
		err = attachTap(root, s)
	} else {
		err = attachVeth(root, s)
	}
	if err != nil {
		return fmt.Errorf("attaching port %s: %w", s.PortID, err)
	}
	return nil
}

// hostEnd is the port's device on the host, nil when there is none.
func hostEnd(root *netlink.Handle, portID string) (netlink.Link, error) {
	name := host.TapName(portID)
	l, err := root.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if l.Attrs().Alias != Alias(portID) {
		return nil, fmt.Errorf("device %s exists and is not a plug of ours (alias %q)", name, l.Attrs().Alias)
	}
	return l, nil
}

func attachTap(root *netlink.Handle, s Spec) error {
	l, err := hostEnd(root, s.PortID)
	if err != nil {
		return err
	}
	if l != nil && l.Type() != "tuntap" {
		if err := root.LinkDel(l); err != nil {
			return err
		}
		l = nil
	}
	if l == nil {
		if l, err = makeTap(root, s); err != nil {
			return err
		}
	}
	return finish(root, l, s.MTU)
}

func makeTap(root *netlink.Handle, s Spec) (netlink.Link, error) {
	t := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: host.TapName(s.PortID)},
		Mode:      netlink.TUNTAP_MODE_TAP,
		Flags:     netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR,
	}
	if err := root.LinkAdd(t); err != nil {
		return nil, fmt.Errorf("making tap %s: %w", t.Name, err)
	}
	for _, f := range t.Fds { // persistent: it outlives the descriptors
		f.Close()
	}
	l, err := root.LinkByName(t.Name)
	if err != nil {
		return nil, err
	}
	return l, root.LinkSetAlias(l, Alias(s.PortID))
}

func attachVeth(root *netlink.Handle, s Spec) error {
	if err := netns.Ensure(s.Namespace); err != nil {
		return err
	}
	l, err := hostEnd(root, s.PortID)
	if err != nil {
		return err
	}
	peer, err := openDevice(s.Namespace, s.device())
	if err == nil {
		defer peer.close()
	} else if !errors.As(err, new(netlink.LinkNotFoundError)) {
		return err
	}
	switch {
	case l != nil && peer != nil && paired(l, peer.link):
	case l == nil && peer != nil:
		return fmt.Errorf("namespace %s has a %s already, which is not this port's", s.Namespace, s.device())
	default:
		if l != nil {
			if err := root.LinkDel(l); err != nil {
				return err
			}
		}
		if l, err = makeVeth(root, s); err != nil {
			return err
		}
	}
	return finishBoth(root, l, s)
}

// paired reports whether the two are ends of one veth, as far as the indexes
// they name can tell.
func paired(a, b netlink.Link) bool {
	return a.Type() == "veth" && b.Type() == "veth" &&
		a.Attrs().ParentIndex == b.Attrs().Index && b.Attrs().ParentIndex == a.Attrs().Index
}

// makeVeth makes both ends at once, each in its place with its name and address,
// so that nobody ever sees half of them.
func makeVeth(root *netlink.Handle, s Spec) (netlink.Link, error) {
	ns, err := os.Open(netns.Path(s.Namespace))
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = host.TapName(s.PortID), s.MTU
	v := netlink.NewVeth(attrs)
	v.PeerName, v.PeerMTU = s.device(), uint32(s.MTU)
	v.PeerHardwareAddr = s.MAC.HardwareAddr()
	v.PeerNamespace = netlink.NsFd(ns.Fd())
	if err := root.LinkAdd(v); err != nil {
		return nil, fmt.Errorf("making %s and %s in %s: %w", v.Name, v.PeerName, s.Namespace, err)
	}
	l, err := root.LinkByName(v.Name)
	if err != nil {
		return nil, err
	}
	return l, root.LinkSetAlias(l, Alias(s.PortID)) // the kernel takes none before
}

func finishBoth(root *netlink.Handle, l netlink.Link, s Spec) error {
	d, err := openDevice(s.Namespace, s.device())
	if err != nil {
		return err
	}
	defer d.close()
	if d.link.Attrs().HardwareAddr.String() != s.MAC.String() {
		if err := d.LinkSetHardwareAddr(d.link, net.HardwareAddr(s.MAC[:])); err != nil {
			return err
		}
	}
	if s.MTU != 0 && d.link.Attrs().MTU != s.MTU {
		if err := d.LinkSetMTU(d.link, s.MTU); err != nil {
			return err
		}
	}
	if err := finish(root, l, s.MTU); err != nil {
		return err
	}
	return d.up()
}

// finish brings the host end up. It never gets an address of its own, not even a
// link-local one: the guest must not reach the host by it.
func finish(root *netlink.Handle, l netlink.Link, mtu int) error {
	if mtu != 0 && l.Attrs().MTU != mtu {
		if err := root.LinkSetMTU(l, mtu); err != nil {
			return err
		}
	}
	if l.Attrs().Flags&net.FlagUp != 0 {
		return nil
	}
	const none = 1 // IN6_ADDR_GEN_MODE_NONE
	if err := root.LinkSetIP6AddrGenMode(l, none); err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		return err
	}
	return root.LinkSetUp(l)
}

// Detach removes what Attach made for a port, and the namespace when Attach made
// that too and nothing else is in it. What is not there is no error. An empty
// namespace leaves namespaces alone.
func Detach(ctx context.Context, portID, namespace string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer root.Close()
	l, err := hostEnd(root, portID)
	if err == nil && l != nil {
		err = root.LinkDel(l)
	}
	if err != nil {
		return fmt.Errorf("detaching port %s: %w", portID, err)
	}
	if namespace == "" {
		return nil
	}
	return dropNamespace(namespace)
}

// dropNamespace deletes a namespace of ours that has nothing in it but lo.
func dropNamespace(name string) error {
	owned, err := netns.Owned(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil || !owned {
		return err
	}
	h, err := netns.Handle(name)
	if err != nil {
		return err
	}
	defer h.Close()
	links, err := h.LinkList()
	if err != nil || len(links) > 1 {
		return err
	}
	removeResolv(name)
	return netns.Delete(name)
}

// openDevice finds an interface in a namespace.
func openDevice(namespace, name string) (*device, error) {
	h, err := netns.Handle(namespace)
	if err != nil {
		return nil, err
	}
	l, err := h.LinkByName(name)
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("device %s in %s: %w", name, namespace, err)
	}
	return &device{Handle: h, link: l}, nil
}
