package l2

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

// Ids whose first eleven characters tell them apart.
const (
	netA  = "aaaaaaaa-aa00-4000-8000-000000000000"
	netB  = "bbbbbbbb-bb00-4000-8000-000000000000"
	port1 = "11111111-1100-4000-8000-000000000000"
	port2 = "22222222-2200-4000-8000-000000000000"
	dhcp1 = "dddddddd-dd00-4000-8000-000000000000"
)

var (
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("192.0.2.2")
	other = netip.MustParseAddr("192.0.2.3")
	mac1  = weft.MAC{0xfa, 0x16, 0x3e, 0, 0, 1}
	cfg   = &Config{VTEP: here, VXLANPort: defaultVXLANPort, Physnets: map[string]string{"provider": "eth1"}}
)

func vxlanNet(id string, vni uint32, peers ...host.Peer) host.Network {
	return host.Network{ID: id, MTU: 1450, Segment: host.Segment{Type: weft.TypeVXLAN, ID: vni}, Peers: peers}
}

func flatNet(id string) host.Network {
	return host.Network{ID: id, MTU: 1500, Segment: host.Segment{Type: weft.TypeFlat, PhysicalNetwork: "provider"}}
}

// Links as they are when nothing is to be done.
func rightBridge(index int, id string, mtu int) link.Link {
	return link.Link{Index: index, Name: host.BridgeName(id), Type: "bridge", Alias: "weft:network:" + id, MTU: mtu,
		Up: true, IPv6Off: true, NoAutoIPv6: true, Bridge: bridgeSettings}
}

func rightVXLAN(index int, id string, vni uint32, master int) link.Link {
	return link.Link{Index: index, Name: vxlanName(vni), Type: "vxlan", Alias: "weft:network:" + id, MTU: 1450, Master: master,
		Up: true, NoAutoIPv6: true, VXLAN: link.VXLAN{VNI: vni, Local: here, Port: 8472}}
}

func tap(index int, id string, master, mtu int, up bool) link.Link {
	return link.Link{Index: index, Name: host.TapName(id), Type: "veth", MTU: mtu, Master: master, Up: up}
}

func text(ops []Op) string {
	var b strings.Builder
	for _, op := range ops {
		b.WriteString(op.String() + "\n")
	}
	return b.String()
}

