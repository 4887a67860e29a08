package qos

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// world is a bridge with two guests: a at 10.0.0.1, whose policy the tests change,
// and b at 10.0.0.2.
type world struct {
	t       *testing.T
	limiter *Limiter
	state   host.State
	a, b    *packet.Conn
	bursts  int
}

var macs = map[string]weft.MAC{"a": {0xfa, 0x16, 0x3e, 0, 0, 1}, "b": {0xfa, 0x16, 0x3e, 0, 0, 2}}

func newWorld(t *testing.T) *world {
	hosttest.Need(t, "nft")
	w := &world{t: t, limiter: New(slog.New(slog.NewTextHandler(t.Output(), nil)), nft.Open(0)),
		state: host.State{Ports: []host.Port{{ID: portA}, {ID: portB}}}}
	t.Cleanup(func() { w.limiter.Cleanup(t.Context()) })
	h, err := link.Open()
	w.must(err)
	t.Cleanup(h.Close)
	br, err := h.Create(host.BridgeName(portA), link.Bridge{}, link.NoAutoIPv6(), link.Up(true))
	w.must(err)
	t.Cleanup(func() { h.Delete(br.Index) })
	w.a, w.b = w.guest(h, br.Index, "a", portA), w.guest(h, br.Index, "b", portB)
	// The bridge learns a moment later that its ports have carrier.
	w.burst(w.a, w.b, "a", "b", 0, 20)
	w.burst(w.b, w.a, "b", "a", 0, 20)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// guest is a socket at the other end of a port's tap.
func (w *world) guest(h *link.Handle, bridge int, name, port string) *packet.Conn {
	w.t.Helper()
	w.must(netns.Ensure("qt-"+name, ""))
	w.t.Cleanup(func() { netns.Delete("qt-"+name, "") })
	ns, err := netns.Open("qt-" + name)
	w.must(err)
	defer ns.Close()
	l, err := h.Create(host.TapName(port), link.Veth{Peer: "eth0", PeerNS: ns, PeerMAC: macs[name]}, link.Master(bridge), link.NoAutoIPv6(), link.Up(true))
	w.must(err)
	w.t.Cleanup(func() { h.Delete(l.Index) })
	var conn *packet.Conn
	w.must(ns.Do(func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		if out, err := exec.Command("ip", "link", "set", "eth0", "up").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		conn, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, nil)
		return err
	}))
	raw, err := conn.SyscallConn()
	w.must(err)
	w.must(raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20) }))
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

// give makes a policy that of port a.
func (w *world) give(q host.QoS) {
	w.t.Helper()
	w.state.Ports[0].QoS = q
	w.must(w.limiter.Converge(w.t.Context(), &w.state))
}

// frame is a UDP datagram in IPv4, with a body to be known by.
func frame(from, to string, size int, body string) []byte {
	f := make([]byte, 42, 42+size)
	dst, src := macs[to], macs[from]
	copy(f, dst[:])
	copy(f[6:], src[:])
	binary.BigEndian.PutUint16(f[12:], etherIPv4)
	ip := f[14:34]
	ip[0], ip[8], ip[9], ip[15], ip[19] = 0x45, 64, unix.IPPROTO_UDP, macs[from][5], macs[to][5]
	ip[12], ip[16] = 10, 10
	binary.BigEndian.PutUint16(ip[2:], uint16(28+size))
	binary.BigEndian.PutUint16(ip[10:], ^sum(ip))
	binary.BigEndian.PutUint16(f[36:], 9)
	binary.BigEndian.PutUint16(f[38:], uint16(8+size))
	return append(f, []byte(body+strings.Repeat(".", size-len(body)))...)
}

