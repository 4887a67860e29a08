package firewall

import (
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

const netA, netB = "aaaaaaaa-aaa", "bbbbbbbb-bbb"

// expect checks a datagram each way.
func (v *vm) expect(to *vm, dport uint16, want bool, when string) {
	v.t.Helper()
	token := "token-" + when
	if got := v.arrives(to, v.udp(to, 4000, dport, token), token); got != want {
		v.t.Errorf("%s: %s to %s port %d passes: %v, want %v", when, v.ns, to.ns, dport, got, want)
	}
}

func TestRulesOpenAndClose(t *testing.T) {
	w := newWorld(t, netA)
	a, b := w.vm("a", netA, "10.0.0.1", 1, "g"), w.vm("b", netA, "10.0.0.2", 2, "g")

	w.converge(group("g"))
	a.expect(b, 53, false, "no rule")
	b.expect(a, 53, false, "no rule back")

	w.converge(group("g", rule(unix.IPPROTO_UDP, 53)))
	a.expect(b, 54, false, "another port")
	a.expect(b, 53, true, "opened")
	if token := "reply"; !b.arrives(a, b.udp(a, 53, 4000, token), token) {
		t.Error("a reply is dropped")
	}

	w.converge(group("g"))
	a.expect(b, 53, false, "closed")
	if token := "late"; b.arrives(a, b.udp(a, 53, 4000, token), token) {
		t.Error("a reply passes after closing")
	}

	w.converge(group("g", rule(unix.IPPROTO_UDP, 53)))
	a.expect(b, 53, true, "opened again")
	if token := "anew"; !b.arrives(a, b.udp(a, 53, 4000, token), token) {
		t.Error("a reply is dropped after opening again")
	}
}

// A server that goes on to send must not bring a connection back to life.
func TestClosingCutsTCP(t *testing.T) {
	w := newWorld(t, netA)
	a, b := w.vm("a", netA, "10.0.0.1", 1), w.vm("b", netA, "10.0.0.2", 2, "g")
	a.port.PortSecurity = false
	w.converge(group("g", rule(unix.IPPROTO_TCP, 80)))

	var server net.Listener
	w.must(netns.Do(b.ns, func() (err error) { server, err = net.Listen("tcp", "10.0.0.2:80"); return err }))
	defer server.Close()
	var client net.Conn
	w.must(netns.Do(a.ns, func() (err error) { client, err = net.Dial("tcp", "10.0.0.2:80"); return err }))
	defer client.Close()
	served, err := server.Accept()
	w.must(err)
	defer served.Close()
	client.Write([]byte("question-1"))
	buf := make([]byte, 10)
	_, err = served.Read(buf)
	w.must(err)
	a.sawBeforeControl(b, "")

	w.converge(group("g"))
	served.Write([]byte("answer-2"))
	client.Write([]byte("question-2"))
	if a.sawBeforeControl(b, "question-2") {
		t.Error("the connection is alive")
	}
	client.Write([]byte("question-3"))
	if a.sawBeforeControl(b, "question") {
		t.Error("the connection came back")
	}

	w.converge(group("g", rule(unix.IPPROTO_TCP, 80)))
	if _, err := served.Read(buf); err != nil || string(buf) != "question-2" { // sent again by TCP
		t.Errorf("after opening again: %q, %v", buf, err)
	}
}

func TestRemoteGroup(t *testing.T) {
	w := newWorld(t, netA)
	a, b := w.vm("a", netA, "10.0.0.1", 1, "other"), w.vm("b", netA, "10.0.0.2", 2, "g")
	groups := []host.Group{group("g", host.Rule{ID: "r", Ingress: true, Protocol: -1, Min: -1, Max: -1, RemoteGroup: "other"}), group("other")}
	members := func(prefixes ...string) {
		var out []netip.Prefix
		for _, p := range prefixes {
			out = append(out, netip.MustParsePrefix(p))
		}
		w.state.Members = map[string][]netip.Prefix{"other": out}
		w.converge(groups...)
	}
	members()
	a.expect(b, 53, false, "no member")
	members("10.0.0.1/32")
	a.expect(b, 53, true, "a member")
	members("10.0.0.9/32")
	a.expect(b, 53, false, "no member any more")
	members("10.0.0.0/30")
	a.expect(b, 53, true, "a member by a prefix")
}

// The prefixes of an address group may lie in each other, and be everything.
func TestAddressGroup(t *testing.T) {
	w := newWorld(t, netA)
	a, b := w.vm("a", netA, "10.0.0.1", 1, "out"), w.vm("b", netA, "10.0.0.2", 2, "g")
	groups := []host.Group{group("out"), group("g", host.Rule{ID: "r", Ingress: true, Protocol: unix.IPPROTO_UDP, Min: 53, Max: 53, RemoteGroup: "addresses"})}
	for _, c := range []struct {
		when     string
		prefixes []string
		want     bool
	}{
		{"no prefix", nil, false},
		{"others'", []string{"10.0.1.0/24", "10.0.0.2/32", "2001:db8::/32"}, false},
		{"its network", []string{"10.0.0.0/24", "10.0.1.0/24"}, true},
		{"nested ones", []string{"10.0.0.0/30", "10.0.0.0/24", "10.0.0.1/32"}, true},
		{"the outer gone", []string{"10.0.0.0/30", "10.0.0.9/32"}, true},
		{"only a neighbour", []string{"10.0.0.8/30", "10.0.0.9/32"}, false},
		{"half of the world", []string{"0.0.0.0/1"}, true},
		{"all other IPv6", []string{"::/0"}, false},
		{"everything", []string{"0.0.0.0/0"}, true},
	} {
		w.state.Members = map[string][]netip.Prefix{"addresses": nil}
		for _, p := range c.prefixes {
			w.state.Members["addresses"] = append(w.state.Members["addresses"], netip.MustParsePrefix(p))
		}
		w.converge(groups...)
		a.expect(b, 53, c.want, c.when)
	}
}

func TestSpoofing(t *testing.T) {
	w := newWorld(t, netA)
	a, b := w.vm("a", netA, "10.0.0.1", 1, "g"), w.vm("b", netA, "10.0.0.2", 2)
	b.port.PortSecurity = false
	evil, other := weft.MAC{0xfa, 0x16, 0x3e, 6, 6, 6}, netip.MustParseAddr("10.0.0.66")
	pair := netip.MustParsePrefix("10.9.0.0/16")
	a.port.Pairs = []host.AllowedPair{{MAC: a.mac, Prefix: netip.MustParsePrefix("10.0.0.77/32")}, {MAC: a.mac, Prefix: pair}}
	w.converge(group("g"))
	zero, all := netip.IPv4Unspecified(), netip.MustParseAddr("255.255.255.255")
	lla, v6, all6 := weft.EUI64(linkLocal, a.mac), netip.MustParseAddr("2001:db8::66"), netip.MustParseAddr("ff02::1")
	datagram := func(src netip.Addr, text string) []byte {
		return ipv4(src, b.addr, unix.IPPROTO_UDP, udpData(4000, 53, text))
	}
	nd := func(typ byte, target netip.Addr) []byte {
		return append(append([]byte{typ, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice()...), "token"...)
	}
	for _, tc := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"own", frame(a.mac, b.mac, unix.ETH_P_IP, datagram(a.addr, "token")), true},
		{"another's MAC", frame(evil, b.mac, unix.ETH_P_IP, datagram(a.addr, "token")), false},
		{"another's address", frame(a.mac, b.mac, unix.ETH_P_IP, datagram(other, "token")), false},
		{"a pair's address", frame(a.mac, b.mac, unix.ETH_P_IP, datagram(netip.MustParseAddr("10.0.0.77"), "token")), true},
		{"of a pair's prefix", frame(a.mac, b.mac, unix.ETH_P_IP, datagram(netip.MustParseAddr("10.9.8.7"), "token")), true},
		{"ARP", frame(a.mac, broadcast, unix.ETH_P_ARP, append(arp(1, a.mac, a.addr, b.addr), "token"...)), true},
		{"ARP of another's address", frame(a.mac, broadcast, unix.ETH_P_ARP, append(arp(2, a.mac, other, b.addr), "token"...)), false},
		{"ARP of another's MAC", frame(a.mac, broadcast, unix.ETH_P_ARP, append(arp(2, evil, a.addr, b.addr), "token"...)), false},
		{"ARP of a pair", frame(a.mac, broadcast, unix.ETH_P_ARP, append(arp(2, a.mac, netip.MustParseAddr("10.9.8.7"), b.addr), "token"...)), true},
		{"ARP probe", frame(a.mac, broadcast, unix.ETH_P_ARP, append(arp(1, a.mac, zero, other), "token"...)), true},
		{"ARP probe of another's MAC", frame(a.mac, broadcast, unix.ETH_P_ARP, append(arp(1, evil, zero, other), "token"...)), false},
		{"ARP of another form", frame(a.mac, broadcast, unix.ETH_P_ARP, append([]byte{0, 1, 8, 0, 6, 6, 0, 2}, append(arp(2, a.mac, a.addr, b.addr)[8:], "token"...)...)), false},
		{"DHCP discover", frame(a.mac, broadcast, unix.ETH_P_IP, ipv4(zero, all, unix.IPPROTO_UDP, udpData(68, 67, "token"))), true},
		{"DHCP offer", frame(a.mac, b.mac, unix.ETH_P_IP, ipv4(a.addr, b.addr, unix.IPPROTO_UDP, udpData(67, 68, "token"))), false},
		{"no address", frame(a.mac, broadcast, unix.ETH_P_IP, ipv4(zero, all, unix.IPPROTO_UDP, udpData(68, 53, "token"))), false},
		{"neighbour solicitation", frame(a.mac, broadcast, unix.ETH_P_IPV6, ipv6(lla, all6, unix.IPPROTO_ICMPV6, nd(135, lla))), true},
		{"duplicate detection", frame(a.mac, broadcast, unix.ETH_P_IPV6, ipv6(netip.IPv6Unspecified(), all6, unix.IPPROTO_ICMPV6, nd(135, lla))), true},
		{"neighbour advertisement", frame(a.mac, broadcast, unix.ETH_P_IPV6, ipv6(lla, all6, unix.IPPROTO_ICMPV6, nd(136, lla))), true},
		{"neighbour advertisement of another", frame(a.mac, broadcast, unix.ETH_P_IPV6, ipv6(lla, all6, unix.IPPROTO_ICMPV6, nd(136, v6))), false},
		{"router advertisement", frame(a.mac, broadcast, unix.ETH_P_IPV6, ipv6(lla, all6, unix.IPPROTO_ICMPV6, nd(134, lla))), false},
		{"another's IPv6 address", frame(a.mac, b.mac, unix.ETH_P_IPV6, ipv6(v6, all6, unix.IPPROTO_UDP, udpData(4000, 53, "token"))), false},
		{"another protocol", frame(a.mac, b.mac, 0x88cc, []byte("token")), false},
		{"a VLAN", frame(a.mac, b.mac, unix.ETH_P_8021Q, append([]byte{0, 5, 8, 0}, datagram(a.addr, "token")...)), false},
	} {
		if got := a.arrives(b, tc.frame, "token"); got != tc.want {
			t.Errorf("%s passes: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// Two networks with the same addresses: what one has opened is not open in the
// other, and closing in one does not cut the other.
func TestNetworksDoNotMeet(t *testing.T) {
	w := newWorld(t, netA, netB)
	a1, a2 := w.vm("a1", netA, "10.0.0.1", 1, "g"), w.vm("a2", netA, "10.0.0.2", 2, "g")
	b1, b2 := w.vm("b1", netB, "10.0.0.1", 1, "h"), w.vm("b2", netB, "10.0.0.2", 2, "h")
	open := rule(unix.IPPROTO_UDP, 53)
	w.converge(group("g", open), group("h"))
	a1.expect(a2, 53, true, "opened in one")
	if token := "reply"; b2.arrives(b1, b2.udp(b1, 53, 4000, token), token) {
		t.Error("a reply to a question of another network")
	}
	w.converge(group("g", open), group("h", open))
	b1.expect(b2, 53, true, "opened in the other")
	w.converge(group("g"), group("h", open))
	if token := "still"; !b2.arrives(b1, b2.udp(b1, 53, 4000, token), token) {
		t.Error("closing in one network cut the other")
	}
	flows, err := conntrack.Open(0).List()
	w.must(err)
	zones := map[uint16]bool{}
	for _, f := range flows {
		zones[f.Zone] = true
	}
	if want := len(w.state.Networks); len(zones) != want || zones[0] {
		t.Errorf("zones of connections: %v", zones)
	}
}

func TestRestartChangesNothing(t *testing.T) {
	w := newWorld(t, netA)
	a, b := w.vm("a", netA, "10.0.0.1", 1, "g"), w.vm("b", netA, "10.0.0.2", 2, "g")
	g := group("g", rule(unix.IPPROTO_UDP, 53))
	w.converge(g)
	a.expect(b, 53, true, "opened")
	s := w.fw.last
	w.fw = New(slog.New(slog.NewTextHandler(t.Output(), nil)), nil)
	at, err := w.fw.look(t.Context(), s)
	w.must(err)
	for _, table := range plan(s, at, w.fw.tracker) {
		if ops, err := w.fw.nft.Converge(t.Context(), table); err != nil || ops != nil {
			t.Errorf("after a restart: %v, %v", ops, err)
		}
	}
	w.converge(g)
	if token := "reply"; !b.arrives(a, b.udp(a, 53, 4000, token), token) {
		t.Error("a restart cut a connection")
	}
}

func TestPortsThatComeAndGo(t *testing.T) {
	w := newWorld(t, netA)
	a, b := w.vm("a", netA, "10.0.0.1", 1, "g"), w.vm("b", netA, "10.0.0.2", 2)
	g := group("g", rule(unix.IPPROTO_UDP, 53))
	w.converge(g)
	a.expect(b, 53, false, "no group")
	b.port.Trusted = true
	w.converge(g)
	a.expect(b, 53, true, "trusted")
	b.port.Trusted = false
	w.converge(g)
	a.expect(b, 53, false, "filtered again")
	b.port.Groups = []string{"g"}
	w.converge(g)
	a.expect(b, 53, true, "in a group")
	delete(w.vms, "a")
	w.converge(g)
	flows, err := conntrack.Open(0).List()
	w.must(err)
	for _, f := range flows {
		if f.Orig.Src == a.addr {
			t.Errorf("of a port that is gone: %+v", f)
		}
	}
}

func TestIPv6(t *testing.T) {
	w := newWorld(t, netA)
	a, b := w.vm("a", netA, "2001:db8::1", 1, "g"), w.vm("b", netA, "2001:db8::2", 2, "g")
	datagram := func(from, to *vm, sport, dport uint16, text string) []byte {
		data := udpData(sport, dport, text)
		data[6], data[7] = 0xff, 0xff // any checksum: nobody looks
		return frame(from.mac, to.mac, unix.ETH_P_IPV6, ipv6(from.addr, to.addr, unix.IPPROTO_UDP, data))
	}
	open := host.Rule{ID: "r", Ingress: true, IPv6: true, Protocol: unix.IPPROTO_UDP, Min: 53, Max: 53}
	w.converge(group("g", rule(unix.IPPROTO_UDP, 53)))
	if a.arrives(b, datagram(a, b, 4000, 53, "of-ipv4"), "of-ipv4") {
		t.Error("a rule of IPv4 admits IPv6")
	}
	w.converge(group("g", open))
	w.must(netns.Do(b.ns, func() error {
		server, err := net.ListenPacket("udp", "[2001:db8::2]:53")
		if err != nil {
			return err
		}
		t.Cleanup(func() { server.Close() })
		go func() {
			buf := make([]byte, 100)
			for {
				n, from, err := server.ReadFrom(buf)
				if err != nil {
					return
				}
				server.WriteTo(buf[:n], from)
			}
		}()
		return nil
	}))
	var client net.Conn
	w.must(netns.Do(a.ns, func() (err error) { client, err = net.Dial("udp", "[2001:db8::2]:53"); return err }))
	defer client.Close()
	client.SetDeadline(time.Now().Add(10 * time.Second))
	client.Write([]byte("hello"))
	buf := make([]byte, 100)
	if n, err := client.Read(buf); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("no reply: %v", err)
	}
}

// Without state a reply needs a rule.
func TestStateless(t *testing.T) {
	w := newWorld(t, netA)
	a, b := w.vm("a", netA, "10.0.0.1", 1, "g"), w.vm("b", netA, "10.0.0.2", 2, "g")
	g := group("g", rule(unix.IPPROTO_UDP, 53))
	g.Stateful = false
	w.converge(g)
	a.expect(b, 53, true, "a rule")
	if token := "reply"; b.arrives(a, b.udp(a, 53, 4000, token), token) {
		t.Error("a reply passes without a rule")
	}
	flows, err := conntrack.Open(0).List()
	w.must(err)
	for _, f := range flows {
		if f.Orig.Protocol == unix.IPPROTO_UDP {
			t.Errorf("tracked: %+v", f)
		}
	}
}

// The host on a bridge of its own: what it says and what it is answered are one
// connection, and a guest reaches it only as its groups admit.
func TestHostOnTheBridge(t *testing.T) {
	w := newWorld(t, netA)
	a := w.vm("a", netA, "10.0.0.1", 1, "g")
	w.run("ip addr add 10.0.0.100/24 dev %s", host.BridgeName(netA))
	w.converge(group("g", rule(unix.IPPROTO_TCP, 80)))
	var server net.Listener
	w.must(netns.Do(a.ns, func() (err error) { server, err = net.Listen("tcp", "10.0.0.1:80"); return err }))
	defer server.Close()
	client, err := net.DialTimeout("tcp", "10.0.0.1:80", 10*time.Second)
	w.must(err)
	client.Close()
	flows, err := conntrack.Open(0).List()
	w.must(err)
	n := 0
	for _, f := range flows {
		if f.Orig.Protocol == unix.IPPROTO_TCP {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d entries for one connection: %+v", n, flows)
	}
}
