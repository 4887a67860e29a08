// Package host says what one host must look like: values only. The server
// computes a State from the database; whoever realises a host (the Linux bridge
// agent, a controller, a simulator) consumes it. Nothing here does I/O, and
// nothing here knows JSON keys of the API or names of kernel objects other than
// those that Neutron's users know (see names.go).
package host

import (
	"net/netip"
	"strings"

	"github.com/weftnet/weft"
)

// State is everything one host must realise. It is complete: what is not in it
// must not exist on the host. Slices are sorted by id, so equal states are
// deeply equal.
type State struct {
	Cloud    string // its id; what is on the host is marked with it
	Host     string
	Revision int64 // position in the change log that the state includes
	Networks []Network
	Ports    []Port // instances' ports bound to this host; never routers' or DHCP's
	Groups   []Group
	Members  map[string][]netip.Prefix // remote group id -> addresses of its ports, or what an address group holds; sorted
	Routers  []Router
}

// Network is a layer-2 domain with something on this host.
type Network struct {
	ID        string
	ProjectID string
	MTU       int // bytes, of every interface on the network
	Segment   Segment
	Subnets   []Subnet // sorted by id
	DHCP      *DHCP    // nil: this host does not answer DHCP for the network
	Leases    []Lease  // every port of the network with an address, sorted by MAC; filled when DHCP or a router of the network is here
	Peers     []Peer   // where the network's other ports are, for tunnels
}

// Segment is how the network travels between hosts.
type Segment struct {
	Type            string // weft.TypeLocal, TypeFlat, TypeVXLAN, ...
	PhysicalNetwork string // flat and vlan
	ID              uint32 // VNI or VLAN id
}

// Subnet is the part of a subnet that hosts and routers need.
type Subnet struct {
	ID         string
	CIDR       netip.Prefix
	Gateway    netip.Addr // invalid: none
	Routed     bool       // a router has the gateway's address; told of a Network's subnets only, where its Leases are
	EnableDHCP bool
	DNS        []netip.Addr
	Routes     []weft.Route
	RAMode     string
	AddrMode   string
}

// Peer is another host's tunnel end and what is reachable behind it.
type Peer struct {
	VTEP    netip.Addr
	Entries []PeerEntry
}

// PeerEntry is one remote port.
type PeerEntry struct {
	MAC       weft.MAC
	Addresses []netip.Addr
}

// DHCP is the DHCP service of a network on this host, in namespace qdhcp-ID.
type DHCP struct {
	PortID    string
	MAC       weft.MAC
	Addresses []Address // one per subnet it serves
	Domain    string    // DNS search domain without trailing dot, e.g. "openstacklocal"
	Revision  int64     // of the port, echoed in the Report
}

// Address is an interface address and the subnet it is from.
type Address struct {
	SubnetID string
	Prefix   netip.Prefix // address and prefix length
}

// Lease is what one port is told by DHCP, and who stands behind its addresses
// for the metadata service.
type Lease struct {
	PortID    string
	DeviceID  string
	ProjectID string
	Owner     string // device owner
	MAC       weft.MAC
	Addresses []Address
	Hostname  string
	Options   []weft.ExtraDHCPOpt
}

// Port is an instance's attachment to be wired on this host.
type Port struct {
	ID           string
	NetworkID    string
	ProjectID    string
	DeviceID     string
	DeviceOwner  string
	MAC          weft.MAC
	Addresses    []netip.Addr
	AdminUp      bool
	PortSecurity bool          // false, or Trusted: neither filtered nor checked
	Trusted      bool          // device owner network:*
	Pairs        []AllowedPair // further senders that are not spoofed
	Groups       []string      // sorted ids
	QoS          QoS           // of the port's policy, or else its network's
	Parent       string        // a trunk's subport travels through the tap of this port; "": has a tap of its own
	Tag          uint16        // the VLAN id it has there
	Revision     int64         // of the port, echoed in the Report
}

// OfInstance reports whether Nova, or who stands in for it, made the port's tap.
func (p *Port) OfInstance() bool { return strings.HasPrefix(p.DeviceOwner, "compute:") }

