package l3

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

// split is a floating IP of which ports are forwarded.
func split(id, floating string) host.FloatingIP {
	return host.FloatingIP{ID: id, Floating: netip.MustParseAddr(floating)}
}

// forwarding is written "10.62.227.20:8000-8002>10.0.0.5:80".
func forwarding(protocol int, text string) host.Forwarding {
	end := func(text string) (netip.Addr, weft.PortRange) {
		addr, ports, _ := strings.Cut(text, ":")
		r, err := weft.ParsePortRange(strings.ReplaceAll(ports, "-", ":"))
		if err != nil {
			panic(err)
		}
		return netip.MustParseAddr(addr), r
	}
	f := host.Forwarding{Protocol: protocol}
	from, to, _ := strings.Cut(text, ">")
	f.Floating, f.External = end(from)
	f.Fixed, f.Internal = end(to)
	return f
}

// serveUDP answers every datagram with the sender's address and its own port.
func (b *bench) serveUDP(ns, addr string) {
	b.t.Helper()
	var c net.PacketConn
	err := netns.Do(ns, func() (err error) {
		c, err = net.ListenPacket("udp4", addr)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 100)
		for {
			_, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			who := netip.MustParseAddrPort(from.String()).Addr()
			fmt.Fprintf(udpWriter{c, from}, "%s at %s", who, strings.TrimPrefix(c.LocalAddr().String(), "0.0.0.0"))
		}
	}()
}

type udpWriter struct {
	c  net.PacketConn
	to net.Addr
}

func (w udpWriter) Write(b []byte) (int, error) { return w.c.WriteTo(b, w.to) }

// answered fails unless a datagram is answered with want.
func (b *bench) answered(want, from, to string) {
	b.t.Helper()
	buf := make([]byte, 100)
	n := 0
	err := netns.Do(from, func() error {
		c, err := net.Dial("udp4", to)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err = c.Read(buf)
		return err
	})
	if got := string(buf[:n]); err != nil || got != want {
		b.t.Errorf("from %s to %s: answered %q, %v; want %s\n%s", from, to, got, err, want, b.look())
	}
}

func TestPortForwardings(t *testing.T) {
	b := newBench(t)
	for _, port := range []string{":9000", ":9001", ":9002", ":9003"} {
		b.serve(vmB, port)
		b.serveUDP(vmB, port)
	}
	b.router().FloatingIPs = []host.FloatingIP{fip("f1", "10.62.227.20", "11.0.0.5"), split("f2", "10.62.227.21"), split("f3", "10.62.228.21")}
	b.router().Forwardings = []host.Forwarding{
		forwarding(1, "10.62.227.21:8>10.0.0.5:8"), // what has no ports has nothing to forward by
		forwarding(tcp, "10.62.227.21:8000>10.0.0.5:80"),
		forwarding(tcp, "10.62.227.21:8080>11.0.0.5:9000"),
		forwarding(tcp, "10.62.227.21:9100-9102>11.0.0.5:9001-9003"), // each to its own
		forwarding(udp, "10.62.227.21:8000>11.0.0.5:9000"),           // the port of another protocol
		forwarding(udp, "10.62.227.21:9100-9102>11.0.0.5:9001-9003"),
		forwarding(tcp, "10.62.228.21:80-82>11.0.0.5:80"), // all to one
	}
	r := b.converge()
	want := map[string]string{"f1": weft.StatusActive, "f2": weft.StatusActive, "f3": weft.StatusActive}
	if diff := cmp.Diff(want, r.FloatingIPs); diff != "" {
		t.Errorf("floating IPs (-want +got):\n%s", diff)
	}
	b.idle()
	b.restart()
	b.idle()

	b.seen("10.62.227.1", outside, "10.62.227.21:8000") // the guest sees who asks
	for _, to := range []string{"8080", "9100", "9101", "9102"} {
		b.seen("10.62.227.1", outside, "10.62.227.21:"+to)
	}
	for _, to := range []string{"80", "81", "82"} {
		b.seen("10.62.228.1", outside, "10.62.228.21:"+to)
	}
	b.answered("10.62.227.1 at :9000", outside, "10.62.227.21:8000")
	for i := range 3 {
		b.answered(fmt.Sprintf("10.62.227.1 at :%d", 9001+i), outside, fmt.Sprintf("10.62.227.21:%d", 9100+i))
	}
	for _, to := range []string{"10.62.227.21:80", "10.62.227.21:9099", "10.62.227.21:9103", "10.62.228.21:83", "10.62.228.21:8000"} {
		b.refused(outside, to)
	}
	b.seen("10.62.227.20", vmB, "10.62.227.21:8000")          // round, from one with a floating IP
	b.seen("10.62.227.10", vmA, "10.62.227.21:8000")          // round, to itself
	b.seen("10.62.227.10", "qrouter-r1", "10.62.227.21:8000") // from the router
	b.seen("10.62.227.1", outside, "10.62.227.20:80")
	b.seen("10.62.227.10", vmA, "10.62.227.1:80") // a forwarding is no way out
	b.idle()
}

