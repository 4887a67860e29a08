package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// Kind is the kind of interface that Create makes: Bridge, VXLAN, VLAN or Veth.
type Kind interface {
	describe() *nl.RtAttr
	lower() int
}

// Veth is a pair of which Create makes both ends, each in its place.
type Veth struct {
	Peer    string    // name of the other end
	PeerNS  *netns.NS // where the other end is; nil: in the same namespace
	PeerMAC weft.MAC  // zero: the kernel chooses
	PeerMTU int       // 0: the kernel's default
}

// Change is one thing to change of an interface.
type Change struct {
	family bool // of an address family that the interface may not have
	attrs  []*nl.RtAttr
	up     *bool
}

// Alias sets the alias, by which weft knows its own.
func Alias(s string) Change { return attr(unix.IFLA_IFALIAS, []byte(s)) }

// MAC sets the hardware address.
func MAC(m weft.MAC) Change { return attr(unix.IFLA_ADDRESS, m[:]) }

// MTU sets the MTU in bytes.
func MTU(n int) Change { return attr(unix.IFLA_MTU, nl.Uint32Attr(uint32(n))) }

// Master makes the interface a port of the bridge of that index; 0 frees it.
func Master(index int) Change { return attr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(index))) }

// Group puts the interface into a link group.
func Group(g uint32) Change { return attr(unix.IFLA_GROUP, nl.Uint32Attr(g)) }

// Up brings the interface up or down.
func Up(up bool) Change { return Change{up: &up} }

// NoAutoIPv6 keeps the interface from making itself a link-local address when it
// comes up. Where there is no IPv6 that is so already.
func NoAutoIPv6() Change {
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	spec.AddRtAttr(unix.AF_INET6, nil).AddRtAttr(unix.IFLA_INET6_ADDR_GEN_MODE, []byte{addrGenNone})
	return Change{family: true, attrs: []*nl.RtAttr{spec}}
}

func attr(typ int, v []byte) Change { return Change{attrs: []*nl.RtAttr{nl.NewRtAttr(typ, v)}} }

// Create makes an interface and changes it, at once: either it is there with all
// of the changes or it is not there. It is down unless Up is among the changes.
// A name that is taken is unix.EEXIST.
func (h *Handle) Create(name string, k Kind, changes ...Change) (Link, error) {
	l, err := h.create(name, k, changes)
	if err != nil {
		return Link{}, fmt.Errorf("making interface %s: %w", name, err)
	}
	return l, nil
}

func (h *Handle) create(name string, k Kind, changes []Change) (Link, error) {
	// What follows RTM_NEWLINK in the datagram is done even if that fails, and
	// must not hit somebody else's interface of the name.
	if _, err := h.ByName(name); !errors.Is(err, ErrNotFound) {
		return Link{}, errors.Join(err, unix.EEXIST)
	}
	r := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	r.AddData(info(0))
	r.AddData(nameAttr(name))
	if lower := k.lower(); lower != 0 {
		r.AddData(nl.NewRtAttr(unix.IFLA_LINK, nl.Uint32Attr(uint32(lower))))
	}
	r.AddData(k.describe())
	reqs := append([]*nl.NetlinkRequest{r}, set(info(0), changes, nameAttr(name))...)
	results, err := h.conn.run(reqs)
	if err != nil {
		return Link{}, err
	}
	if results[0] != nil {
		return Link{}, results[0]
	}
	l, err := h.ByName(name)
	if failed := joined(results[1:]); failed != nil && err == nil {
		h.Delete(l.Index)
		return Link{}, failed
	}
	return l, err
}

// Set changes an interface. The changes are made in the kernel's order (MAC, MTU,
// alias, master), up or down last.
func (h *Handle) Set(index int, changes ...Change) error {
	if err := h.all(set(info(index), changes)); err != nil {
		return h.naming(err, "changing", index)
	}
	return nil
}

// set makes the messages for the changes: first what may fail for want of IPv6,
// before a small MTU takes that away; the interface comes up only in the last,
// when it is as it shall be.
func set(msg *nl.IfInfomsg, changes []Change, also ...nl.NetlinkRequestData) []*nl.NetlinkRequest {
	message := func(m *nl.IfInfomsg) *nl.NetlinkRequest {
		r := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
		r.AddData(m)
		for _, a := range also {
			r.AddData(a)
		}
		return r
	}
	var reqs []*nl.NetlinkRequest
	for _, family := range []bool{true, false} {
		r, n := message(msg), 0
		for _, c := range changes {
			for _, a := range c.attrs {
				if c.family == family {
					r.AddData(a)
					n++
				}
			}
		}
		if n > 0 {
			reqs = append(reqs, r)
		}
	}
	for _, c := range changes {
		if c.up != nil {
			m := info(int(msg.Index))
			m.Change = unix.IFF_UP
			if *c.up {
				m.Flags = unix.IFF_UP
			}
			reqs = append(reqs, message(m))
		}
	}
	return reqs
}

// SetBridge gives a bridge its settings.
func (h *Handle) SetBridge(index int, b Bridge) error {
	return h.setKind(index, b)
}

// SetVXLAN changes what can be changed of a tunnel device that exists: whether it
// learns, and nothing else. The kernel refuses the rest.
func (h *Handle) SetVXLAN(index int, x VXLAN) error { return h.setKind(index, x) }

func (h *Handle) setKind(index int, k Kind) error {
	r := nl.NewNetlinkRequest(unix.RTM_NEWLINK, 0)
	r.AddData(info(index))
	r.AddData(k.describe())
	if err := h.all([]*nl.NetlinkRequest{r}); err != nil {
		return h.naming(err, "changing", index)
	}
	return nil
}

