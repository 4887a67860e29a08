package dhcp

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
)

// wiring is what one network's service needs in the kernel: a namespace, and a
// veth from there to the network's bridge.
type wiring struct {
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
		alias:     "weft:port:" + n.DHCP.PortID,
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
	if n.DHCP.Metadata {
		w.addresses = append(w.addresses, netip.PrefixFrom(netip.MustParseAddr(metadataAddr), 32))
	}
	return w
}

// link is an interface as observed. Its zero value is one that is not there.
type link struct {
	index  int
	alias  string
	mac    weft.MAC
	mtu    int
	up     bool
	master int // index
	peer   int // index of the other end of a veth
}

// observed is what the kernel has of a wiring.
type observed struct {
	namespace bool
	bridge    int // index; 0: not there
	tap       link
	device    link
	stale     []string       // devices of former DHCP ports in the namespace
	addresses []netip.Prefix // of the device, link-local ones left out
	gateway   netip.Addr
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
		ops = append(ops, op{"ip netns add " + want.namespace, func(k *kernel) error { return k.makeNamespace(want.namespace) }})
	}
	for _, name := range have.stale {
		ops = append(ops, op{"ip -n " + want.namespace + " link del " + name, func(k *kernel) error { return k.deleteDevice(name) }})
	}
	if !have.paired() {
		ops = append(ops, replaceVeth(want, have)...)
		have.tap, have.device = link{mtu: want.mtu, master: have.bridge}, link{mac: want.mac, mtu: want.mtu}
		have.addresses, have.gateway = nil, netip.Addr{}
	}
	ops = append(ops, planTap(want, have)...)
	ops = append(ops, planDevice(want, have)...)
	return append(ops, planAddresses(want, have)...)
}

func replaceVeth(want wiring, have observed) (ops []op) {
	if have.tap.index != 0 {
		ops = append(ops, op{"ip link del " + want.tap, func(k *kernel) error { return k.deleteTap(want.tap) }})
	}
	if have.device.index != 0 {
		ops = append(ops, op{"ip -n " + want.namespace + " link del " + want.device, func(k *kernel) error { return k.deleteDevice(want.device) }})
	}
	text := "ip link add " + want.tap + " mtu " + strconv.Itoa(want.mtu) + " master " + want.bridge + " type veth peer name " + want.device +
		" address " + want.mac.String() + " netns " + want.namespace
	return append(ops, op{text, func(k *kernel) error { return k.makeVeth(want, have.bridge) }})
}

func planTap(want wiring, have observed) (ops []op) {
	set := func(what string, run func(*kernel) error) {
		ops = append(ops, op{"ip link set " + want.tap + " " + what, run})
	}
	if have.tap.mtu != want.mtu {
		set("mtu "+strconv.Itoa(want.mtu), func(k *kernel) error { return k.setMTU(k.root, want.tap, want.mtu) })
	}
	if have.tap.alias != want.alias {
		set("alias "+want.alias, func(k *kernel) error { return k.setAlias(want.tap, want.alias) })
	}
	if have.tap.master != have.bridge {
		set("master "+want.bridge, func(k *kernel) error { return k.setMaster(want.tap, have.bridge) })
	}
	if !have.tap.up {
		set("addrgenmode none up", func(k *kernel) error { return k.raiseTap(want.tap) })
	}
	return ops
}

func planDevice(want wiring, have observed) (ops []op) {
	set := func(what string, run func(*kernel) error) {
		ops = append(ops, op{"ip -n " + want.namespace + " link set " + want.device + " " + what, run})
	}
	if have.device.mac != want.mac {
		set("address "+want.mac.String(), func(k *kernel) error { return k.setMAC(want.device, want.mac) })
	}
	if have.device.mtu != want.mtu {
		set("mtu "+strconv.Itoa(want.mtu), func(k *kernel) error { return k.setMTU(k.ns, want.device, want.mtu) })
	}
	if !have.device.up {
		set("up", func(k *kernel) error { return k.raise(want.device) })
	}
	return ops
}

// planAddresses adds before it deletes, so that the service has an address at
// every moment; the route comes last, because it may go with an address.
func planAddresses(want wiring, have observed) (ops []op) {
	in := "ip -n " + want.namespace + " "
	for _, p := range want.addresses {
		if !slices.Contains(have.addresses, p) {
			ops = append(ops, op{in + "addr add " + p.String() + " dev " + want.device, func(k *kernel) error { return k.addAddress(want.device, p) }})
		}
	}
	for _, p := range have.addresses {
		if !slices.Contains(want.addresses, p) {
			have.gateway = netip.Addr{}
			ops = append(ops, op{in + "addr del " + p.String() + " dev " + want.device, func(k *kernel) error { return k.deleteAddress(want.device, p) }})
		}
	}
	switch {
	case want.gateway == have.gateway:
	case want.gateway.IsValid():
		ops = append(ops, op{in + "route replace default via " + want.gateway.String() + " dev " + want.device + " onlink", func(k *kernel) error { return k.setGateway(want.device, want.gateway) }})
	default:
		ops = append(ops, op{in + "route del default dev " + want.device, func(k *kernel) error { return k.dropGateway(want.device) }})
	}
	return ops
}

// texts is the plan as one would type it.
func texts(ops []op) []string {
	var out []string
	for _, o := range ops {
		out = append(out, o.text)
	}
	return out
}

// paired reports whether the two ends belong together.
func (o observed) paired() bool {
	return o.tap.index != 0 && o.device.index != 0 && o.tap.peer == o.device.index && o.device.peer == o.tap.index
}

// conflict is the error of a device that bears our name but is somebody else's.
// One without a mark is ours when its other end is in our namespace: the kernel
// takes an alias only after a device is made, and we may have died in between.
func (o observed) conflict(want wiring) error {
	if o.tap.index == 0 || strings.HasPrefix(o.tap.alias, "weft:") || o.tap.alias == "" && o.paired() {
		return nil
	}
	return fmt.Errorf("device %s is not ours (alias %q)", want.tap, o.tap.alias)
}