func TestPortForwardingsComeAndGo(t *testing.T) {
	b := newBench(t)
	b.serve(vmA, ":8080")
	b.converge()
	rules := func() string { return b.run("ip netns exec qrouter-r1 nft list ruleset") }
	before := rules()
	web, app := forwarding(tcp, "10.62.227.21:8000>10.0.0.5:80"), forwarding(tcp, "10.62.227.21:8080>10.0.0.5:8080")
	b.router().FloatingIPs = []host.FloatingIP{split("f", "10.62.227.21")}
	b.router().Forwardings = []host.Forwarding{web}
	done := strings.Join(b.converge().Done, "\n")
	for _, want := range []string{"nft add element forwarded { 10.62.227.21 . 6 . 8000 : 10.0.0.5 }", "nft add element forwarded_ports { 10.62.227.21 . 6 . 8000 : 80 }",
		"ip -n qrouter-r1 addr add 10.62.227.21/32 dev qg-gw", "ip netns exec qrouter-r1 arping -c 3 -U -I qg-gw 10.62.227.21"} {
		if !strings.Contains(done, want) {
			t.Errorf("%s is missing in\n%s", want, done)
		}
	}
	toWeb := b.seen("10.62.227.1", outside, "10.62.227.21:8000")

	// Another is two elements more, and nothing to connections.
	b.router().Forwardings = []host.Forwarding{web, app}
	more := []string{"nft add element forwarded { 10.62.227.21 . 6 . 8080 : 10.0.0.5 }", "nft add element forwarded_ports { 10.62.227.21 . 6 . 8080 : 8080 }"}
	if diff := cmp.Diff(more, b.converge().Done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	toApp := b.seen("10.62.227.1", outside, "10.62.227.21:8080")
	b.restart()
	b.idle()
	b.agent.checks.Wait()
	b.alive(toWeb)
	b.alive(toApp)

	// One leads elsewhere.
	b.router().Forwardings[1] = forwarding(tcp, "10.62.227.21:8080>11.0.0.5:80")
	b.converge()
	b.cut(toApp)
	b.alive(toWeb)
	toApp = b.seen("10.62.227.1", outside, "10.62.227.21:8080")

	// One goes.
	b.router().Forwardings = b.router().Forwardings[1:]
	b.converge()
	b.cut(toWeb)
	b.refused(outside, "10.62.227.21:8000")
	b.alive(toApp)

	// The last goes, and the address with it.
	b.router().FloatingIPs, b.router().Forwardings = nil, nil
	b.converge()
	b.cut(toApp)
	b.idle()
	if diff := cmp.Diff(before, rules()); diff != "" {
		t.Errorf("rules (-before +after):\n%s", diff)
	}
	if out := b.run("ip -n qrouter-r1 addr"); strings.Contains(out, "10.62.227.21") {
		t.Errorf("the address is left:\n%s", out)
	}
}

// A floating IP that had ports forwarded leads to the guest as a whole: what came to
// another port is over.
func TestFromForwardingsToAWhole(t *testing.T) {
	b := newBench(t)
	b.router().FloatingIPs = []host.FloatingIP{split("f", "10.62.227.21")}
	b.router().Forwardings = []host.Forwarding{forwarding(tcp, "10.62.227.21:80-81>10.0.0.5:80")}
	b.converge()
	same, other := b.seen("10.62.227.1", outside, "10.62.227.21:80"), b.seen("10.62.227.1", outside, "10.62.227.21:81")
	b.router().FloatingIPs = []host.FloatingIP{fip("f", "10.62.227.21", "10.0.0.5")}
	b.router().Forwardings = nil
	b.converge()
	b.alive(same)
	b.cut(other)
	b.refused(outside, "10.62.227.21:81")
}

func TestForwardingsOfARouterThatIsDown(t *testing.T) {
	b := newBench(t)
	b.router().FloatingIPs = []host.FloatingIP{split("f", "10.62.227.21")}
	b.router().Forwardings = []host.Forwarding{forwarding(tcp, "10.62.227.21:8000>10.0.0.5:80")}
	b.router().AdminUp = false
	if r := b.converge(); r.FloatingIPs["f"] != weft.StatusDown {
		t.Errorf("got %+v", r)
	}
	b.router().AdminUp = true
	if r := b.converge(); r.FloatingIPs["f"] != weft.StatusActive {
		t.Errorf("got %+v", r)
	}
	b.seen("10.62.227.1", outside, "10.62.227.21:8000")
}

func TestForwards(t *testing.T) {
	r := testRouter()
	r.FloatingIPs = []host.FloatingIP{split("f", "10.62.227.21"), fip("g", "10.62.227.22", "10.0.0.5")}
	r.Forwardings = []host.Forwarding{
		forwarding(tcp, "10.62.227.21:80-81>10.0.0.5:8080-8081"),
		forwarding(tcp, "10.62.227.21:81-82>11.0.0.5:22"), // one of them is taken
		forwarding(1, "10.62.227.21:90>10.0.0.5:90"),
		forwarding(tcp, "10.62.227.22:80>11.0.0.5:80"), // of a floating IP that leads elsewhere
	}
	var got []string
	for _, f := range forwards(r) {
		got = append(got, fmt.Sprintf("%s:%d/%d>%s:%d", f.from.addr, f.from.port, f.from.protocol, f.to.addr, f.to.port))
	}
	want := []string{"10.62.227.21:80/6>10.0.0.5:8080", "10.62.227.21:81/6>10.0.0.5:8081", "10.62.227.21:82/6>11.0.0.5:22"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.Gateway = nil
	if got := forwards(r); got != nil {
		t.Errorf("without a gateway: %v", got)
	}
}

func TestOutdatedForwardings(t *testing.T) {
	r := testRouter()
	r.FloatingIPs = []host.FloatingIP{split("f", "10.62.227.21")}
	r.Forwardings = []host.Forwarding{forwarding(tcp, "10.62.227.21:8000>10.0.0.5:80")}
	o := inForce(r)
	flow := func(protocol uint8, dst, answerer string) conntrack.Flow {
		d, a := netip.MustParseAddrPort(dst), netip.MustParseAddrPort(answerer)
		return conntrack.Flow{Orig: conntrack.Tuple{Src: netip.MustParseAddr("8.8.8.8"), Dst: d.Addr(), DPort: d.Port(), Protocol: protocol},
			Reply: conntrack.Tuple{Src: a.Addr(), SPort: a.Port(), Dst: netip.MustParseAddr("8.8.8.8"), Protocol: protocol}}
	}
	for name, c := range map[string]struct {
		flow conntrack.Flow
		want bool
	}{
		"as it is":             {flow(tcp, "10.62.227.21:8000", "10.0.0.5:80"), false},
		"to another port":      {flow(tcp, "10.62.227.21:8000", "10.0.0.5:81"), true},
		"to another address":   {flow(tcp, "10.62.227.21:8000", "10.0.0.6:80"), true},
		"of another protocol":  {flow(udp, "10.62.227.21:8000", "10.0.0.5:80"), true},
		"no longer forwarded":  {flow(tcp, "10.62.227.21:8001", "10.0.0.5:80"), true},
		"to the router itself": {flow(tcp, "10.62.227.21:22", "10.62.227.21:22"), false},
		"not yet forwarded":    {flow(tcp, "10.62.227.21:8000", "10.62.227.21:8000"), true},
		"another floating IP":  {flow(tcp, "10.62.227.22:8000", "10.0.0.6:80"), false},
	} {
		if got := o.match(c.flow); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
