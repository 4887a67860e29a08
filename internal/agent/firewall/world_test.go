package firewall

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// world is a host with bridges, and guests on them.
type world struct {
	t     *testing.T
	fw    *Firewall
	state host.State
	vms   map[string]*vm
}

// vm is a namespace behind the tap of a port.
type vm struct {
	t    *testing.T
	ns   string
	port *host.Port
	mac  weft.MAC
	addr netip.Addr
	raw  *packet.Conn
}

func newWorld(t *testing.T, networks ...string) *world {
	t.Helper()
	hosttest.Need(t, "ip")
	w := &world{t: t, vms: map[string]*vm{}, fw: New(slog.New(slog.NewTextHandler(t.Output(), nil)), nil)}
	t.Cleanup(func() {
		w.fw.Cleanup(context.Background())
		conntrack.Open(0).Change(func(conntrack.Flow) conntrack.Action { return conntrack.Action{Delete: true} })
	})
	h := w.handle()
	for _, s := range []string{"iptables", "ip6tables", "arptables"} {
		h.SetSysctl("net/bridge/bridge-nf-call-"+s, "0")
	}
	for _, id := range networks {
		w.state.Networks = append(w.state.Networks, host.Network{ID: id, Segment: host.Segment{Type: weft.TypeLocal}})
		l, err := h.Create(host.BridgeName(id), link.Bridge{NFCall: true}, link.NoAutoIPv6(), link.Up(true))
		w.must(err)
		t.Cleanup(func() { h.Delete(l.Index) })
	}
	return w
}

func (w *world) handle() *link.Handle {
	h, err := link.Open()
	w.must(err)
	w.t.Cleanup(h.Close)
	return h
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// vm makes a guest with a filtered port and groups. Ports stay where they are in
// w.state, by the order of names.
func (w *world) vm(name, network, addr string, n byte, groups ...string) *vm {
	w.t.Helper()
	v := &vm{t: w.t, ns: "wt-" + name, mac: weft.MAC{0xfa, 0x16, 0x3e, 0, 0, n}, addr: netip.MustParseAddr(addr)}
	v.port = &host.Port{ID: name + "-port-0000", NetworkID: network, MAC: v.mac, Addresses: []netip.Addr{v.addr}, AdminUp: true, PortSecurity: true, Groups: groups}
	w.vms[name] = v
	w.must(netns.Ensure(v.ns, ""))
	w.t.Cleanup(func() { netns.Delete(v.ns, "") })
	h := w.handle()
	br, err := h.ByName(host.BridgeName(network))
	w.must(err)
	ns, err := netns.Open(v.ns)
	w.must(err)
	defer ns.Close()
	l, err := h.Create(host.TapName(v.port.ID), link.Veth{Peer: "eth0", PeerNS: ns, PeerMAC: v.mac}, link.Master(br.Index), link.NoAutoIPv6(), link.Up(true))
	w.must(err)
	w.t.Cleanup(func() { h.Delete(l.Index) })
	bits := "24"
	if v.addr.Is6() {
		bits = "64 nodad"
	}
	w.run("ip -n %s addr add %s/%s dev eth0", v.ns, addr, bits)
	w.run("ip -n %s link set eth0 up", v.ns)
	w.must(ns.Do(func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		v.raw, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, nil)
		return err
	}))
	w.t.Cleanup(func() { v.raw.Close() })
	return v
}

func (w *world) run(format string, args ...any) {
	w.t.Helper()
	command := fmt.Sprintf(format, args...)
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		w.t.Fatalf("%s: %v: %s", command, err, out)
	}
}

// converge puts a state of the guests and groups given in force.
func (w *world) converge(groups ...host.Group) {
	w.t.Helper()
	s := w.state
	s.Groups, s.Ports = groups, nil
	for _, v := range w.vms {
		s.Ports = append(s.Ports, *v.port)
	}
	w.must(w.fw.Converge(w.t.Context(), &s))
}