func TestPlanNetworks(t *testing.T) {
	peer := host.Peer{VTEP: there, Entries: []host.PeerEntry{{MAC: mac1, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.9")}}}}
	gateway := link.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("198.51.100.1")}
	tests := map[string]struct {
		cfg      *Config
		networks []host.Network
		observe  func() *observed
		want     string
		failed   map[string]string
	}{
		"a network from nothing": {
			networks: []host.Network{vxlanNet(netA, 10, peer)},
			want: `
ip link add brqaaaaaaaa-aa mtu 1450 alias weft:network:` + netA + ` addrgenmode none type bridge stp_state 0 forward_delay 0 mcast_snooping 0 nf_call_iptables 1 nf_call_ip6tables 1
sysctl net/ipv6/conf/brqaaaaaaaa-aa/disable_ipv6=1
ip link set brqaaaaaaaa-aa up
ip link add vxlan-10 mtu 1450 alias weft:network:` + netA + ` addrgenmode none master brqaaaaaaaa-aa up type vxlan id 10 local 192.0.2.1 dstport 8472 nolearning
bridge fdb append 00:00:00:00:00:00 dev vxlan-10 dst 192.0.2.2
bridge fdb replace fa:16:3e:00:00:01 dev vxlan-10 dst 192.0.2.2
`},
		"nothing to do": {
			networks: []host.Network{vxlanNet(netA, 10, peer)},
			observe: func() *observed {
				o := newObserved([]link.Link{rightBridge(5, netA, 1450), rightVXLAN(6, netA, 10, 5)})
				o.forwards = map[int][]link.Forward{6: {{MAC: mac1, Remote: there}, {Remote: there}}}
				return o
			},
			want: "\n",
		},
		"drift of every kind": {
			networks: []host.Network{vxlanNet(netA, 10, peer)},
			observe: func() *observed {
				br, vx := rightBridge(5, netA, 1500), rightVXLAN(6, netB, 10, 0)
				br.Up, br.IPv6Off, br.Bridge.STP, vx.Up, vx.NoAutoIPv6 = false, false, true, false, false
				o := newObserved([]link.Link{br, vx})
				o.forwards = map[int][]link.Forward{6: {{MAC: mac1, Remote: other}, {Remote: other}, {Remote: there}}}
				return o
			},
			want: `
ip link set brqaaaaaaaa-aa type bridge stp_state 0 forward_delay 0 mcast_snooping 0 nf_call_iptables 1 nf_call_ip6tables 1
ip link set brqaaaaaaaa-aa mtu 1450
sysctl net/ipv6/conf/brqaaaaaaaa-aa/disable_ipv6=1
ip link set brqaaaaaaaa-aa up
ip link set vxlan-10 alias weft:network:` + netA + `
ip link set vxlan-10 addrgenmode none
ip link set vxlan-10 master brqaaaaaaaa-aa
ip link set vxlan-10 up
bridge fdb replace fa:16:3e:00:00:01 dev vxlan-10 dst 192.0.2.2
bridge fdb del fa:16:3e:00:00:01 dev vxlan-10 dst 192.0.2.3
bridge fdb del 00:00:00:00:00:00 dev vxlan-10 dst 192.0.2.3
`},
		"another tunnel end": {
			networks: []host.Network{vxlanNet(netA, 10)},
			observe: func() *observed {
				vx := rightVXLAN(6, netA, 10, 5)
				vx.VXLAN.Local = other
				return newObserved([]link.Link{rightBridge(5, netA, 1450), vx})
			},
			want: `
ip link del vxlan-10
ip link add vxlan-10 mtu 1450 alias weft:network:` + netA + ` addrgenmode none master brqaaaaaaaa-aa up type vxlan id 10 local 192.0.2.1 dstport 8472 nolearning
`},
		"a stranger's tunnel": {
			networks: []host.Network{vxlanNet(netA, 10)},
			observe: func() *observed {
				return newObserved([]link.Link{rightBridge(5, netA, 1450), {Index: 6, Name: "vxlan-10", Type: "vxlan", VXLAN: link.VXLAN{VNI: 99}}})
			},
			want:   "\n",
			failed: map[string]string{netA: "interface vxlan-10 on host h1 was not made by weft and is not as it should be"},
		},
		"neighbours for the proxy": {
			cfg:      &Config{VTEP: here, VXLANPort: 8472, ARPProxy: true},
			networks: []host.Network{vxlanNet(netA, 10, peer)},
			observe: func() *observed {
				vx := rightVXLAN(6, netA, 10, 5)
				vx.VXLAN.Proxy = true
				o := newObserved([]link.Link{rightBridge(5, netA, 1450), vx})
				o.forwards = map[int][]link.Forward{6: {{MAC: mac1, Remote: there}, {Remote: there}}}
				o.neighbours = map[int][]link.Neighbour{6: {{Addr: netip.MustParseAddr("10.0.0.8"), MAC: mac1}}}
				return o
			},
			want: `
ip neigh del 10.0.0.8 dev vxlan-10
ip neigh replace 10.0.0.9 lladdr fa:16:3e:00:00:01 dev vxlan-10 nud permanent
`},
		"a physical interface with the host's address": {
			networks: []host.Network{flatNet(netB)},
			observe: func() *observed {
				o := newObserved([]link.Link{{Index: 2, Name: "eth1", MTU: 1500}, rightBridge(5, netB, 1500)})
				o.addrs[2] = []netip.Prefix{netip.MustParsePrefix("198.51.100.7/24")}
				o.routes[2] = []link.Route{gateway}
				return o
			},
			want: `
ip link set eth1 up
ip link set eth1 master brqbbbbbbbb-bb
ip addr add 198.51.100.7/24 dev brqbbbbbbbb-bb
ip route replace 0.0.0.0/0 via 198.51.100.1 dev brqbbbbbbbb-bb
ip addr del 198.51.100.7/24 dev eth1
`},
		"a physical interface that another network had": {
			networks: []host.Network{flatNet(netB)},
			observe: func() *observed {
				o := newObserved([]link.Link{{Index: 2, Name: "eth1", MTU: 1500, Up: true, Master: 4}, rightBridge(4, netA, 1500), rightBridge(5, netB, 1500)})
				o.addrs[4] = []netip.Prefix{netip.MustParsePrefix("198.51.100.7/24")}
				return o
			},
			want: `
ip link set eth1 master brqbbbbbbbb-bb
ip addr add 198.51.100.7/24 dev brqbbbbbbbb-bb
ip addr del 198.51.100.7/24 dev brqaaaaaaaa-aa
`},
		"a physical interface that is a stranger's": {
			networks: []host.Network{flatNet(netA), flatNet(netB)},
			observe: func() *observed {
				return newObserved([]link.Link{{Index: 2, Name: "eth1", Up: true, Master: 3}, {Index: 3, Name: "br-ext", Type: "bridge"},
					rightBridge(4, netA, 1500), rightBridge(5, netB, 1500)})
			},
			want: "\n",
			failed: map[string]string{
				netA: "interface eth1 of physical network provider is a port of br-ext, which was not made by weft",
				netB: "physical network provider carries flat network " + netA + " already",
			},
		},
		"what cannot be had": {
			networks: []host.Network{
				{ID: netA, MTU: 1450, Segment: host.Segment{Type: weft.TypeGRE, ID: 7}},
				{ID: netB, MTU: 1500, Segment: host.Segment{Type: weft.TypeVLAN, PhysicalNetwork: "lab", ID: 7}},
			},
			observe: func() *observed {
				return newObserved([]link.Link{rightBridge(4, netA, 1450), rightBridge(5, netB, 1500)})
			},
			want: "\n",
			failed: map[string]string{
				netA: "networks of type gre cannot be carried by the Linux bridge backend",
				netB: "physical network lab has no interface on host h1",
			},
		},
		"a VLAN": {
			networks: []host.Network{{ID: netB, MTU: 1500, Segment: host.Segment{Type: weft.TypeVLAN, PhysicalNetwork: "provider", ID: 123}}},
			observe: func() *observed {
				return newObserved([]link.Link{{Index: 2, Name: "eth1", Up: true}, rightBridge(5, netB, 1500)})
			},
			want: `
ip link add eth1.123 link eth1 alias weft:network:` + netB + ` addrgenmode none master brqbbbbbbbb-bb mtu 1500 up type vlan id 123
`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o, c := newObserved(nil), cfg
			if tt.observe != nil {
				o = tt.observe()
			}
			if tt.cfg != nil {
				c = tt.cfg
			}
			ops, failed := planNetworks(c, &host.State{Host: "h1", Networks: tt.networks}, o)
			if d := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), text(ops)); d != "" {
				t.Errorf("plan (-want +got):\n%s", d)
			}
			got := map[string]string{}
			for id, err := range failed {
				got[id] = err.Error()
			}
			if tt.failed == nil {
				tt.failed = map[string]string{}
			}
			if d := cmp.Diff(tt.failed, got); d != "" {
				t.Errorf("failures (-want +got):\n%s", d)
			}
		})
	}
}

