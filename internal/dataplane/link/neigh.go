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

// Neighbour is an entry of the neighbour table: Addr is at MAC.
type Neighbour struct {
	Addr netip.Addr
	MAC  weft.MAC
}

// Forwards is the forwarding tables of all tunnel devices of the namespace, by
// index of the device.
func (h *Handle) Forwards() (map[int][]Forward, error) {
	out := map[int][]Forward{}
	err := h.neighbours(neighHead{family: unix.AF_BRIDGE}, func(n neighEntry) {
		if n.addr.IsValid() { // else it is a bridge's entry
			out[n.index] = append(out[n.index], Forward{n.mac, n.addr})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listing forwarding entries: %w", err)
	}
	return out, nil
}

// Neighbours is the permanent neighbours of the namespace, by index of the
// interface they are on.
func (h *Handle) Neighbours() (map[int][]Neighbour, error) {
	return h.neighboursThat(func(n neighEntry) bool { return n.state&unix.NUD_PERMANENT != 0 })
}

// Learned is the neighbours that the namespace has found out, by index of the
// interface they are on.
func (h *Handle) Learned() (map[int][]Neighbour, error) {
	return h.neighboursThat(func(n neighEntry) bool { return n.state&(unix.NUD_PERMANENT|unix.NUD_NOARP) == 0 && !n.mac.IsZero() })
}

func (h *Handle) neighboursThat(are func(neighEntry) bool) (map[int][]Neighbour, error) {
	out := map[int][]Neighbour{}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		err := h.neighbours(neighHead{family: family}, func(n neighEntry) {
			if are(n) {
				out[n.index] = append(out[n.index], Neighbour{n.addr, n.mac})
			}
		})
		if err != nil {
			return nil, fmt.Errorf("listing neighbours: %w", err)
		}
	}
	return out, nil
}

// Proxies is the addresses that the namespace answers for as if they were its own,
// by index of the interface that it does so on.
func (h *Handle) Proxies() (map[int][]netip.Addr, error) {
	out := map[int][]netip.Addr{}
	err := h.neighbours(neighHead{family: unix.AF_INET6, flags: unix.NTF_PROXY}, func(n neighEntry) {
		if n.flags&unix.NTF_PROXY != 0 {
			out[n.index] = append(out[n.index], n.addr)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listing proxied neighbours: %w", err)
	}
	return out, nil
}

// AddProxy has an interface answer for an IPv6 address. One that does already is no
// error.
func (h *Handle) AddProxy(index int, a netip.Addr) error {
	return h.neigh(index, 1, func(int) *nl.NetlinkRequest { return proxy(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE, index, a) }, 0)
}

// DeleteProxy ends that. One that is not there is no error.
func (h *Handle) DeleteProxy(index int, a netip.Addr) error {
	return h.neigh(index, 1, func(int) *nl.NetlinkRequest { return proxy(unix.RTM_DELNEIGH, 0, index, a) }, unix.ENOENT)
}

func proxy(typ, flags, index int, a netip.Addr) *nl.NetlinkRequest {
	r := neighRequest(typ, neighHead{family: unix.AF_INET6, index: index, flags: unix.NTF_PROXY})
	r.Flags |= uint16(flags)
	r.AddData(nl.NewRtAttr(unix.NDA_DST, a.AsSlice()))
	return r
}

// neighbours lists the entries of one family, or of it those that are proxied.
func (h *Handle) neighbours(head neighHead, f func(neighEntry)) error {
	all, err := list(h.conn, func() *nl.NetlinkRequest { return neighRequest(unix.RTM_GETNEIGH, head) },
		func(b []byte) (neighEntry, bool, error) { n, err := parseNeigh(b); return n, err == nil, err })
	for _, n := range all {
		f(n)
	}
	return err
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
	flags uint8
	mac   weft.MAC
	addr  netip.Addr
}

func parseNeigh(b []byte) (neighEntry, error) {
	if len(b) < neighHeadLen {
		return neighEntry{}, fmt.Errorf("short neighbour message of %d bytes", len(b))
	}
	native := nl.NativeEndian()
	n := neighEntry{index: int(native.Uint32(b[4:])), state: native.Uint16(b[8:]), flags: b[10]}
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
