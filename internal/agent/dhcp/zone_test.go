package dhcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

func question(name string, kind uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name, kind) }

// printed is a reply in short: its code, then the answers.
func printed(m *dns.Msg) string {
	if m == nil {
		return "elsewhere"
	}
	out := []string{dns.RcodeToString[m.Rcode]}
	for _, a := range m.Answer {
		out = append(out, strings.TrimPrefix(a.String(), a.Header().String()))
	}
	return strings.Join(out, " ")
}

func TestNames(t *testing.T) {
	n := network()
	n.Leases[0].Addresses = append(n.Leases[0].Addresses, host.Address{SubnetID: "s6", Prefix: prefix("2001:db8::5/64")})
	n.Leases[0].Hostname = "db"
	z := newZone(n)
	tests := []struct {
		name string
		kind uint16
		want string
	}{
		{"web.openstacklocal.", dns.TypeA, "NOERROR 11.0.0.6"},
		{"WEB.", dns.TypeA, "NOERROR 11.0.0.6"},
		{"db.openstacklocal.", dns.TypeA, "NOERROR 10.0.0.5"},
		{"db.openstacklocal.", dns.TypeAAAA, "NOERROR 2001:db8::5"},
		{"db.openstacklocal.", dns.TypeANY, "NOERROR 10.0.0.5 2001:db8::5"},
		{"web.openstacklocal.", dns.TypeAAAA, "NOERROR"},
		{"web.openstacklocal.", dns.TypeMX, "NOERROR"},
		{"host-10-0-0-7.openstacklocal.", dns.TypeA, "NOERROR 10.0.0.7"},
		{"nobody.openstacklocal.", dns.TypeA, "NXDOMAIN"},
		{"a.b.OpenStackLocal.", dns.TypeTXT, "NXDOMAIN"},
		{"nobody.", dns.TypeA, "NXDOMAIN"},
		{"com.", dns.TypeNS, "elsewhere"},
		{".", dns.TypeNS, "elsewhere"},
		{"notopenstacklocal.example.", dns.TypeA, "elsewhere"},
		{"host-10-0-0-2.openstacklocal.", dns.TypeA, "NXDOMAIN"}, // the DHCP port itself
		{"6.0.0.11.in-addr.arpa.", dns.TypePTR, "NOERROR web.openstacklocal."},
		{"5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6.arpa.", dns.TypePTR, "NOERROR db.openstacklocal."},
		{"99.0.0.10.in-addr.arpa.", dns.TypePTR, "NXDOMAIN"},  // private, and of the network
		{"99.9.0.10.in-addr.arpa.", dns.TypePTR, "elsewhere"}, // private, of another
		{"99.0.0.11.in-addr.arpa.", dns.TypePTR, "elsewhere"}, // public
		{"example.com.", dns.TypeA, "elsewhere"},
	}
	for _, tt := range tests {
		if got := printed(z.answer(question(tt.name, tt.kind))); got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.name, dns.TypeToString[tt.kind], got, tt.want)
		}
	}
}

// TestOddQuestions has queries refused for their form.
func TestOddQuestions(t *testing.T) {
	z := newZone(network())
	for want, change := range map[string]func(*dns.Msg){
		"NOTIMP":  func(q *dns.Msg) { q.Opcode = dns.OpcodeUpdate },
		"FORMERR": func(q *dns.Msg) { q.Question = append(q.Question, q.Question[0]) },
		"REFUSED": func(q *dns.Msg) { q.Question[0].Qclass = dns.ClassCHAOS },
		"BADVERS": func(q *dns.Msg) { q.SetEdns0(1232, false); q.IsEdns0().SetVersion(1) },
	} {
		q := question("example.com.", dns.TypeA)
		change(q)
		b, err := seal(z.answer(q), q, false)
		if err != nil {
			t.Fatal(err)
		}
		m := new(dns.Msg)
		if err := m.Unpack(b); err != nil {
			t.Fatal(err)
		}
		if got := dns.RcodeToString[m.Rcode]; got != want && (want != "BADVERS" || m.Rcode != dns.RcodeBadVers) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// crowd is a network with 40 ports of one name.
func crowd() *host.Network {
	n := network()
	n.Leases = nil
	for i := range 40 {
		n.Leases = append(n.Leases, host.Lease{PortID: fmt.Sprint(i), MAC: mac(fmt.Sprintf("fa:16:3e:00:01:%02x", i)), Hostname: "many",
			Addresses: []host.Address{{SubnetID: "s1", Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(100 + i)}), 24)}}})
	}
	return n
}