// sum is the checksum of a header, all ones if the header carries the right one.
func sum(b []byte) uint16 {
	n := uint32(0)
	for i := 0; i < len(b); i += 2 {
		n += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}

// burst sends packets and returns which of them arrive. It leaves the kernel time
// between some and the next, whose queue between two interfaces is short. Then it
// sends markers, a second when the first has arrived, which say that all before them
// are through; a marker that is beyond a limit is sent again.
func (w *world) burst(from, to *packet.Conn, fromName, toName string, n, size int) [][]byte {
	w.t.Helper()
	defer w.stay()()
	for i := range n {
		if i%20 == 19 {
			time.Sleep(time.Millisecond)
		}
		w.send(from, frame(fromName, toName, size, "burst"))
	}
	var got [][]byte
	buf := make([]byte, 1<<16)
	w.bursts++
	marker, until := 1, time.Now().Add(time.Minute)
	for marker <= 2 && time.Now().Before(until) {
		was, text := marker, fmt.Sprintf("%d.%d marker", w.bursts, marker)
		w.send(from, frame(fromName, toName, 20, text))
		for marker == was {
			w.must(to.SetReadDeadline(time.Now().Add(100 * time.Millisecond)))
			m, _, err := to.ReadFrom(buf)
			if err != nil {
				break
			}
			switch body := string(body(buf[:m])); {
			case strings.HasPrefix(body, "burst"):
				got = append(got, append([]byte(nil), buf[:m]...))
			case strings.HasPrefix(body, text):
				marker++
			}
		}
	}
	if marker <= 2 {
		w.t.Fatal("nothing passes any more")
	}
	return got
}

// stay keeps the test on one processor until the function returned is called: packets
// sent from two may overtake each other.
func (w *world) stay() (leave func()) {
	w.t.Helper()
	runtime.LockOSThread()
	var before, one unix.CPUSet
	w.must(unix.SchedGetaffinity(0, &before))
	for cpu := 0; one.Count() == 0; cpu++ {
		if before.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	w.must(unix.SchedSetaffinity(0, &one))
	return func() {
		unix.SchedSetaffinity(0, &before)
		runtime.UnlockOSThread()
	}
}

func (w *world) send(from *packet.Conn, f []byte) {
	w.t.Helper()
	if _, err := from.WriteTo(f, &packet.Addr{HardwareAddr: make(net.HardwareAddr, 6)}); err != nil {
		w.t.Fatal(err)
	}
}

// body is what a datagram carries.
func body(f []byte) []byte {
	at := 42
	if len(f) > 14 && binary.BigEndian.Uint16(f[12:]) == etherIPv6 {
		at = 62
	}
	return f[min(at, len(f)):]
}

// few checks that of packets at least what the bucket holds arrives, and not all.
func few(t *testing.T, what string, got [][]byte, bucket, sent int) {
	t.Helper()
	if len(got) < bucket || len(got) > (bucket+sent)/2 {
		t.Errorf("%s: %d of %d packets arrive, for a bucket of %d", what, len(got), sent, bucket)
	}
}

func TestBandwidth(t *testing.T) {
	w := newWorld(t)
	const sent, size = 400, 1400
	if got := w.burst(w.a, w.b, "a", "b", sent, size); len(got) != sent {
		t.Fatalf("without a policy %d of %d packets arrive", len(got), sent)
	}
	bucket := largest / (size + 42)

	w.give(host.QoS{PolicyID: "p", Egress: host.Limits{Kbps: 8}})
	few(t, "from the port", w.burst(w.a, w.b, "a", "b", sent, size), bucket, sent)
	if got := w.burst(w.b, w.a, "b", "a", sent, size); len(got) != sent {
		t.Errorf("towards the port, which has no limit, %d of %d packets arrive", len(got), sent)
	}

	w.give(host.QoS{PolicyID: "p", Ingress: host.Limits{Kbps: 8}})
	few(t, "towards the port", w.burst(w.b, w.a, "b", "a", sent, size), bucket, sent)
	if got := w.burst(w.a, w.b, "a", "b", sent, size); len(got) != sent {
		t.Errorf("from the port, which has no limit any more, %d of %d packets arrive", len(got), sent)
	}
}

func TestPacketRate(t *testing.T) {
	w := newWorld(t)
	const sent = 4000
	if got := w.burst(w.a, w.b, "a", "b", sent, 20); len(got) != sent {
		t.Fatalf("without a policy %d of %d packets arrive", len(got), sent)
	}
	w.give(host.QoS{PolicyID: "p", Egress: host.Limits{Kpps: 1}})
	got := w.burst(w.a, w.b, "a", "b", sent, 20)
	few(t, "packets", got, 800, sent)
}

func TestMarking(t *testing.T) {
	w := newWorld(t)
	w.give(host.QoS{PolicyID: "p", Marked: true, DSCP: 46})
	for _, f := range w.burst(w.a, w.b, "a", "b", 1, 100) {
		if f[15] != 46<<2 || sum(f[14:34]) != 0xffff {
			t.Errorf("TOS is %#x, the checksum of the header adds up to %#x", f[15], sum(f[14:34]))
		}
	}
	if got := w.burst(w.b, w.a, "b", "a", 1, 100); len(got) != 1 || got[0][15] != 0 {
		t.Errorf("what goes to the port is marked: % x", got)
	}
	// IPv6: the class crosses two bytes, beside the version and the flow label.
	f6 := make([]byte, 54+8, 200)
	copy(f6, frame("a", "b", 20, "")[:12])
	binary.BigEndian.PutUint16(f6[12:], etherIPv6)
	f6[14], f6[15], f6[20], f6[21] = 0x60, 0x0f, unix.IPPROTO_UDP, 64
	const text = "burst of IPv6"
	binary.BigEndian.PutUint16(f6[18:], uint16(8+len(text)))
	f6 = append(f6, text...)
	w.send(w.a, f6)
	got := w.burst(w.a, w.b, "a", "b", 0, 20)
	if len(got) != 1 || got[0][14] != 0x60|46>>2 || got[0][15] != 46<<6&0xff|0x0f {
		t.Errorf("IPv6: % x", got)
	}
}

// A restarted agent finds everything right and fills no bucket anew; what is no
// longer wanted goes, and the table with the last of it.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	w.give(host.QoS{PolicyID: "p", Egress: host.Limits{Kbps: 8}})
	before := w.ruleset()
	if !strings.Contains(before, "limit rate over 1000 bytes/second") {
		t.Fatalf("the kernel has\n%s", before)
	}
	again := New(slog.New(slog.DiscardHandler), nft.Open(0))
	ops, err := again.nft.Converge(t.Context(), first(ports(&w.state)))
	if err != nil || len(ops) != 0 {
		t.Errorf("a restart does %v, %v", ops, err)
	}
	w.limiter = again
	w.give(host.QoS{PolicyID: "p", Egress: host.Limits{Kbps: 16}})
	if now := w.ruleset(); !strings.Contains(now, "limit rate over 2000 bytes/second") || strings.Contains(now, "over 1000 bytes") {
		t.Errorf("after a change the kernel has\n%s", now)
	}
	w.give(host.QoS{PolicyID: "p"})
	if now := w.ruleset(); now != "" {
		t.Errorf("without limits the kernel has\n%s", now)
	}
}

func first(t nft.Table, _ bool) nft.Table { return t }

func (w *world) ruleset() string {
	out, err := exec.Command("nft", "list", "table", "bridge", tableName).Output()
	if err != nil {
		return ""
	}
	return string(out)
}
