package link

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
)

// Link is a network interface as the kernel has it.
type Link struct {
	Index  int
	Name   string
	Type   string // "bridge", "veth", "vxlan", "tun", "vlan"; "" for hardware
	Alias  string
	MAC    weft.MAC
	MTU    int
	Master int // index of the bridge it is a port of; 0: none
	Peer   int // other end of a veth, lower device of a vlan: index in the namespace it is in
	Group  uint32
	Up     bool

	IPv6Off    bool // the disable_ipv6 setting, or no IPv6 at all (as with an MTU below 1280)
	NoAutoIPv6 bool // makes itself no link-local address

	Bridge Bridge // meaningful if Type is "bridge"
	VXLAN  VXLAN  // meaningful if Type is "vxlan"
	VLAN   VLAN   // meaningful if Type is "vlan"
}

// Bridge is what distinguishes one bridge from another.
type Bridge struct {
	STP          bool
	ForwardDelay time.Duration
	Snooping     bool // multicast snooping
	NFCall       bool // bridged IPv4 and IPv6 pass the inet firewall
}

// VXLAN is what distinguishes one tunnel device from another.
type VXLAN struct {
	VNI      uint32
	Local    netip.Addr // invalid: any
	Port     uint16     // UDP destination
	Learning bool
	Proxy    bool // answers ARP for known neighbours
}

// VLAN is an 802.1Q sub-interface.
type VLAN struct {
	Parent int // index of the lower device
	ID     uint16
}

// List is every interface of the namespace, by rising index.
func (h *Handle) List() ([]Link, error) {
	l, err := list(h.conn, func() *nl.NetlinkRequest { return getLink(0) },
		func(b []byte) (Link, bool, error) { l, err := parse(b); return l, err == nil, err })
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	return l, nil
}

// ByName is the interface of that name, or ErrNotFound.
func (h *Handle) ByName(name string) (Link, error) {
	r := getLink(0)
	r.AddData(nameAttr(name))
	l, err := h.get(r)
	if err != nil {
		return Link{}, fmt.Errorf("interface %w", notFound(err, name))
	}
	return l, nil
}

// ByIndex is the interface of that index, or ErrNotFound.
func (h *Handle) ByIndex(index int) (Link, error) {
	l, err := h.get(getLink(index))
	if err != nil {
		return Link{}, fmt.Errorf("interface %w", notFound(err, fmt.Sprintf("number %d", index)))
	}
	return l, nil
}

func (h *Handle) get(r *nl.NetlinkRequest) (Link, error) {
	b, err := h.conn.get(r)
	if err != nil {
		return Link{}, err
	}
	return parse(b)
}

const skipStatistics = 8 // RTEXT_FILTER_SKIP_STATS: they are most of the answer

func getLink(index int) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	r.AddData(info(index))
	r.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStatistics)))
	return r
}

// info is the head of a message about the interface of that index, if not 0.
func info(index int) *nl.IfInfomsg {
	m := nl.NewIfInfomsg(unix.AF_UNSPEC)
	m.Index = int32(index)
	return m
}

func parse(b []byte) (Link, error) {
	if len(b) < unix.SizeofIfInfomsg {
		return Link{}, fmt.Errorf("short interface message of %d bytes", len(b))
	}
	m := nl.DeserializeIfInfomsg(b)
	l := Link{Index: int(m.Index), Up: m.Flags&unix.IFF_UP != 0, IPv6Off: true, NoAutoIPv6: true}
	return l, eachAttr(b[unix.SizeofIfInfomsg:], l.setAttr)
}

func (l *Link) setAttr(typ uint16, v []byte) error {
	switch typ {
	case unix.IFLA_IFNAME:
		l.Name = unix.ByteSliceToString(v)
	case unix.IFLA_IFALIAS:
		l.Alias = unix.ByteSliceToString(v)
	case unix.IFLA_ADDRESS:
		if len(v) == len(l.MAC) {
			l.MAC = weft.MAC(v)
		}
	case unix.IFLA_MTU:
		l.MTU = int(u32(v))
	case unix.IFLA_MASTER:
		l.Master = int(u32(v))
	case unix.IFLA_LINK:
		l.Peer = int(u32(v))
	case unix.IFLA_GROUP:
		l.Group = u32(v)
	case unix.IFLA_AF_SPEC:
		return eachAttr(v, l.setFamily)
	case unix.IFLA_LINKINFO:
		return l.setInfo(v)
	}
	return nil
}