func TestAnswersFit(t *testing.T) {
	z := newZone(crowd())
	for _, tt := range []struct {
		size      uint16 // of EDNS; 0: none
		tcp       bool
		truncated bool
	}{{0, false, true}, {0, true, false}, {512, false, true}, {100, false, true}, {1232, false, false}, {65535, false, false}} {
		q := question("many.openstacklocal.", dns.TypeA)
		if tt.size > 0 {
			q.SetEdns0(tt.size, false)
		}
		b, err := seal(z.answer(q), q, tt.tcp)
		if err != nil {
			t.Fatal(err)
		}
		m := new(dns.Msg)
		if err := m.Unpack(b); err != nil {
			t.Fatal(err)
		}
		limit := max(int(tt.size), 512)
		if m.Truncated != tt.truncated || !tt.truncated && len(m.Answer) != 40 || !tt.tcp && len(b) > min(limit, maxUDP) {
			t.Errorf("%+v: %d bytes, %d answers, truncated: %v", tt, len(b), len(m.Answer), m.Truncated)
		}
		if (m.IsEdns0() != nil) != (tt.size > 0) {
			t.Errorf("%+v: EDNS in the answer: %v", tt, m.IsEdns0())
		}
	}
}

// startResolver answers everything with one address, by UDP and TCP.
func startResolver(t *testing.T) netip.AddrPort {
	t.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
			A: net.IPv4(192, 0, 2, 1)}}
		w.WriteMsg(m)
	})
	for _, s := range []*dns.Server{{PacketConn: udp, Handler: answer}, {Listener: tcp, Handler: answer}} {
		started, done := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { defer close(done); s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { s.Shutdown(); <-done })
	}
	return netip.MustParseAddrPort(udp.LocalAddr().String())
}