func TestPlanPorts(t *testing.T) {
	networks := []host.Network{vxlanNet(netA, 10), {ID: netB, MTU: 1450, DHCP: &host.DHCP{PortID: dhcp1}}}
	port := host.Port{ID: port1, NetworkID: netA, AdminUp: true}
	down := port
	down.AdminUp = false
	nova, novaDown := port, down
	nova.DeviceOwner, novaDown.DeviceOwner = "compute:nova", "compute:nova"
	plugged := func(l link.Link) link.Link { l.Alias = "weft:plug:" + port1; return l }
	a, b := rightBridge(5, netA, 1450), rightBridge(7, netB, 1450)
	tests := map[string]struct {
		added  map[string]int
		ports  []host.Port
		links  []link.Link
		failed map[string]string
		hold   string
		want   string
		reason string
	}{
		"absent": {
			ports: []host.Port{port}, links: []link.Link{a},
			reason: "device tap11111111-11 is not present on host h1",
		},
		"new": {
			ports: []host.Port{port}, links: []link.Link{a, tap(9, port1, 0, 1500, false)},
			want: `
ip link set tap11111111-11 mtu 1450
ip link set tap11111111-11 master brqaaaaaaaa-aa
ip link set tap11111111-11 up
`},
		"connected": {
			ports: []host.Port{port}, links: []link.Link{a, tap(9, port1, 5, 1450, true)},
		},
		"connected, on a network cut off from other hosts": {
			ports: []host.Port{port}, links: []link.Link{a, tap(9, port1, 5, 1450, true)},
			failed: map[string]string{netA: "no tunnel"}, reason: "no tunnel",
		},
		"on the wrong bridge": {
			ports: []host.Port{port}, links: []link.Link{a, b, tap(9, port1, 7, 1450, true)},
			want: "\nip link set tap11111111-11 master brqaaaaaaaa-aa\n",
		},
		"held back": {
			ports: []host.Port{port}, links: []link.Link{a, tap(9, port1, 0, 1450, true)},
			hold: "no firewall", reason: "no firewall",
		},
		"held back from its new bridge": {
			ports: []host.Port{port}, links: []link.Link{a, b, tap(9, port1, 7, 1450, true)},
			hold: "no firewall", reason: "no firewall", want: "\nip link set tap11111111-11 nomaster down\n",
		},
		"held back where it is already": {
			ports: []host.Port{port}, links: []link.Link{a, tap(9, port1, 5, 1450, true)},
			hold: "no firewall",
		},
		"admin down": {
			ports: []host.Port{down}, links: []link.Link{a, tap(9, port1, 5, 1450, true)},
			want: "\nip link set tap11111111-11 nomaster down\n", reason: "the port is administratively down",
		},
		"no bridge": {
			ports: []host.Port{port}, links: []link.Link{tap(9, port1, 0, 1450, true)},
			reason: "bridge brqaaaaaaaa-aa is not present on host h1",
		},
		"gone from the State, beside a service and strangers": {
			links: []link.Link{a, b, tap(9, port1, 5, 1450, true), tap(10, dhcp1, 7, 1450, true), tap(11, port2, 0, 1500, true),
				{Index: 12, Name: "br-ext", Type: "bridge"}, tap(13, "33333333-33", 12, 1500, true), {Index: 14, Name: "eth9", Master: 5}},
			want: "\nip link set tap11111111-11 down\n",
		},
		"gone from the State, put there by weft": {
			links: []link.Link{a, tap(9, port1, 5, 1450, true)}, added: map[string]int{"tap11111111-11": 9},
			want: "\nip link set tap11111111-11 nomaster down\n",
		},
		"gone from the State, made anew since": {
			links: []link.Link{a, tap(9, port1, 5, 1450, true)}, added: map[string]int{"tap11111111-11": 8},
			want: "\nip link set tap11111111-11 down\n",
		},
		"of an instance, made and not on its bridge": {
			ports: []host.Port{nova}, links: []link.Link{a, tap(9, port1, 0, 1500, true)},
			want:   "\nip link set tap11111111-11 mtu 1450\n",
			reason: "device tap11111111-11 is not on bridge brqaaaaaaaa-aa yet: for a port of an instance, who makes the device adds it",
		},
		"of an instance, on its bridge": {
			ports: []host.Port{nova}, links: []link.Link{a, tap(9, port1, 5, 1500, false)},
			want: "\nip link set tap11111111-11 mtu 1450\nip link set tap11111111-11 up\n",
		},
		"of an instance, on another's bridge": {
			ports: []host.Port{nova}, links: []link.Link{a, {Index: 12, Name: "br-ext", Type: "bridge"}, tap(9, port1, 12, 1450, true)},
			reason: "device tap11111111-11 is not on bridge brqaaaaaaaa-aa yet: for a port of an instance, who makes the device adds it",
		},
		"of an instance, on the bridge of another network": {
			ports: []host.Port{nova}, links: []link.Link{a, b, tap(9, port1, 7, 1450, true)},
			want:   "\nip link set tap11111111-11 nomaster down\n",
			reason: "device tap11111111-11 is not on bridge brqaaaaaaaa-aa yet: for a port of an instance, who makes the device adds it",
		},
		"of an instance, plugged by weft": {
			ports: []host.Port{nova}, links: []link.Link{a, plugged(tap(9, port1, 0, 1450, true))},
			want: "\nip link set tap11111111-11 master brqaaaaaaaa-aa\n",
		},
		"of an instance, admin down": {
			ports: []host.Port{novaDown}, links: []link.Link{a, tap(9, port1, 5, 1450, true)},
			want: "\nip link set tap11111111-11 down\n", reason: "the port is administratively down",
		},
		"of an instance, come while there are no rules": {
			ports: []host.Port{nova}, links: []link.Link{a, tap(9, port1, 5, 1500, true)}, hold: "no firewall",
			want: "\nip link set tap11111111-11 down\n", reason: "no firewall",
		},
		"of an instance, wired before the rules failed": {
			ports: []host.Port{nova}, links: []link.Link{a, tap(9, port1, 5, 1450, true)}, hold: "no firewall",
			added: map[string]int{"tap11111111-11": 9},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := &host.State{Host: "h1", Networks: networks, Ports: tt.ports}
			o := newObserved(tt.links)
			o.added, o.wired = tt.added, tt.added
			ops, reasons := planPorts(s, o, tt.failed, tt.hold)
			if d := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), text(ops)); d != "" {
				t.Errorf("plan (-want +got):\n%s", d)
			}
			if len(reasons) != len(tt.ports) || reasons[port1] != tt.reason {
				t.Errorf("reasons %q, want %q", reasons, tt.reason)
			}
		})
	}
}

