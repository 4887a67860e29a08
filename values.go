package weft

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// ID is a reference that may be absent: the empty ID is null on the wire.
type ID string

// MarshalJSON implements json.Marshaler.
func (id ID) MarshalJSON() ([]byte, error) {
	if id == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(id))
}

// Digits is a number that the API shows as text and takes as either.
type Digits int

// MarshalJSON implements json.Marshaler.
func (d Digits) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `"%d"`, int(d)), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Digits) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(bytes.Trim(b, `"`), (*int)(d))
}

// Addr is an IP address that may be absent: the zero Addr is null on the wire.
type Addr struct{ netip.Addr }

// AddrOf wraps a netip.Addr.
func AddrOf(a netip.Addr) Addr { return Addr{a} }

// MarshalJSON implements json.Marshaler.
func (a Addr) MarshalJSON() ([]byte, error) {
	if !a.IsValid() {
		return []byte("null"), nil
	}
	b := make([]byte, 0, 48)
	b = append(b, '"')
	b = a.AppendTo(b)
	return append(b, '"'), nil
}

// UnmarshalJSON implements json.Unmarshaler. Null and "" are the absent address.
func (a *Addr) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) || bytes.Equal(b, []byte(`""`)) {
		*a = Addr{}
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	p, err := netip.ParseAddr(s)
	if err != nil {
		return err
	}
	a.Addr = p
	return nil
}

// MAC is an Ethernet address. Unlike net.HardwareAddr it is comparable and has
// the colon form as its text.
type MAC [6]byte

// ParseMAC accepts every form net.ParseMAC does, of 48 bits.
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil {
		return MAC{}, err
	}
	if len(hw) != 6 {
		return MAC{}, fmt.Errorf("%q is not a 48-bit MAC address", s)
	}
	return MAC(hw), nil
}

// HardwareAddr is the address as the net package has it.
func (m MAC) HardwareAddr() net.HardwareAddr { return net.HardwareAddr(m[:]) }

// IsZero reports whether m is 00:00:00:00:00:00, which stands for "none".
func (m MAC) IsZero() bool { return m == MAC{} }

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) {
	if m.IsZero() {
		return nil, nil
	}
	return []byte(m.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MAC) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*m = MAC{}
		return nil
	}
	p, err := ParseMAC(string(b))
	*m = p
	return err
}

// EUI64 is the SLAAC address (RFC 4291, appendix A) of mac in the /64 prefix p.
func EUI64(p netip.Prefix, mac MAC) netip.Addr {
	b := p.Masked().Addr().As16()
	b[8], b[9], b[10] = mac[0]^0x02, mac[1], mac[2]
	b[11], b[12] = 0xff, 0xfe
	b[13], b[14], b[15] = mac[3], mac[4], mac[5]
	return netip.AddrFrom16(b)
}

// Time is an instant with the precision the API shows: whole seconds, UTC.
type Time struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return t.UTC().AppendFormat(make([]byte, 0, 24), `"2006-01-02T15:04:05Z"`), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*t = Time{}
		return nil
	}
	p, err := time.Parse(`"2006-01-02T15:04:05Z"`, string(b))
	t.Time = p
	return err
}

// List is a slice that is [] on the wire when it is empty, never null.
type List[T any] []T

// MarshalJSON implements json.Marshaler.
func (l List[T]) MarshalJSON() ([]byte, error) {
	if len(l) == 0 {
		return []byte("[]"), nil
	}
	return json.Marshal([]T(l))
}

// Route is a static route: a destination prefix and its next hop.
type Route struct {
	Destination netip.Prefix `json:"destination"`
	NextHop     netip.Addr   `json:"nexthop"`
}

// Given is the set of attribute names that a request named explicitly, which a
// zero value in the decoded noun cannot tell apart from absence.
type Given map[string]bool
