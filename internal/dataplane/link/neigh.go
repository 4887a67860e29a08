package link

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
)

// Forward is an entry of a tunnel device's forwarding table: frames to MAC go to
// the tunnel end Remote. The zero MAC is where frames to unknown addresses and
// broadcasts go; it may have several remotes.
type Forward struct {
	MAC    weft.MAC
	Remote netip.Addr
}

// Neighbour is a permanent entry of the neighbour table: Addr is at MAC.
type Neighbour struct {
	Addr netip.Addr
	MAC  weft.MAC
}

// Forwards is the forwarding table of a tunnel device, by the order of the
// kernel. A device without one has none.
func (h *Handle) Forwards(index int) ([]Forward, error) {
	// Asked with the long header the kernel looks at this device only; with the
	// short one of its own kind it would list every bridge of the host.
	request := func() *nl.NetlinkRequest {
		r := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, 0)
		m := info(index)
		m.Family = unix.AF_BRIDGE
		r.AddData(m)
		return r
	}
	out, err := list(h.conn, request, func(b []byte) (Forward, bool, error) {
		n, err := parseNeigh(b)
		return Forward{n.mac, n.addr}, n.index == index && n.addr.IsValid(), err
	})
	if err != nil {
		return nil, h.naming(err, "listing the forwarding entries of", index)
	}
	return out, nil
}

// Neighbours is the permanent neighbours of an interface.
func (h *Handle) Neighbours(index int) ([]Neighbour, error) {
	var out []Neighbour
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		request := func() *nl.NetlinkRequest {
			r := neighRequest(unix.RTM_GETNEIGH, neighHead{family: family})
			r.AddData(nl.NewRtAttr(unix.NDA_IFINDEX, nl.Uint32Attr(uint32(index))))
			return r
		}
		part, err := list(h.conn, request, func(b []byte) (Neighbour, bool, error) {
			n, err := parseNeigh(b)
			return Neighbour{n.addr, n.mac}, n.index == index && n.state&unix.NUD_PERMANENT != 0, err
		})
		if err != nil {
			return nil, h.naming(err, "listing the neighbours of", index)
		}
		out = append(out, part...)
	}
	return out, nil
}

// AddForwards adds entries to the forwarding table of a tunnel device. Those that
// are there already are no error; a unicast address moves to its new remote.
func (h *Handle) AddForwards(index int, entries ...Forward) error {
	return h.neigh(index, len(entries), func(i int) *nl.NetlinkRequest {
		flags := unix.NLM_F_CREATE | unix.NLM_F_REPLACE
		if entries[i].MAC.IsZero() {
			flags = unix.NLM_F_CREATE | unix.NLM_F_APPEND
		}
		return forward(unix.RTM_NEWNEIGH, flags, index, entries[i])
	}, unix.EEXIST)
}

// DeleteForwards deletes entries. Those that are not there are no error.
func (h *Handle) DeleteForwards(index int, entries ...Forward) error {
	return h.neigh(index, len(entries), func(i int) *nl.NetlinkRequest {
		return forward(unix.RTM_DELNEIGH, 0, index, entries[i])
	}, unix.ENOENT)
}

// SetNeighbours makes permanent neighbours, replacing what the addresses had.
func (h *Handle) SetNeighbours(index int, entries ...Neighbour) error {
	return h.neigh(index, len(entries), func(i int) *nl.NetlinkRequest {
		return neighbour(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, index, entries[i])
	}, 0)
}

// DeleteNeighbours deletes neighbours. Those that are not there are no error.
func (h *Handle) DeleteNeighbours(index int, entries ...Neighbour) error {
	return h.neigh(index, len(entries), func(i int) *nl.NetlinkRequest {
		return neighbour(unix.RTM_DELNEIGH, 0, index, entries[i])
	}, unix.ENOENT)
}

// neigh runs n requests, of which one that fails with fine did not.
func (h *Handle) neigh(index, n int, request func(int) *nl.NetlinkRequest, fine unix.Errno) error {
	reqs := make([]*nl.NetlinkRequest, n)
	for i := range reqs {
		reqs[i] = request(i)
	}
	results, err := h.conn.run(reqs)
	for i, e := range results {
		if fine != 0 && errors.Is(e, fine) {
			results[i] = nil
		}
	}
	if err = errors.Join(append(results, err)...); err != nil {
		return h.naming(err, "changing neighbours of", index)
	}
	return nil
}

func forward(typ, flags, index int, f Forward) *nl.NetlinkRequest {
	r := neighRequest(typ, neighHead{family: unix.AF_BRIDGE, index: index, state: unix.NUD_PERMANENT | unix.NUD_NOARP, flags: unix.NTF_SELF})
	r.Flags |= uint16(flags)
	r.AddData(nl.NewRtAttr(unix.NDA_LLADDR, f.MAC[:]))
	r.AddData(nl.NewRtAttr(unix.NDA_DST, f.Remote.AsSlice()))
	return r
}

func neighbour(typ, flags, index int, n Neighbour) *nl.NetlinkRequest {
	family := uint8(unix.AF_INET)
	if n.Addr.Is6() {
		family = unix.AF_INET6
	}
	r := neighRequest(typ, neighHead{family: family, index: index, state: unix.NUD_PERMANENT})
	r.Flags |= uint16(flags)
	r.AddData(nl.NewRtAttr(unix.NDA_DST, n.Addr.AsSlice()))
	r.AddData(nl.NewRtAttr(unix.NDA_LLADDR, n.MAC[:]))
	return r
}

// neighHead is struct ndmsg.
type neighHead struct {
	family uint8
	index  int
	state  uint16
	flags  uint8
}

const neighHeadLen = 12

func (n neighHead) Len() int { return neighHeadLen }

func (n neighHead) Serialize() []byte {
	b := make([]byte, neighHeadLen)
	b[0] = n.family
	native := nl.NativeEndian()
	native.PutUint32(b[4:], uint32(n.index))
	native.PutUint16(b[8:], n.state)
	b[10] = n.flags
	return b
}

func neighRequest(typ int, head neighHead) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(typ, 0)
	r.AddData(head)
	return r
}

type neighEntry struct {
	index int
	state uint16
	mac   weft.MAC
	addr  netip.Addr
}

func parseNeigh(b []byte) (neighEntry, error) {
	if len(b) < neighHeadLen {
		return neighEntry{}, fmt.Errorf("short neighbour message of %d bytes", len(b))
	}
	native := nl.NativeEndian()
	n := neighEntry{index: int(native.Uint32(b[4:])), state: native.Uint16(b[8:])}
	return n, eachAttr(b[neighHeadLen:], func(typ uint16, v []byte) error {
		switch {
		case typ == unix.NDA_DST:
			n.addr, _ = netip.AddrFromSlice(v)
		case typ == unix.NDA_LLADDR && len(v) == len(n.mac):
			n.mac = weft.MAC(v)
		}
		return nil
	})
}
