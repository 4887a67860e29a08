package weft

import (
	"fmt"
	"strconv"
	"strings"
)

// PortForwarding sends ports of a floating IP on to ports of an internal address.
// As many ports go to as many in order, or all to one. Single ports are shown by
// themselves as well, ranges only as such.
type PortForwarding struct {
	Meta
	FloatingIPID      string    `json:"floatingip_id"` // not on the wire
	Description       string    `json:"description"`
	Protocol          string    `json:"protocol"` // by name: "tcp"
	ExternalPort      int       `json:"external_port,omitempty"`
	ExternalPortRange PortRange `json:"external_port_range"`
	InternalPortID    string    `json:"internal_port_id"`
	InternalIPAddress Addr      `json:"internal_ip_address"`
	InternalPort      int       `json:"internal_port,omitempty"`
	InternalPortRange PortRange `json:"internal_port_range"`
}

// SetExternal sets the external ports, in both forms.
func (f *PortForwarding) SetExternal(r PortRange) {
	f.ExternalPortRange, f.ExternalPort = r, r.single()
}

// SetInternal sets the internal ports, in both forms.
func (f *PortForwarding) SetInternal(r PortRange) {
	f.InternalPortRange, f.InternalPort = r, r.single()
}

// PortRange is a range of ports, both ends included; the zero PortRange is none.
type PortRange struct{ First, Last int }

// OnePort is the range of a single port; 0 is none.
func OnePort(n int) PortRange { return PortRange{n, n} }

// ParsePortRange reads "80:90" or "80".
func ParsePortRange(s string) (PortRange, error) {
	a, b, two := strings.Cut(s, ":")
	if !two {
		b = a
	}
	first, err := strconv.Atoi(a)
	if err != nil {
		return PortRange{}, fmt.Errorf("reading the port range %q: %w", s, err)
	}
	last, err := strconv.Atoi(b)
	if err != nil {
		return PortRange{}, fmt.Errorf("reading the port range %q: %w", s, err)
	}
	return PortRange{first, last}, nil
}

// IsValid reports whether there is any port.
func (r PortRange) IsValid() bool { return r.First > 0 }

// Size is the number of ports.
func (r PortRange) Size() int { return r.Last - r.First + 1 }

// Overlaps reports whether a port is in both.
func (r PortRange) Overlaps(o PortRange) bool {
	return r.IsValid() && o.IsValid() && r.First <= o.Last && o.First <= r.Last
}

// single is the only port, or 0.
func (r PortRange) single() int {
	if r.First == r.Last {
		return r.First
	}
	return 0
}

func (r PortRange) String() string { return fmt.Sprintf("%d:%d", r.First, r.Last) }

// MarshalText implements encoding.TextMarshaler.
func (r PortRange) MarshalText() ([]byte, error) {
	if !r.IsValid() {
		return nil, nil
	}
	return []byte(r.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *PortRange) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*r = PortRange{}
		return nil
	}
	*r, err = ParsePortRange(string(b))
	return err
}