// subTap is the tap of a subport as it is when nothing is to be done: on the bridge
// of netB.
func subTap(index int, id string, parent int, tag uint16) link.Link {
	return link.Link{Index: index, Name: host.TapName(id), Type: "vlan", Alias: "weft:subport:" + id, MTU: 1400, Master: 7, Up: true,
		Peer: parent, VLAN: link.VLAN{Parent: parent, ID: tag}}
}

func TestPlanSubPorts(t *testing.T) {
	networks := []host.Network{vxlanNet(netA, 10), {ID: netB, MTU: 1400}}
	parent := host.Port{ID: port2, NetworkID: netA, AdminUp: true}
	down := parent
	down.AdminUp = false
	sub := host.Port{ID: port1, NetworkID: netB, AdminUp: true, Parent: port2, Tag: 101} // its id is before its parent's
	subDown, second, plain := sub, sub, sub
	subDown.AdminUp = false
	second.ID, second.Tag = dhcp1, 102
	plain.Parent, plain.Tag = "", 0
	a, b := rightBridge(5, netA, 1450), rightBridge(7, netB, 1400)
	up := tap(9, port2, 5, 1450, true)
	unmarked, strange := subTap(11, port1, 9, 101), tap(11, port1, 0, 1500, true)
	unmarked.Alias = ""
	absent := "device tap22222222-22 is not present on host h1"
	const add, join = "ip link add tap11111111-11 link tap22222222-22 alias weft:subport:" + port1 + " addrgenmode none type vlan id 101\n",
		"ip link set tap11111111-11 mtu 1400\nip link set tap11111111-11 master brqbbbbbbbb-bb\nip link set tap11111111-11 up\n"
	tests := map[string]struct {
		ports   []host.Port
		links   []link.Link
		failed  map[string]string
		hold    string
		want    string
		reasons map[string]string // "" left out
	}{
		"new, with its parent": {
			ports: []host.Port{sub, parent}, links: []link.Link{a, b, tap(9, port2, 0, 1500, false)},
			want: "ip link set tap22222222-22 mtu 1450\nip link set tap22222222-22 master brqaaaaaaaa-aa\nip link set tap22222222-22 up\n" + add + join,
		},
		"connected": {ports: []host.Port{sub, parent}, links: []link.Link{a, b, up, subTap(11, port1, 9, 101)}},
		"connected, its network cut off from other hosts": {
			ports: []host.Port{sub, parent}, links: []link.Link{a, b, up, subTap(11, port1, 9, 101)},
			failed: map[string]string{netB: "no tunnel"}, reasons: map[string]string{port1: "no tunnel"},
		},
		"connected, its parent's network cut off from other hosts": {
			ports: []host.Port{sub, parent}, links: []link.Link{a, b, up, subTap(11, port1, 9, 101)},
			failed: map[string]string{netA: "no tunnel"}, reasons: map[string]string{port2: "no tunnel"},
		},
		"no parent's tap": {
			ports: []host.Port{sub, parent}, links: []link.Link{a, b},
			reasons: map[string]string{port1: "parent port " + port2 + ": " + absent, port2: absent},
		},
		"parent elsewhere": {
			ports: []host.Port{sub}, links: []link.Link{a, b},
			reasons: map[string]string{port1: "parent port " + port2 + ": it is not on host h1"},
		},
		"parent administratively down": {
			ports: []host.Port{sub, down}, links: []link.Link{a, b, up, subTap(11, port1, 9, 101)},
			want: "ip link set tap22222222-22 nomaster down\nip link set tap11111111-11 nomaster down\n",
			reasons: map[string]string{port2: "the port is administratively down",
				port1: "parent port " + port2 + ": the port is administratively down"},
		},
		"administratively down": {
			ports: []host.Port{subDown, parent}, links: []link.Link{a, b, up},
			reasons: map[string]string{port1: "the port is administratively down"},
		},
		"held back": {
			ports: []host.Port{sub, parent}, links: []link.Link{a, b, up},
			hold: "no firewall", reasons: map[string]string{port1: "no firewall"},
		},
		"another tag": {
			ports: []host.Port{sub, parent}, links: []link.Link{a, b, up, subTap(11, port1, 9, 7)},
			want: "ip link del tap11111111-11\n" + add + join,
		},
		"another parent": {
			ports: []host.Port{sub, parent}, links: []link.Link{a, b, up, tap(10, "33333333-33", 0, 1500, true), subTap(11, port1, 10, 101)},
			want: "ip link del tap11111111-11\n" + add + join,
		},
		"two that have changed their tags": {
			ports: []host.Port{sub, parent, second}, links: []link.Link{a, b, up, subTap(11, port1, 9, 102), subTap(12, dhcp1, 9, 101)},
			want: "ip link del tap11111111-11\nip link del tapdddddddd-dd\n" + add + join +
				strings.NewReplacer("11111111-11", "dddddddd-dd", port1, dhcp1, "id 101", "id 102").Replace(add+join),
		},
		"gone from the trunk": {
			ports: []host.Port{parent}, links: []link.Link{a, b, up, subTap(11, port1, 9, 101)},
			want: "ip link del tap11111111-11\n",
		},
		"gone from the trunk, now a port of its own": {
			ports: []host.Port{plain, parent}, links: []link.Link{a, b, up, subTap(11, port1, 9, 101)},
			want: "ip link del tap11111111-11\n", reasons: map[string]string{port1: "device tap11111111-11 is not present on host h1"},
		},
		"made by others as we would have": {
			ports: []host.Port{sub, parent}, links: []link.Link{a, b, up, unmarked},
			want: "ip link set tap11111111-11 alias weft:subport:" + port1 + "\n",
		},
		"a stranger": {
			ports: []host.Port{sub, parent}, links: []link.Link{a, b, up, strange},
			reasons: map[string]string{port1: "interface tap11111111-11 on host h1 is not VLAN 101 of tap22222222-22 and was not made by weft"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := &host.State{Host: "h1", Networks: networks, Ports: tt.ports}
			ops, reasons := planPorts(s, newObserved(tt.links), tt.failed, tt.hold)
			if d := cmp.Diff(tt.want, text(ops)); d != "" {
				t.Errorf("plan (-want +got):\n%s", d)
			}
			want := map[string]string{}
			for _, p := range tt.ports {
				want[p.ID] = tt.reasons[p.ID]
			}
			if d := cmp.Diff(want, reasons); d != "" {
				t.Errorf("reasons (-want +got):\n%s", d)
			}
		})
	}
}