// Delete deletes interfaces. Several go in one sweep, in which the kernel waits
// once instead of for each. One that is not there is no error.
func (h *Handle) Delete(indexes ...int) error {
	if len(indexes) > 1 {
		return h.sweep(indexes)
	}
	for _, i := range indexes {
		r := nl.NewNetlinkRequest(unix.RTM_DELLINK, 0)
		r.AddData(info(i))
		if err := h.all([]*nl.NetlinkRequest{r}); err != nil && !errors.Is(err, unix.ENODEV) {
			return h.naming(err, "deleting", i)
		}
	}
	return nil
}

// sweepGroup is the link group in which interfaces are on their way out.
const sweepGroup = 0x77656674

// sweep moves the interfaces into a group of their own and deletes the group.
func (h *Handle) sweep(indexes []int) error {
	var reqs []*nl.NetlinkRequest
	for _, i := range indexes {
		reqs = append(reqs, set(info(i), []Change{Group(sweepGroup)})...)
	}
	results, err := h.conn.run(reqs)
	if err != nil {
		return err
	}
	for i, err := range results {
		if err != nil && !errors.Is(err, unix.ENODEV) {
			return h.naming(err, "deleting", indexes[i])
		}
	}
	r := nl.NewNetlinkRequest(unix.RTM_DELLINK, 0)
	r.AddData(info(0))
	r.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(sweepGroup)))
	if err := h.all([]*nl.NetlinkRequest{r}); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("deleting %d interfaces: %w", len(indexes), err)
	}
	return nil
}

// all runs requests and joins what went wrong.
func (h *Handle) all(reqs []*nl.NetlinkRequest) error {
	results, err := h.conn.run(reqs)
	return joined(append(results, err))
}

// joined is what went wrong. That an interface has no IPv6 did not.
func joined(results []error) error {
	return errors.Join(slices.DeleteFunc(results, func(err error) bool { return errors.Is(err, unix.EAFNOSUPPORT) })...)
}

func (h *Handle) naming(err error, doing string, index int) error {
	who := fmt.Sprintf("number %d", index)
	if l, e := h.ByIndex(index); e == nil {
		who = l.Name
	}
	return fmt.Errorf("%s interface %w", doing, notFound(err, who))
}

// notFound names the interface in an error, as ErrNotFound if it is that.
func notFound(err error, who string) error {
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%s: %w", who, ErrNotFound)
	}
	return fmt.Errorf("%s: %w", who, err)
}

func nameAttr(name string) *nl.RtAttr {
	return nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name))
}

func kind(name string) (all, data *nl.RtAttr) {
	all = nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	all.AddRtAttr(unix.IFLA_INFO_KIND, nl.NonZeroTerminated(name))
	return all, all.AddRtAttr(unix.IFLA_INFO_DATA, nil)
}

func (b Bridge) lower() int { return 0 }

func (b Bridge) describe() *nl.RtAttr {
	all, data := kind("bridge")
	data.AddRtAttr(nl.IFLA_BR_STP_STATE, nl.Uint32Attr(uint32(bit(b.STP))))
	data.AddRtAttr(nl.IFLA_BR_FORWARD_DELAY, nl.Uint32Attr(uint32(b.ForwardDelay/(time.Second/userHZ))))
	data.AddRtAttr(nl.IFLA_BR_MCAST_SNOOPING, []byte{bit(b.Snooping)})
	data.AddRtAttr(nl.IFLA_BR_NF_CALL_IPTABLES, []byte{bit(b.NFCall)})
	data.AddRtAttr(nl.IFLA_BR_NF_CALL_IP6TABLES, []byte{bit(b.NFCall)})
	return all
}

func (x VXLAN) lower() int { return 0 }

func (x VXLAN) describe() *nl.RtAttr {
	all, data := kind("vxlan")
	data.AddRtAttr(nl.IFLA_VXLAN_ID, nl.Uint32Attr(x.VNI))
	switch {
	case x.Local.Is4():
		data.AddRtAttr(nl.IFLA_VXLAN_LOCAL, x.Local.AsSlice())
	case x.Local.Is6():
		data.AddRtAttr(nl.IFLA_VXLAN_LOCAL6, x.Local.AsSlice())
	}
	data.AddRtAttr(nl.IFLA_VXLAN_PORT, binary.BigEndian.AppendUint16(nil, x.Port))
	data.AddRtAttr(nl.IFLA_VXLAN_LEARNING, []byte{bit(x.Learning)})
	data.AddRtAttr(nl.IFLA_VXLAN_PROXY, []byte{bit(x.Proxy)})
	return all
}

func (x VLAN) lower() int { return x.Parent }

func (x VLAN) describe() *nl.RtAttr {
	all, data := kind("vlan")
	data.AddRtAttr(nl.IFLA_VLAN_ID, nl.Uint16Attr(x.ID))
	return all
}

func (v Veth) lower() int { return 0 }

func (v Veth) describe() *nl.RtAttr {
	all, data := kind("veth")
	peer := data.AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.Peer))
	if !v.PeerMAC.IsZero() {
		peer.AddRtAttr(unix.IFLA_ADDRESS, v.PeerMAC[:])
	}
	if v.PeerMTU != 0 {
		peer.AddRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.PeerMTU)))
	}
	if v.PeerNS != nil {
		peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(v.PeerNS.FD())))
	}
	return all
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
