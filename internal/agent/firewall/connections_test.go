package firewall

import (
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// restart forgets everything, as a new process.
func (w *world) restart() {
	w.fw = New(slog.New(slog.NewTextHandler(w.t.Output(), nil)), w.fw.physnets)
}

// converse checks that a question passes and its answer too.
func (v *vm) converse(to *vm, when string) {
	v.t.Helper()
	v.expect(to, 53, true, when)
	if token := "answer-" + when; !to.arrives(v, to.udp(v, 53, 4000, token), token) {
		v.t.Errorf("%s: the answer of %s is dropped", when, to.ns)
	}
}

// A rule that goes while nobody is there takes its connections with it all the
// same, and no others.
func TestClosedDuringRestart(t *testing.T) {
	w := newWorld(t, netA)
	a, b := w.vm("a", netA, "10.0.0.1", 1, "g"), w.vm("b", netA, "10.0.0.2", 2, "g")
	c := w.vm("c", netA, "10.0.0.3", 3, "h")
	open := rule(unix.IPPROTO_UDP, 53)
	w.converge(group("g", open), group("h", open))
	a.converse(b, "before")
	a.converse(c, "before, another")
	w.restart()
	w.converge(group("g"), group("h", open))
	a.expect(b, 53, false, "closed meanwhile")
	if token := "still"; !c.arrives(a, c.udp(a, 53, 4000, token), token) {
		t.Error("a restart cut a connection that is admitted")
	}
}

// Whatever address a port has connections by, closing cuts them.
func TestClosingCutsEveryAddress(t *testing.T) {
	for _, tc := range []struct{ name, own, pair, used string }{
		{"a pair's prefix", "10.0.0.2", "10.9.0.0/16", "10.9.0.1"},
		{"a pair's address", "10.0.0.2", "10.8.0.1/32", "10.8.0.1"},
		{"any address", "", "", "10.7.0.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, netA)
			a, b := w.vm("a", netA, "10.0.0.1", 1), w.vm("b", netA, "10.0.0.2", 2, "g")
			a.port.PortSecurity = false
			if tc.own == "" {
				b.port.Addresses = nil
			}
			if tc.pair != "" {
				b.port.Pairs = []host.AllowedPair{{MAC: b.mac, Prefix: netip.MustParsePrefix(tc.pair)}}
			}
			b.addr = netip.MustParseAddr(tc.used)
			w.converge(group("g", rule(unix.IPPROTO_UDP, 53)))
			a.converse(b, "opened")
			w.converge(group("g"))
			a.expect(b, 53, false, "closed")
		})
	}
}

// ping asks by the guest's own ICMP socket; an id makes pings one connection.
func (v *vm) ping(to, when string) {
	v.t.Helper()
	out, err := exec.Command("ip", "netns", "exec", v.ns, "ping", "-c", "1", "-W", "5", "-e", "77", to).CombinedOutput()
	if err != nil {
		v.t.Errorf("%s: ping from %s to %s: %v: %s", when, v.ns, to, err, out)
	}
}

// ICMPv6 may leave whatever the rules say, so that no rule that goes ends it.
func TestClosingSparesWhatNeedsNoRule(t *testing.T) {
	w := newWorld(t, netA)
	hosttest.Need(t, "ping")
	a, b := w.vm("a", netA, "2001:db8::1", 1, "g"), w.vm("b", netA, "2001:db8::2", 2)
	b.port.PortSecurity = false
	web := rule(unix.IPPROTO_TCP, 80)
	w.converge(host.Group{ID: "g", Stateful: true, Rules: []host.Rule{web}})
	a.ping(b.addr.String(), "before")
	w.converge(host.Group{ID: "g", Stateful: true})
	a.ping(b.addr.String(), "after")
	w.restart()
	w.converge(host.Group{ID: "g", Stateful: true})
	a.ping(b.addr.String(), "after a restart")
}

// A port with state that asks one without is answered, on one host as on two; the
// one without still needs a rule for every packet.
func TestStatefulAsksStateless(t *testing.T) {
	w := newWorld(t, netA)
	a, b := w.vm("a", netA, "10.0.0.1", 1, "g"), w.vm("b", netA, "10.0.0.2", 2, "raw")
	raw := group("raw", rule(unix.IPPROTO_UDP, 53))
	raw.Stateful = false
	w.converge(group("g", rule(unix.IPPROTO_UDP, 4000)), raw)
	a.converse(b, "with rules")
	w.converge(group("g"), raw)
	a.converse(b, "the one that asks has none")

	if token := "asked"; b.arrives(a, b.udp(a, 4001, 53, token), token) {
		t.Error("a question passes without a rule")
	}
	w.converge(group("g", rule(unix.IPPROTO_UDP, 53)), raw)
	if token := "asked-2"; !b.arrives(a, b.udp(a, 4001, 53, token), token) {
		t.Error("a question is dropped")
	}
	if token := "answer-2"; a.arrives(b, a.udp(b, 53, 4001, token), token) {
		t.Error("a port without state is answered without a rule")
	}

	raw.Rules = raw.Rules[2:] // nothing out
	w.converge(group("g"), raw)
	a.expect(b, 53, true, "nothing out")
	if token := "muted"; b.arrives(a, b.udp(a, 53, 4000, token), token) {
		t.Error("a port without state answers without a rule")
	}
}