// confDisableIPv6 is the place of disable_ipv6 in the array IFLA_INET6_CONF
// (DEVCONF_DISABLE_IPV6 of linux/ipv6.h).
const confDisableIPv6 = 26

func (l *Link) setFamily(family uint16, v []byte) error {
	if family != unix.AF_INET6 {
		return nil
	}
	l.IPv6Off, l.NoAutoIPv6 = false, false
	return eachAttr(v, func(typ uint16, v []byte) error {
		switch typ {
		case unix.IFLA_INET6_CONF:
			if len(v) >= 4*(confDisableIPv6+1) {
				l.IPv6Off = u32(v[4*confDisableIPv6:]) != 0
			}
		case unix.IFLA_INET6_ADDR_GEN_MODE:
			l.NoAutoIPv6 = v[0] == addrGenNone
		}
		return nil
	})
}

const addrGenNone = 1 // IN6_ADDR_GEN_MODE_NONE

func (l *Link) setInfo(v []byte) error {
	var data []byte
	err := eachAttr(v, func(typ uint16, v []byte) error {
		switch typ {
		case unix.IFLA_INFO_KIND:
			l.Type = unix.ByteSliceToString(v)
		case unix.IFLA_INFO_DATA:
			data = v
		}
		return nil
	})
	switch l.Type {
	case "bridge":
		eachAttr(data, l.Bridge.setAttr)
	case "vxlan":
		eachAttr(data, l.VXLAN.setAttr)
	case "vlan":
		l.VLAN.Parent = l.Peer
		eachAttr(data, l.VLAN.setAttr)
	}
	return err
}

// userHZ is the kernel's unit of time in netlink messages.
const userHZ = 100

func (b *Bridge) setAttr(typ uint16, v []byte) error {
	switch typ {
	case nl.IFLA_BR_STP_STATE:
		b.STP = u32(v) != 0
	case nl.IFLA_BR_FORWARD_DELAY:
		b.ForwardDelay = time.Duration(u32(v)) * (time.Second / userHZ)
	case nl.IFLA_BR_MCAST_SNOOPING:
		b.Snooping = v[0] != 0
	case nl.IFLA_BR_NF_CALL_IPTABLES:
		b.NFCall = v[0] != 0
	}
	return nil
}

func (x *VXLAN) setAttr(typ uint16, v []byte) error {
	switch typ {
	case nl.IFLA_VXLAN_ID:
		x.VNI = u32(v)
	case nl.IFLA_VXLAN_LOCAL, nl.IFLA_VXLAN_LOCAL6:
		x.Local, _ = netip.AddrFromSlice(v)
	case nl.IFLA_VXLAN_PORT:
		x.Port = binary.BigEndian.Uint16(v)
	case nl.IFLA_VXLAN_LEARNING:
		x.Learning = v[0] != 0
	case nl.IFLA_VXLAN_PROXY:
		x.Proxy = v[0] != 0
	}
	return nil
}

func (x *VLAN) setAttr(typ uint16, v []byte) error {
	if typ == nl.IFLA_VLAN_ID {
		x.ID = binary.NativeEndian.Uint16(v)
	}
	return nil
}

// eachAttr calls f with each attribute, without making a list of them: a dump
// has dozens an interface, and we want a few.
func eachAttr(b []byte, f func(typ uint16, value []byte) error) error {
	for len(b) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return fmt.Errorf("malformed attribute of length %d: %w", n, syscall.EINVAL)
		}
		const flags = unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER
		if err := f(binary.NativeEndian.Uint16(b[2:])&^flags, b[unix.SizeofRtAttr:n]); err != nil {
			return err
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return nil
}

func u32(v []byte) uint32 { return binary.NativeEndian.Uint32(v) }
