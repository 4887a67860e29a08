package dhcp

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/host"
)

// wiring is what one network's service needs in the kernel: a namespace, and a
// veth from there to the network's bridge.
type wiring struct {
	cloud     string
	namespace string
	bridge    string
	tap       string // host end
	alias     string // of the host end
	device    string // end in the namespace
	mac       weft.MAC
	mtu       int
	addresses []netip.Prefix
	gateway   netip.Addr // of the default route; invalid: none
}

// devicePrefix begins the names of all devices we put into a DHCP namespace.
var devicePrefix = host.DHCPDevice("")

func wiringOf(n *host.Network) wiring {
	w := wiring{
		namespace: host.DHCPNamespace(n.ID),
		bridge:    host.BridgeName(n.ID),
		tap:       host.TapName(n.DHCP.PortID),
		alias:     mark.Mark{Kind: mark.Port, ID: n.DHCP.PortID}.String(),
		device:    host.DHCPDevice(n.DHCP.PortID),
		mac:       n.DHCP.MAC,
		mtu:       n.MTU,
	}
	for _, a := range n.DHCP.Addresses {
		w.addresses = append(w.addresses, a.Prefix)
		i := slices.IndexFunc(n.Subnets, func(s host.Subnet) bool { return s.ID == a.SubnetID })
		if i >= 0 && !w.gateway.IsValid() && n.Subnets[i].Gateway.Is4() {
			w.gateway = n.Subnets[i].Gateway
		}
	}
	// Also where guests are sent to a router for it: those that have a lease of before
	// the router came know this way only.
	w.addresses = append(w.addresses, netip.PrefixFrom(netip.MustParseAddr(metadataAddr), 32))
	return w
}

// in is the wiring as one of the cloud's.
func (w wiring) in(cloud string) wiring {
	m, _ := mark.Parse(w.alias)
	m.Cloud = cloud
	w.cloud, w.alias = cloud, m.String()
	return w
}

// anywhere is the destination of a default route.
var anywhere = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

// observed is what the kernel has of a wiring. A link with index 0 is not there.
type observed struct {
	namespace bool
	bridge    int // index; 0: not there
	tap       link.Link
	device    link.Link
	stale     []link.Link    // devices of former DHCP ports in the namespace
	addresses []netip.Prefix // of the device; IPv6's link-local ones left out
	gateway   netip.Addr
}

// paired reports whether the two ends belong together.
func (o observed) paired() bool {
	return o.tap.Index != 0 && o.device.Index != 0 && o.tap.Peer == o.device.Index && o.device.Peer == o.tap.Index
}

// op is one change. Its text is how one would do it by hand.
type op struct {
	text string
	run  func(*kernel) error
}

// plan is the way from have to want. Empty when they agree.
func plan(want wiring, have observed) []op {
	var ops []op
	if !have.namespace {
		ops = append(ops, op{"ip netns add " + want.namespace, func(k *kernel) error { return k.makeNamespace(want) }})
	}
	for _, l := range have.stale {
		ops = append(ops, op{"ip -n " + want.namespace + " link del " + l.Name, func(k *kernel) error { return k.ns.Delete(l.Index) }})
	}
	if have.paired() {
		ops = append(ops, planTap(want, have)...)
	} else {
		ops = append(ops, replaceVeth(want, have)...)
		have.device = link.Link{MAC: want.mac, MTU: want.mtu}
		have.addresses, have.gateway = nil, netip.Addr{}
	}
	ops = append(ops, planDevice(want, have)...)
	return append(ops, planAddresses(want, have)...)
}

func replaceVeth(want wiring, have observed) (ops []op) {
	if have.tap.Index != 0 {
		ops = append(ops, op{"ip link del " + want.tap, func(k *kernel) error { return k.root.Delete(have.tap.Index) }})
	}
	if have.device.Index != 0 {
		ops = append(ops, op{"ip -n " + want.namespace + " link del " + want.device, func(k *kernel) error { return k.ns.Delete(have.device.Index) }})
	}
	text := "ip link add " + want.tap + " mtu " + strconv.Itoa(want.mtu) + " alias " + want.alias + " addrgenmode none up"
	if have.bridge != 0 {
		text += " master " + want.bridge
	}
	text += " type veth peer name " + want.device + " address " + want.mac.String() + " netns " + want.namespace
	return append(ops, op{text, func(k *kernel) error { return k.makeVeth(want, have.bridge) }})
}

// planTap mends the host end. It never gets an address of its own: guests must
// not reach the host by it.
func planTap(want wiring, have observed) (ops []op) {
	set := func(what string, changes ...link.Change) {
		ops = append(ops, op{"ip link set " + want.tap + " " + what, func(k *kernel) error { return k.setTap(want, changes...) }})
	}
	if have.tap.MTU != want.mtu {
		set("mtu "+strconv.Itoa(want.mtu), link.MTU(want.mtu))
	}
	if have.tap.Alias != want.alias {
		set("alias "+want.alias, link.Alias(want.alias))
	}
	if have.tap.Master != have.bridge {
		set("master "+want.bridge, link.Master(have.bridge))
	}
	if !have.tap.Up {
		set("addrgenmode none up", link.NoAutoIPv6(), link.Up(true))
	}
	return ops
}

func planDevice(want wiring, have observed) (ops []op) {
	set := func(what string, change link.Change) {
		ops = append(ops, op{"ip -n " + want.namespace + " link set " + want.device + " " + what, func(k *kernel) error { return k.setDevice(want, change) }})
	}
	if have.device.MAC != want.mac {
		set("address "+want.mac.String(), link.MAC(want.mac))
	}
	if have.device.MTU != want.mtu {
		set("mtu "+strconv.Itoa(want.mtu), link.MTU(want.mtu))
	}
	if !have.device.Up {
		set("up", link.Up(true))
	}
	return ops
}

// planAddresses adds before it deletes, so that the service has an address at
// every moment; the route comes last, because it may go with an address.
func planAddresses(want wiring, have observed) (ops []op) {
	do := func(what string, run func(*kernel) error) {
		ops = append(ops, op{"ip -n " + want.namespace + " " + what + " dev " + want.device, run})
	}
	for _, p := range want.addresses {
		if !slices.Contains(have.addresses, p) {
			do("addr add "+p.String(), func(k *kernel) error { return k.addAddress(want, p) })
		}
	}
	was := have.gateway
	for _, p := range have.addresses {
		if !slices.Contains(want.addresses, p) {
			have.gateway = netip.Addr{}
			do("addr del "+p.String(), func(k *kernel) error { return k.deleteAddress(want, p) })
		}
	}
	switch {
	case want.gateway.IsValid() && want.gateway != have.gateway:
		do("route replace default via "+want.gateway.String()+" onlink", func(k *kernel) error { return k.setGateway(want) })
	case !want.gateway.IsValid() && was.IsValid():
		do("route del default via "+was.String(), func(k *kernel) error { return k.dropGateway(want, was) })
	}
	return ops
}