// A bridge that has the host's own address carries the host's own connections, and
// those of others that it translates, as if there were no firewall.
func TestHostTranslatesThroughTheBridge(t *testing.T) {
	w := newWorld(t, netA)
	hosttest.Need(t, "ping", "nft")
	bridge := host.BridgeName(netA)
	w.state.Networks[0].Segment = host.Segment{Type: weft.TypeFlat, PhysicalNetwork: "provider"}
	w.fw.physnets = map[string]string{"provider": "up0"}
	guest := w.vm("a", netA, "10.0.0.1", 1, "g")
	for _, ns := range []string{"wt-out", "wt-box"} {
		w.must(netns.Ensure(ns, ""))
		t.Cleanup(func() { netns.Delete(ns, "") })
	}
	w.run("ip link add up0 type veth peer name eth0 netns wt-out && ip link set up0 master %s up", bridge)
	w.run("ip -n wt-out addr add 10.0.0.254/24 dev eth0 && ip -n wt-out link set eth0 up && ip addr add 10.0.0.100/24 dev %s", bridge)
	w.run("ip link add box0 type veth peer name eth0 netns wt-box && ip addr add 172.31.0.1/24 dev box0 && ip link set box0 up")
	w.run("ip -n wt-box addr add 172.31.0.2/24 dev eth0 && ip -n wt-box link set eth0 up && ip -n wt-box route add default via 172.31.0.1")
	w.run("sysctl -qw net.ipv4.ip_forward=1")
	w.run("nft 'table ip other { chain post { type nat hook postrouting priority 100; ip saddr 172.31.0.0/24 masquerade; }; }'")
	t.Cleanup(func() { exec.Command("nft", "delete", "table", "ip", "other").Run() })
	box := &vm{t: t, ns: "wt-box"}
	box.ping("10.0.0.254", "before")
	w.converge(group("g"))
	box.ping("10.0.0.254", "after")
	w.run("ping -c 1 -W 5 10.0.0.254")

	// A guest whose router is the host.
	w.run("ip -n %s route add default via 10.0.0.100", guest.ns)
	var server net.Listener
	w.must(netns.Do("wt-box", func() (err error) { server, err = net.Listen("tcp", "172.31.0.2:80"); return err }))
	defer server.Close()
	var client net.Conn
	w.must(netns.Do(guest.ns, func() (err error) { client, err = net.Dial("tcp", "172.31.0.2:80"); return err }))
	defer client.Close()
	served, err := server.Accept()
	w.must(err)
	defer served.Close()
	client.Write([]byte("word"))
	if _, err := served.Read(make([]byte, 4)); err != nil {
		t.Error(err)
	}
}

// Zones survive a restart even where the State alone would give others.
func TestZonesAreReadBack(t *testing.T) {
	hosttest.Need(t)
	f := quiet()
	t.Cleanup(func() { f.Cleanup(t.Context()) })
	s := typical()
	f.zones = map[string]uint16{s.Networks[0].ID: 7, s.Networks[1].ID: 8}
	if err := f.Converge(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	again := quiet()
	at, err := again.look(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint16{7, 8} {
		if got := at.zones[s.Networks[i].ID]; got != want {
			t.Errorf("network %d has zone %d, had %d", i, got, want)
		}
	}
}

// Where the bridge family tracks by itself, the same chains are there, between the
// mark and the tracking.
func TestBridgeTracker(t *testing.T) {
	s := typical()
	both := plan(s, somewhere(s, nil), inetTracker{})
	one := plan(s, somewhere(s, nil), bridgeTracker{})
	if len(one) != 1 || one[0].Family != nft.Bridge {
		t.Fatalf("%d tables", len(one))
	}
	text := one[0].String()
	if !strings.HasPrefix(text, strings.TrimSuffix(both[1].String(), "}\n")) {
		t.Error("the filter is another")
	}
	for _, want := range []string{"type filter hook 0 priority -305", "type filter hook 0 priority -150", "ct zone set"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
