package dhcp

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/weftnet/weft/internal/host"
)

func question(t testing.TB, name string, kind dnsmessage.Type) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// printed is a reply in short: its code, then the answers.
func printed(t testing.TB, b []byte) string {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	out := []string{strings.TrimPrefix(m.RCode.String(), "RCode")}
	for _, a := range m.Answers {
		switch body := a.Body.(type) {
		case *dnsmessage.AResource:
			out = append(out, netip.AddrFrom4(body.A).String())
		case *dnsmessage.AAAAResource:
			out = append(out, netip.AddrFrom16(body.AAAA).String())
		case *dnsmessage.PTRResource:
			out = append(out, body.PTR.String())
		}
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
		kind dnsmessage.Type
		want string
	}{
		{"web.openstacklocal.", dnsmessage.TypeA, "Success 11.0.0.6"},
		{"WEB.", dnsmessage.TypeA, "Success 11.0.0.6"},
		{"db.openstacklocal.", dnsmessage.TypeA, "Success 10.0.0.5"},
		{"db.openstacklocal.", dnsmessage.TypeAAAA, "Success 2001:db8::5"},
		{"web.openstacklocal.", dnsmessage.TypeAAAA, "Success"},
		{"web.openstacklocal.", dnsmessage.TypeMX, "Success"},
		{"host-10-0-0-7.openstacklocal.", dnsmessage.TypeA, "Success 10.0.0.7"},
		{"nobody.openstacklocal.", dnsmessage.TypeA, "NameError"},
		{"nobody.", dnsmessage.TypeA, "NameError"},
		{"host-10-0-0-2.openstacklocal.", dnsmessage.TypeA, "NameError"}, // the DHCP port itself
		{"6.0.0.11.in-addr.arpa.", dnsmessage.TypePTR, "Success web.openstacklocal."},
		{"5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", dnsmessage.TypePTR, "Success db.openstacklocal."},
		{"99.0.0.11.in-addr.arpa.", dnsmessage.TypePTR, "elsewhere"},
		{"example.com.", dnsmessage.TypeA, "elsewhere"},
	}
	for _, tt := range tests {
		got := "elsewhere"
		if reply, ok := z.respond(question(t, tt.name, tt.kind)); ok {
			got = printed(t, reply)
		}
		if got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.name, tt.kind, got, tt.want)
		}
	}
	if got := printed(t, refused(question(t, "example.com.", dnsmessage.TypeA))); got != "Refused" {
		t.Errorf("refused: %q", got)
	}
}

// TestForward has a resolver that first sends a forged answer.
func TestForward(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		buf := make([]byte, 512)
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		z := zone{addresses: map[string][]netip.Addr{"example.com": {netip.MustParseAddr("192.0.2.1")}}}
		reply, _ := z.respond(buf[:n])
		forged := append([]byte(nil), reply...)
		forged[0] ^= 1
		conn.WriteTo(forged, from)
		conn.WriteTo(reply, from)
	}()
	query := question(t, "example.com.", dnsmessage.TypeA)
	reply, err := forward(t.Context(), netip.MustParseAddrPort(conn.LocalAddr().String()), query)
	if err != nil {
		t.Fatal(err)
	}
	if got := printed(t, reply); got != "Success 192.0.2.1" || reply[1] != 7 {
		t.Errorf("got %q with id %d", got, reply[1])
	}
}

func TestServerStops(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	names, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(slog.New(slog.DiscardHandler), place{}, conn, []net.PacketConn{names}, compile(t, network()), Settings{})
	if s.failed() {
		t.Error("failed before it began")
	}
	s.close() // returns only when all goroutines are gone
	if !s.failed() {
		t.Error("still hears after close")
	}
}

func FuzzNames(f *testing.F) {
	f.Add(question(f, "web.openstacklocal.", dnsmessage.TypeA))
	f.Add(question(f, "6.0.0.11.in-addr.arpa.", dnsmessage.TypePTR))
	z := newZone(network())
	f.Fuzz(func(t *testing.T, b []byte) {
		reply, ok := z.respond(b)
		if !ok {
			reply = refused(b)
		}
		if len(reply) > maxUDP {
			t.Fatalf("reply of %d bytes", len(reply))
		}
	})
}