// A pass over some ports looks at the taps that theirs go with, and at no others:
// it takes nothing off its bridge that it was not asked about.
func TestPick(t *testing.T) {
	s := &host.State{Ports: []host.Port{{ID: port1, Parent: port2}, {ID: port2}, {ID: dhcp1, Parent: port2}, {ID: netA}}}
	ids := func(s *host.State) (out []string) {
		for _, p := range s.Ports {
			out = append(out, p.ID)
		}
		return out
	}
	for asked, want := range map[string][]string{port2: {port1, port2, dhcp1}, port1: {port1, port2}, netA: {netA}} {
		if d := cmp.Diff(want, ids(pick(s, []string{asked}))); d != "" {
			t.Errorf("with %s (-want +got):\n%s", asked, d)
		}
	}
	left := about(pick(s, []string{port1}), []link.Link{tap(1, port1, 0, 0, true), tap(2, netA, 0, 0, true)})
	if len(left) != 1 || left[0].Index != 1 {
		t.Errorf("it looks at %v", left)
	}
}

func TestPlanPruneAndCleanup(t *testing.T) {
	flat := rightBridge(4, netB, 1500)
	o := newObserved([]link.Link{
		{Index: 1, Name: "lo", Alias: "weft:netns"},
		{Index: 2, Name: "eth1", MTU: 1500, Up: true, Master: 4},
		flat,
		rightBridge(5, netA, 1450), rightVXLAN(6, netA, 10, 5), tap(9, port1, 5, 1450, true),
		{Index: 10, Name: "tap22222222-22", Type: "veth", Alias: "weft:port:" + port2},
		{Index: 11, Name: "brqcccccccc-cc", Type: "bridge"},
	})
	o.addrs[4] = []netip.Prefix{netip.MustParsePrefix("198.51.100.7/24")}
	o.routes[4] = []link.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("198.51.100.1")}}
	giveBack := `ip addr add 198.51.100.7/24 dev eth1
ip route replace 0.0.0.0/0 via 198.51.100.1 dev eth1
ip addr del 198.51.100.7/24 dev brqbbbbbbbb-bb
ip link set eth1 nomaster
`
	tests := map[string]struct {
		ops  []Op
		want string
	}{
		"all wanted":              {planPrune(cfg, &host.State{Networks: []host.Network{vxlanNet(netA, 10), flatNet(netB)}}, o), ""},
		"none wanted, one in use": {planPrune(cfg, &host.State{}, o), giveBack + "ip link del vxlan-10\nip link del brqbbbbbbbb-bb\n"},
		"cleanup": {planCleanup(cfg, o), giveBack + "ip link set tap11111111-11 nomaster\n" +
			"ip link del vxlan-10\nip link del tap22222222-22\nip link del brqbbbbbbbb-bb\nip link del brqaaaaaaaa-aa\n"},
		"cleanup without configuration": {planCleanup(&Config{}, o), giveBack + "ip link set tap11111111-11 nomaster\n" +
			"ip link del vxlan-10\nip link del tap22222222-22\nip link del brqbbbbbbbb-bb\nip link del brqaaaaaaaa-aa\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, text(tt.ops)); d != "" {
				t.Errorf("plan (-want +got):\n%s", d)
			}
		})
	}
}