// QoS is what of a QoS policy a host realises.
type QoS struct {
	PolicyID string // "": none
	Egress   Limits // of what comes from the port, floating IP or gateway
	Ingress  Limits // of what goes there
	Marked   bool   // with DSCP, what comes from the port
	DSCP     uint8
}

// Limits bound a flow; 0 is no limit, and for bursts the usual.
type Limits struct {
	Kbps      int64 // kbit/s
	BurstKbit int64
	Kpps      int64 // 1000 packets/s
	BurstKpkt int64 // 1000 packets
}

// AllowedPair is a MAC and prefix the port may also send from.
type AllowedPair struct {
	MAC    weft.MAC
	Prefix netip.Prefix
}

// Group is a security group used by a port of this host.
type Group struct {
	ID       string
	Stateful bool
	Rules    []Rule // sorted by id
}

// Rule admits traffic. Zero values mean "any".
type Rule struct {
	ID          string
	Ingress     bool // towards the port
	IPv6        bool
	Protocol    int // IANA number; -1 any (0 is hopopt)
	Min, Max    int // ports, or ICMP type and code; -1 any
	Remote      netip.Prefix
	RemoteGroup string // key of State.Members
}

// Router is a router this host carries, in namespace qrouter-ID.
type Router struct {
	ID          string
	ProjectID   string
	AdminUp     bool
	Interfaces  []RouterPort // internal, "qr-"; sorted by port id
	Gateway     *RouterPort  // external, "qg-"; nil: none
	Further     []RouterPort // gateways beside Gateway, sorted by port id; none without one
	ECMP        bool         // what has no route of its own goes by all gateways; else by Gateway
	GatewayQoS  QoS          // of what goes by the addresses of Gateway
	SNAT        bool         // source-translate what leaves by a gateway
	FloatingIPs []FloatingIP // sorted by address
	Routes      []weft.Route // extra routes
	Forwardings []Forwarding // sorted by floating IP, protocol and port
	Helpers     []Helper     // sorted by helper, protocol and port
	NDPProxy    bool         // by the gateway only published IPv6 addresses are reached, and the router answers for them there
	Published   []netip.Addr // those addresses, sorted
}

// Gateways is all gateways of a router, the first first.
func (r *Router) Gateways() (out []*RouterPort) {
	if r.Gateway == nil {
		return nil
	}
	out = append(out, r.Gateway)
	for i := range r.Further {
		out = append(out, &r.Further[i])
	}
	return out
}

// GatewayOf is the gateway that a floating IP is on: one on its network, or else the
// first.
func (r *Router) GatewayOf(f FloatingIP) *RouterPort {
	for _, g := range r.Gateways() {
		if g.NetworkID == f.NetworkID {
			return g
		}
	}
	return r.Gateway
}

// Forwarding sends ports of a floating IP on: as many to as many, or all to one.
type Forwarding struct {
	Floating netip.Addr
	Protocol int // IANA number
	External weft.PortRange
	Fixed    netip.Addr
	Internal weft.PortRange
}

// Helper has connections to a port watched for those that belong to them.
type Helper struct {
	Helper   string // by Neutron's name: "ftp"
	Protocol int    // IANA number
	Port     int
}

// RouterPort is an interface of a router.
type RouterPort struct {
	PortID    string
	NetworkID string
	MAC       weft.MAC
	MTU       int
	Addresses []Address
	Subnets   []Subnet // those of Addresses; for a gateway all of the external network
	QoS       QoS      // of the port's policy, or for a gateway else its network's
	Revision  int64
}

// FloatingIP is an address outside that a router translates: one to one, or only where
// Forwardings say.
type FloatingIP struct {
	ID        string
	NetworkID string // that it is of
	Floating  netip.Addr
	Fixed     netip.Addr // invalid if ports of it are forwarded
	PortID    string
	QoS       QoS
}

// Report is what an agent has realised of a State; it is what makes ports
// ACTIVE. Ports lists the ports of the State of which the server has not been told
// the same before; the first report of an agent lists all.
type Report struct {
	Host        string
	Revision    int64
	Ports       []PortReport
	FloatingIPs map[string]string // floating IP id -> status, for all on this host
}

// PortReport is the state of one port on the host.
type PortReport struct {
	ID       string
	Revision int64  // of the port as realised
	Up       bool   // wired, filtered and served
	Reason   string // why not, in words for a user
}
