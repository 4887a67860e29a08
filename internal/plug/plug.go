package plug

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

// Spec is what is attached to a port.
type Spec struct {
	Cloud  string // id of the port's cloud
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

// alias marks the host end of what is plugged into the port.
func (s Spec) alias() string {
	return mark.Mark{Kind: mark.Plug, ID: s.PortID, Cloud: s.Cloud}.String()
}

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
	root, err := link.Open()
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

// find is the interface of that name; its index is 0 when there is none.
func find(h *link.Handle, name string) (link.Link, error) {
	l, err := h.ByName(name)
	if errors.Is(err, link.ErrNotFound) {
		return link.Link{}, nil
	}
	return l, err
}

// findEnd is the port's device on the host, as find has it.
func (s Spec) findEnd(root *link.Handle) (link.Link, error) {
	l, err := find(root, host.TapName(s.PortID))
	if err == nil && l.Index != 0 && l.Alias != s.alias() {
		return l, fmt.Errorf("device %s exists and is not a plug of ours (alias %q)", l.Name, l.Alias)
	}
	return l, err
}

func attachVeth(root *link.Handle, s Spec) error {
	if err := netns.Ensure(s.Namespace, s.Cloud); err != nil {
		return err
	}
	in, err := link.OpenIn(s.Namespace)
	if err != nil {
		return err
	}
	defer in.Close()
	end, err := s.findEnd(root)
	if err != nil {
		return err
	}
	peer, err := find(in, s.device())
	if err != nil {
		return err
	}
	switch {
	case end.Index != 0 && end.Peer == peer.Index && peer.Peer == end.Index:
		return mend(root, end, in, peer, s)
	case peer.Index != 0 && (end.Index == 0 || peer.Peer != end.Index):
		return fmt.Errorf("namespace %s has an interface %s already, which is not this port's", s.Namespace, s.device())
	case end.Index != 0:
		if err := root.Delete(end.Index); err != nil {
			return err
		}
	}
	return makeVeth(root, in, s)
}

// makeVeth makes both ends at once, each in its place with its name and mark, so
// that nobody ever sees half of them.
func makeVeth(root, in *link.Handle, s Spec) error {
	_, err := root.Create(host.TapName(s.PortID), link.Veth{
		Peer: s.device(), PeerNS: in.NS(), PeerMAC: s.MAC, PeerMTU: s.MTU,
	}, s.hostEnd()...)
	if err != nil {
		return err
	}
	peer, err := in.ByName(s.device())
	if err != nil {
		return err
	}
	return in.Set(peer.Index, link.Up(true))
}

// hostEnd is what the host end is like. It never gets an address of its own, not
// even a link-local one: the guest must not reach the host by it.
func (s Spec) hostEnd() []link.Change {
	changes := []link.Change{link.Alias(s.alias()), link.NoAutoIPv6(), link.Up(true)}
	if s.MTU != 0 {
		changes = append(changes, link.MTU(s.MTU))
	}
	return changes
}

// mend changes of a pair what is not as it shall be.
func mend(root *link.Handle, end link.Link, in *link.Handle, peer link.Link, s Spec) error {
	if !end.Up || s.MTU != 0 && end.MTU != s.MTU {
		if err := root.Set(end.Index, s.hostEnd()...); err != nil {
			return err
		}
	}
	var changes []link.Change
	if peer.MAC != s.MAC {
		changes = append(changes, link.MAC(s.MAC))
	}
	if s.MTU != 0 && peer.MTU != s.MTU {
		changes = append(changes, link.MTU(s.MTU))
	}
	if !peer.Up {
		changes = append(changes, link.Up(true))
	}
	if len(changes) == 0 {
		return nil
	}
	return in.Set(peer.Index, changes...)
}

func attachTap(root *link.Handle, s Spec) error {
	l, err := s.findEnd(root)
	if err != nil {
		return err
	}
	if l.Index != 0 && l.Type != "tun" {
		if err := root.Delete(l.Index); err != nil {
			return err
		}
		l = link.Link{}
	}
	if l.Index == 0 {
		if l, err = makeTap(root, host.TapName(s.PortID)); err != nil {
			return err
		}
	}
	if l.Up && (s.MTU == 0 || l.MTU == s.MTU) {
		return nil
	}
	return root.Set(l.Index, s.hostEnd()...)
}

// makeTap makes a tap that outlives its descriptors, in the thread's namespace.
func makeTap(root *link.Handle, name string) (link.Link, error) {
	t := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: name},
		Mode:      netlink.TUNTAP_MODE_TAP,
		Flags:     netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR,
	}
	if err := root.NS().Do(func() error { return netlink.LinkAdd(t) }); err != nil {
		return link.Link{}, fmt.Errorf("making tap %s: %w", name, err)
	}
	for _, f := range t.Fds {
		f.Close()
	}
	return root.ByName(name)
}

// Attached reports whether Attach has made a device for the port on this host.
func Attached(s Spec) (bool, error) {
	root, err := link.Open()
	if err != nil {
		return false, err
	}
	defer root.Close()
	l, err := s.findEnd(root)
	return l.Index != 0, err
}

// Detach removes what Attach made for a port, and the namespace when Attach made
// that too and nothing else is in it. What is not there is no error. Without a
// namespace it leaves namespaces alone.
func Detach(ctx context.Context, s Spec) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := link.Open()
	if err != nil {
		return err
	}
	defer root.Close()
	l, err := s.findEnd(root)
	if err == nil && l.Index != 0 {
		err = root.Delete(l.Index)
	}
	if err != nil {
		return fmt.Errorf("detaching port %s: %w", s.PortID, err)
	}
	if s.Namespace == "" || !netns.Exists(s.Namespace) {
		return nil
	}
	return dropNamespace(s.Namespace, s.Cloud)
}

// dropNamespace deletes a namespace of the cloud that has nothing in it but lo.
func dropNamespace(name, cloud string) error {
	owned, err := netns.Owned(name, cloud)
	if err != nil || !owned {
		return err
	}
	h, err := link.OpenIn(name)
	if err != nil {
		return err
	}
	defer h.Close()
	links, err := h.List()
	if err != nil || len(links) > 1 {
		return err
	}
	removeResolv(name)
	return netns.Delete(name, cloud)
}