func TestVLANName(t *testing.T) {
	if got := host.VLANDevice("eth1", 4094); got != "eth1.4094" {
		t.Errorf("vlanName = %s", got)
	}
	long, similar := host.VLANDevice("enp130s0f1np1", 4094), host.VLANDevice("enp130s0f1np0", 4094)
	if len(long) > 15 || long == similar {
		t.Errorf("vlanName = %s and %s", long, similar)
	}
}

// TestOtherCloudsAreLeftAlone plans on a host with devices of another cloud by names
// that this one needs, and with some that it does not.
func TestOtherCloudsAreLeftAlone(t *testing.T) {
	ours := func(l link.Link) link.Link { l.Alias += "@ours"; return l }
	other := func(l link.Link) link.Link { l.Alias += "@other"; return l }
	n := host.Network{ID: netA, MTU: 1450, Segment: host.Segment{Type: weft.TypeVXLAN, ID: 10}}
	s := &host.State{Cloud: "ours", Host: "h", Networks: []host.Network{n}}
	c := &Config{VTEP: netip.MustParseAddr("192.0.2.1"), VXLANPort: 8472}
	for name, links := range map[string][]link.Link{
		"bridge": {other(rightBridge(5, netA, 1450))},
		"tunnel": {ours(rightBridge(5, netA, 1450)), other(rightVXLAN(6, netA, 10, 0))},
	} {
		ops, failed := planNetworks(c, s, observedBy("ours", links))
		if len(ops) != 0 || failed[netA] == nil || !strings.Contains(failed[netA].Error(), "of another cloud") {
			t.Errorf("%s: %v %v", name, ops, failed)
		}
	}
	o := observedBy("ours", []link.Link{other(rightBridge(5, netB, 1450)), ours(rightBridge(6, netA, 1450)),
		rightBridge(7, "cccccccc-cc00-4000-8000-000000000000", 1450)})
	none := &host.State{Cloud: "ours"}
	for what, ops := range map[string][]Op{"prune": planPrune(c, none, o), "cleanup": planCleanup(c, o)} {
		if len(ops) != 1 || ops[0].String() != "ip link del brqaaaaaaaa-aa" {
			t.Errorf("%s: %v", what, ops)
		}
	}
}

// The tap of a port that is here no more goes down on its bridge; one that weft plugged
// goes, unless it is another cloud's or on no bridge, as one is that comes just now.
func TestTapsOfPortsThatAreGone(t *testing.T) {
	links := []link.Link{rightBridge(1, netA, 1450)}
	add := func(index int, port, alias string, master int) {
		l := tap(index, port, master, 1450, true)
		l.Alias = alias
		links = append(links, l)
	}
	add(2, "11111111-1111", "weft:plug:11111111-1111", 1)
	add(3, "22222222-2222", "weft:plug:22222222-2222", 1)
	add(4, "33333333-3333", "", 1)
	add(5, "44444444-4444", "weft:plug:44444444-4444@other", 1)
	add(6, "55555555-5555", "weft:plug:55555555-5555", 0)
	ops, _ := planPorts(&host.State{Host: "h1"}, newObserved(links), nil, "")
	var got string
	for _, op := range ops {
		got += op.String() + "\n"
	}
	want := "ip link set tap33333333-33 down\nip link set tap44444444-44 down\n" +
		"ip link del tap11111111-11\nip link del tap22222222-22\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
