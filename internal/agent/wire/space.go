package wire

import (
	"net/netip"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/link"
)

// Mark begins the alias of every device of ours.
const Mark = "weft:"

// Space is a namespace as it shall be.
type Space struct {
	Name     string
	Settings []Setting
	Legs     []Leg
	Routes   []Route  // what is not reached by a leg's addresses; on-link ones first
	Prefixes []string // devices whose names begin so are legs: one that is not in Legs goes
}

// Setting is a kernel setting of the namespace. A kernel that lacks it is no error.
type Setting struct {
	Path  string // below /proc/sys
	Value string
}

// Leg is a veth pair from the namespace to the host.
type Leg struct {
	Device    string   // end in the namespace
	MAC       weft.MAC // of that end; zero: any
	MTU       int
	Up        bool // of that end; the other is always up
	Addresses []netip.Prefix
	Outer     string // end on the host
	Alias     string // of that end; begins with Mark
	Bridge    string // of that end; empty: somebody else's affair
}

// Route is a route of the namespace's main table. At most one leads to each
// destination.
type Route struct {
	Dst    netip.Prefix
	Via    netip.Addr // invalid: on the link
	Device string
}

// Observed is what the kernel has of a Space.
type Observed struct {
	Exists    bool                      // the namespace
	Settings  map[string]string         // those the kernel has
	Bridges   map[string]int            // index by name
	Outer     map[string]link.Link      // by name, of the Space's legs
	Inner     map[string]link.Link      // by name, everything in the namespace
	Addresses map[string][]netip.Prefix // by device
	Routes    []Route                   // made by hand or by us, not by the kernel
}

// paired reports whether both ends of the leg are there and belong together.
func (o *Observed) paired(l Leg) bool {
	out, in := o.Outer[l.Outer], o.Inner[l.Device]
	return out.Index != 0 && in.Index != 0 && out.Peer == in.Index && in.Peer == out.Index
}