// frame is an Ethernet frame.
func frame(src, dst weft.MAC, etherType uint16, payload []byte) []byte {
	b := append(append([]byte{}, dst[:]...), src[:]...)
	b = binary.BigEndian.AppendUint16(b, etherType)
	b = append(b, payload...)
	return append(b, make([]byte, max(0, 60-len(b)))...)
}

// ipv4 is an IPv4 packet.
func ipv4(src, dst netip.Addr, proto byte, payload []byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0}
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	return append(b, payload...)
}

// ipv6 is an IPv6 packet.
func ipv6(src, dst netip.Addr, proto byte, payload []byte) []byte {
	b := []byte{0x60, 0, 0, 0, 0, byte(len(payload)), proto, 255}
	return append(append(append(b, src.AsSlice()...), dst.AsSlice()...), payload...)
}

func udpData(sport, dport uint16, text string) []byte {
	b := binary.BigEndian.AppendUint16(nil, sport)
	b = binary.BigEndian.AppendUint16(b, dport)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(text)))
	return append(append(b, 0, 0), text...)
}

func arp(op byte, sha weft.MAC, spa, tpa netip.Addr) []byte {
	b := append([]byte{0, 1, 8, 0, 6, 4, 0, op}, sha[:]...)
	b = append(append(b, spa.AsSlice()...), make([]byte, 6)...)
	return append(b, tpa.AsSlice()...)
}

var broadcast = weft.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// udp is a datagram of the guest to another, with a text to know it by.
func (v *vm) udp(to *vm, sport, dport uint16, text string) []byte {
	return frame(v.mac, to.mac, unix.ETH_P_IP, ipv4(v.addr, to.addr, unix.IPPROTO_UDP, udpData(sport, dport, text)))
}

func (v *vm) send(b []byte) {
	v.t.Helper()
	if _, err := v.raw.WriteTo(b, &packet.Addr{HardwareAddr: b[:6]}); err != nil {
		v.t.Fatal(err)
	}
}

// arrives sends a frame and then one that always passes, and reports whether the
// first came before the second: no waiting for what does not come.
func (v *vm) arrives(to *vm, b []byte, token string) bool {
	v.t.Helper()
	v.send(b)
	return v.sawBeforeControl(to, token)
}

var controls int

// sawBeforeControl sends a frame that always passes and reports whether the other
// guest saw the token before it.
func (v *vm) sawBeforeControl(to *vm, token string) bool {
	v.t.Helper()
	controls++
	control := fmt.Sprintf("control-%d.", controls)
	spa := v.addr
	if !spa.Is4() {
		spa = netip.IPv4Unspecified()
	}
	v.send(frame(v.mac, broadcast, unix.ETH_P_ARP, append(arp(1, v.mac, spa, netip.MustParseAddr("192.0.2.1")), control...)))
	to.raw.SetReadDeadline(time.Now().Add(10 * time.Second)) // a test that hangs says why
	buf := make([]byte, 2048)
	seen := false
	for {
		n, from, err := to.raw.ReadFrom(buf)
		if err != nil {
			v.t.Fatalf("the control frame from %s to %s did not arrive: %v", v.ns, to.ns, err)
		}
		if strings.HasPrefix(from.String(), to.mac.String()) {
			continue // what it sends itself
		}
		if bytes.Contains(buf[:n], []byte(control)) {
			return seen
		}
		seen = seen || bytes.Contains(buf[:n], []byte(token))
	}
}

// rule is an IPv4 ingress rule.
func rule(proto, port int) host.Rule {
	return host.Rule{ID: fmt.Sprintf("r-%d-%d", proto, port), Ingress: true, Protocol: proto, Min: port, Max: port}
}

func anyEgress() []host.Rule {
	return []host.Rule{{ID: "e4", Protocol: -1, Min: -1, Max: -1}, {ID: "e6", IPv6: true, Protocol: -1, Min: -1, Max: -1}}
}

// group admits everything out and the rules in.
func group(id string, rules ...host.Rule) host.Group {
	return host.Group{ID: id, Stateful: true, Rules: append(anyEgress(), rules...)}
}
