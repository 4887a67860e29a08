// Package conntrack takes away the state of connections that are no longer
// permitted: the kernel would let their packets pass for as long as they come.
// Netlink libraries hide what a security rule asks for (the type and code of
// ICMP) or cannot change an entry outside of zone 0, hence this small one.
package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Tuple is one direction of a flow.
type Tuple struct {
	Src, Dst   netip.Addr
	Protocol   uint8
	SPort      uint16 // of TCP, UDP and the like
	DPort      uint16
	Type, Code uint8 // of ICMP and ICMPv6
}

// Flow is an entry of the table.
type Flow struct {
	Zone  uint16
	Mark  uint32
	Orig  Tuple // as the first packet was
	Reply Tuple

	family uint8
	tuple  []byte // Orig, as the kernel has it
	id     []byte
}

// Conn changes the table of one network namespace. It may be used concurrently.
type Conn struct{ nsFD int }

// Open makes a Conn for the namespace open as a file descriptor, which must stay
// open; 0 is the process's own.
func Open(nsFD int) *Conn { return &Conn{nsFD} }

// Action is what becomes of a flow.
type Action struct {
	Delete bool
	Mark   *uint32 // set the connection's mark
}

// Change reads the whole table once, both families, and does with each flow what
// decide says. It returns how many flows were changed. Flows that are gone when
// their turn comes are no error; a flow that cannot be changed does not stop the
// others.
func (c *Conn) Change(decide func(Flow) Action) (int, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: c.nsFD})
	if err != nil {
		return 0, fmt.Errorf("opening conntrack: %w", err)
	}
	defer conn.Close()
	conn.SetReadBuffer(8 << 20) // a wish; smaller ones make the dump slower
	flows, err := dump(conn)
	if err != nil {
		return 0, fmt.Errorf("reading conntrack: %w", err)
	}
	changed := 0
	var failed []error
	for _, f := range flows {
		a := decide(f)
		if !a.Delete && a.Mark == nil {
			continue
		}
		_, err := conn.Execute(request(f, a))
		if err != nil && !errors.Is(err, unix.ENOENT) {
			failed = append(failed, err)
			continue
		}
		changed++
	}
	if failed != nil {
		return changed, fmt.Errorf("changing %d flows: %w", len(failed), failed[0])
	}
	return changed, nil
}

// Delete removes the flows of a zone that match.
func (c *Conn) Delete(zone uint16, match func(Flow) bool) (int, error) {
	return c.Change(func(f Flow) Action { return Action{Delete: f.Zone == zone && match(f)} })
}

// List is the table.
func (c *Conn) List() ([]Flow, error) {
	var out []Flow
	_, err := c.Change(func(f Flow) Action {
		out = append(out, f)
		return Action{}
	})
	return out, err
}

// Messages and attributes of linux/netfilter/nfnetlink_conntrack.h.
const (
	msgNew, msgGet, msgDelete = 0, 1, 2

	attrOrig, attrReply, attrMark, attrID, attrZone = 1, 2, 8, 12, 18

	tupleIP, tupleProto            = 1, 2
	ip4Src, ip4Dst, ip6Src, ip6Dst = 1, 2, 3, 4

	protoNum, protoSPort, protoDPort             = 1, 2, 3
	protoType, protoCode, protoType6, protoCode6 = 5, 6, 8, 9
)

func message(typ int, family uint8, flags netlink.HeaderFlags, attrs []byte) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_CTNETLINK<<8 | typ), Flags: netlink.Request | flags},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, attrs...),
	}
}

func dump(conn *netlink.Conn) ([]Flow, error) {
	msgs, err := conn.Execute(message(msgGet, unix.AF_UNSPEC, netlink.Dump, nil))
	if err != nil {
		return nil, err
	}
	flows := make([]Flow, 0, len(msgs))
	for _, m := range msgs {
		f, err := parse(m.Data)
		if err != nil {
			return nil, err
		}
		flows = append(flows, f)
	}
	return flows, nil
}

// request changes the very flow: the id keeps one that took its place safe from
// deletion.
func request(f Flow, a Action) netlink.Message {
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	ae.Bytes(attrOrig|unix.NLA_F_NESTED, f.tuple)
	ae.Uint16(attrZone, f.Zone)
	typ := msgNew
	if a.Delete {
		typ = msgDelete
		ae.Bytes(attrID, f.id)
	} else {
		ae.Uint32(attrMark, *a.Mark)
	}
	attrs, _ := ae.Encode() // fails for values over 64 KiB only
	return message(typ, f.family, netlink.Acknowledge, attrs)
}

var errShort = errors.New("conntrack: message too short")

func parse(b []byte) (f Flow, err error) {
	if len(b) < 4 {
		return f, errShort
	}
	f.family = b[0]
	ad, err := netlink.NewAttributeDecoder(b[4:])
	if err != nil {
		return f, err
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		switch ad.Type() {
		case attrOrig:
			f.tuple = ad.Bytes()
			ad.Nested(f.Orig.parse)
		case attrReply:
			ad.Nested(f.Reply.parse)
		case attrMark:
			f.Mark = ad.Uint32()
		case attrID:
			f.id = ad.Bytes()
		case attrZone:
			f.Zone = ad.Uint16()
		}
	}
	return f, ad.Err()
}

func (t *Tuple) parse(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case tupleIP:
			ad.Nested(t.parseIP)
		case tupleProto:
			ad.Nested(t.parseProto)
		}
	}
	return ad.Err()
}

func (t *Tuple) parseIP(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		a, _ := netip.AddrFromSlice(ad.Bytes())
		switch ad.Type() {
		case ip4Src, ip6Src:
			t.Src = a
		case ip4Dst, ip6Dst:
			t.Dst = a
		}
	}
	return ad.Err()
}

func (t *Tuple) parseProto(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case protoNum:
			t.Protocol = ad.Uint8()
		case protoSPort:
			t.SPort = ad.Uint16()
		case protoDPort:
			t.DPort = ad.Uint16()
		case protoType, protoType6:
			t.Type = ad.Uint8()
		case protoCode, protoCode6:
			t.Code = ad.Uint8()
		}
	}
	return ad.Err()
}