// TestForward has a resolver that answers nothing before the one that does, and a file
// of the host's that changes.
func TestForward(t *testing.T) {
	good := startResolver(t)
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	file := filepath.Join(t.TempDir(), "resolv.conf")
	f := newForwarder(Settings{Resolvers: []netip.AddrPort{netip.MustParseAddrPort(silent.LocalAddr().String()), good},
		ResolvConf: file})
	for _, tcp := range []bool{false, true} {
		q := question("example.com.", dns.TypeA)
		m, err := f.ask(t.Context(), "p", q, tcp)
		if err != nil {
			t.Fatal(err)
		}
		if got := printed(m); got != "NOERROR 192.0.2.1" || m.Id != q.Id {
			t.Errorf("got %q", got)
		}
	}
	own := newForwarder(Settings{ResolvConf: file})
	if got := own.resolvers(); len(got) != 0 {
		t.Errorf("without a file: %v", got)
	}
	if err := os.WriteFile(file, []byte("search x\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	own.looked = time.Time{}
	if got := fmt.Sprint(own.resolvers()); got != "[192.0.2.53:53 [2001:db8::53]:53]" {
		t.Errorf("resolvers of the host: %s", got)
	}
}

// TestForwardingEnds has a server closed while a resolver is waited for.
func TestForwardingEnds(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		silent.ReadFrom(make([]byte, 1))
		cancel()
	}()
	start := time.Now()
	_, err = forward(ctx, netip.MustParseAddrPort(silent.LocalAddr().String()), question("example.com.", dns.TypeA), false)
	if took := time.Since(start); err == nil || took >= forwardTimeout {
		t.Errorf("ended after %s with %v", took, err)
	}
}

func TestForwardingIsBounded(t *testing.T) {
	f := newForwarder(Settings{Resolvers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}})
	for range maxProjectForwarding {
		f.slots.Take("greedy")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for project, busy := range map[string]bool{"greedy": true, "other": false} {
		if _, err := f.ask(ended, project, question("example.com.", dns.TypeA), false); errors.Is(err, errBusy) != busy {
			t.Errorf("one more question of project %s: %v", project, err)
		}
	}
}

func TestServerStops(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	names, err := listenNames(net.ListenConfig{}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := network()
	n.Subnets[0].CIDR = prefix("127.0.0.0/8")
	s := serve(slog.New(slog.DiscardHandler), place{}, conn, []nameSockets{names}, compile(t, n), newForwarder(Settings{}))
	if s.failed() {
		t.Error("failed before it began")
	}
	c, err := net.Dial("tcp", names.tcp.Addr().String()) // asks nothing
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s.close() // returns only when all goroutines are gone
	if !s.failed() {
		t.Error("still hears after close")
	}
}

// dig asks from the guest.
func (b *bench) dig(network string, q *dns.Msg, server string) (m *dns.Msg, err error) {
	b.t.Helper()
	var conn net.Conn
	if e := netns.Do(b.guest, func() error {
		conn, err = net.DialTimeout(network, server+":53", 5*time.Second)
		return nil
	}); e != nil {
		b.t.Fatal(e)
	}
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	c := &dns.Conn{Conn: conn}
	if err := c.WriteMsg(q); err != nil {
		return nil, err
	}
	return c.ReadMsg()
}

// TestNameServer asks from a guest: names of the network, others', too many at once.
func TestNameServer(t *testing.T) {
	resolver := startResolver(t) // where the process is, not on the bench
	b := newBench(t)
	b.serveOnly(crowd())
	b.set.Resolvers = []netip.AddrPort{resolver}
	b.converge(b.agent())
	b.inGuest("ip addr add 10.0.0.5/24 dev eth0")
	many := func() *dns.Msg { return question("many.openstacklocal.", dns.TypeA) }
	m, err := b.dig("udp", many(), "10.0.0.2")
	if err != nil || !m.Truncated {
		t.Errorf("by UDP: %v %v", m, err)
	}
	for _, network := range []string{"udp", "tcp"} {
		m, err := b.dig(network, question("example.com.", dns.TypeA), "10.0.0.2")
		if err != nil || printed(m) != "NOERROR 192.0.2.1" {
			t.Errorf("another's name by %s: %v %v", network, m, err)
		}
	}
	if m, err := b.dig("tcp", many(), "10.0.0.2"); err != nil || m.Truncated || len(m.Answer) != 40 {
		t.Errorf("by TCP: %v %v", m, err)
	}
	b.inGuest("ip addr add 192.168.77.5/24 dev eth0 && ip -n " + b.guest + " route replace 10.0.0.0/24 dev eth0 src 192.168.77.5")
	b.inService("ip route add 192.168.77.0/24 dev " + host.DHCPDevice(b.network.DHCP.PortID))
	for _, network := range []string{"udp", "tcp"} {
		q := many()
		if m, err := b.dig(network, q, "10.0.0.2"); err == nil {
			t.Errorf("who is not on the network is answered by %s: %v", network, m)
		}
	}
}

// TestHeldConnections has a guest open connections and say nothing: others are
// answered, and the guest again when they time out.
func TestHeldConnections(t *testing.T) {
	b := newBench(t)
	b.converge(b.agent())
	b.inGuest("ip addr add 10.0.0.5/24 dev eth0 && ip -n " + b.guest + " addr add 10.0.0.6/24 dev eth0")
	dial := func(from string) (c net.Conn) {
		t.Helper()
		err := netns.Do(b.guest, func() (err error) {
			d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			c, err = d.DialContext(context.Background(), "tcp", "10.0.0.2:53")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	answered := func(c net.Conn) bool {
		c.SetDeadline(time.Now().Add(3 * time.Second))
		d := &dns.Conn{Conn: c}
		if d.WriteMsg(question("web.openstacklocal.", dns.TypeA)) != nil {
			return false
		}
		_, err := d.ReadMsg()
		return err == nil
	}
	for range maxGuestConns {
		defer dial("10.0.0.5").Close()
	}
	over, other := dial("10.0.0.5"), dial("10.0.0.6")
	defer over.Close()
	defer other.Close()
	if answered(over) {
		t.Error("one guest has more connections than its share")
	}
	if !answered(other) {
		t.Error("another guest is not answered")
	}
	for deadline := time.Now().Add(time.Minute); ; {
		c := dial("10.0.0.5")
		ok := answered(c)
		c.Close()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("connections that say nothing are held for ever")
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func FuzzNames(f *testing.F) {
	for _, q := range []*dns.Msg{question("web.openstacklocal.", dns.TypeA), question("6.0.0.11.in-addr.arpa.", dns.TypePTR)} {
		b, err := q.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	z := newZone(network())
	f.Fuzz(func(t *testing.T, b []byte) {
		q := new(dns.Msg)
		if q.Unpack(b) != nil {
			return
		}
		m := z.answer(q)
		if m == nil {
			m = reply(q, dns.RcodeRefused)
		}
		if b, err := seal(m, q, false); err == nil && len(b) > maxUDP {
			t.Fatalf("reply of %d bytes", len(b))
		}
	})
}

// failing is a listener without descriptors for what it accepts.
type failing struct{ net.Listener }

func (failing) Accept() (net.Conn, error) { return nil, syscall.EMFILE }

// TestAcceptingPauses has a listener fail again and again, as without descriptors.
func TestAcceptingPauses(t *testing.T) {
	g := &guests{Listener: failing{}}
	start := time.Now()
	for range 3 {
		if _, err := g.Accept(); !errors.Is(err, syscall.EMFILE) {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < 3*acceptPause {
		t.Errorf("three failures took %s", took)
	}
}
