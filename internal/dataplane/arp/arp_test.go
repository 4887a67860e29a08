package arp

import (
	"encoding/hex"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/needs"
)

var (
	mac  = weft.MAC{0xfa, 0x16, 0x3e, 1, 2, 3}
	addr = netip.MustParseAddr("203.0.113.7")
)

func TestFrame(t *testing.T) {
	for _, c := range []struct {
		form Form
		want string
	}{
		{Request, "fffffffffffffa163e010203080600010800060400" + "01" + "fa163e010203cb007107" + "ffffffffffffcb007107"},
		{Reply, "fffffffffffffa163e010203080600010800060400" + "02" + "fa163e010203cb007107" + "fa163e010203cb007107"},
	} {
		if diff := cmp.Diff(c.want, hex.EncodeToString(Frame(c.form, mac, addr))); diff != "" {
			t.Errorf("form %d (-want +got):\n%s", c.form, diff)
		}
	}
}

// Two namespaces: the device announces in the one, the other hears it.
const speaker, hearer = "wt-arp-a", "wt-arp-b"

func bench(t *testing.T) *packet.Conn {
	t.Helper()
	needs.Root(t)
	inside, out := open(t, speaker), open(t, hearer)
	l, err := out.Create("out", link.Veth{Peer: "in", PeerNS: inside.NS(), PeerMAC: mac}, link.Up(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := inside.Set(l.Peer, link.Up(true)); err != nil {
		t.Fatal(err)
	}
	if err := inside.AddAddr(l.Peer, netip.PrefixFrom(addr, 24)); err != nil {
		t.Fatal(err)
	}
	var conn *packet.Conn
	err = netns.Do(hearer, func() error {
		nic, err := net.InterfaceByName("out")
		if err != nil {
			return err
		}
		conn, err = packet.Listen(nic, packet.Raw, unix.ETH_P_ARP, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func open(t *testing.T, name string) *link.Handle {
	t.Helper()
	if err := netns.Ensure(name, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netns.Delete(name, "") })
	h, err := link.OpenIn(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func TestAnnounceThreeTimesInBothForms(t *testing.T) {
	conn := bench(t)
	a := NewAnnouncer(slog.New(slog.NewTextHandler(t.Output(), nil)))
	a.interval = 0
	a.Announce(speaker, "in", netip.MustParseAddr("203.0.113.99"), netip.MustParseAddr("2001:db8::1"), addr)
	a.wg.Wait()
	a.Close()
	for i := range 2 * rounds {
		buf := make([]byte, 1500)
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Frame([]Form{Request, Reply}[i%2], mac, addr), buf[:n]); diff != "" {
			t.Errorf("frame %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestAnnounceEndsWithItsNamespace(t *testing.T) {
	bench(t)
	a := NewAnnouncer(slog.New(slog.NewTextHandler(t.Output(), nil)))
	a.Announce("wt-none", "in", addr)
	a.Announce(speaker, "none", addr)
	a.wg.Wait()
	a.Announce(speaker, "in", addr) // is in its first pause, or not yet
	a.Close()
}
