package arp

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
)

// Form is the kind of an announcement. Some neighbours learn from the one only,
// some from the other (RFC 5227 section 3; `arping -U` and `arping -A`).
type Form uint16

// The forms.
const (
	Request Form = 1
	Reply   Form = 2
)

// frameLen is an Ethernet header and an ARP packet for Ethernet and IPv4.
const frameLen = 14 + 28

var broadcast = weft.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Frame is the gratuitous ARP frame that says addr is at mac. The address must be
// IPv4.
func Frame(form Form, mac weft.MAC, addr netip.Addr) []byte {
	b := make([]byte, 0, frameLen)
	b = append(b, broadcast[:]...)
	b = append(b, mac[:]...)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_ARP)
	b = binary.BigEndian.AppendUint16(b, unix.ARPHRD_ETHER)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IP)
	b = append(b, 6, 4)
	b = binary.BigEndian.AppendUint16(b, uint16(form))
	b = append(b, mac[:]...)
	b = append(b, addr.AsSlice()...)
	if form == Reply {
		b = append(b, mac[:]...)
	} else {
		b = append(b, broadcast[:]...)
	}
	return append(b, addr.AsSlice()...)
}
