package l3

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

// serveFTP is what a server of FTP sees of commands.
func (b *bench) serveFTP(ns, addr string) {
	b.t.Helper()
	var l net.Listener
	err := netns.Do(ns, func() (err error) {
		l, err = net.Listen("tcp4", addr)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewScanner(c); in.Scan(); {
					fmt.Fprintf(c, "200 %s\r\n", in.Text())
				}
			}()
		}
	}()
}

// heard is what a server of FTP hears of an address that a guest names to it.
func (b *bench) heard(from, server, named string) string {
	b.t.Helper()
	var c net.Conn
	err := netns.Do(from, func() (err error) {
		c, err = net.DialTimeout("tcp4", server, 5*time.Second)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	in := bufio.NewReader(c)
	line := ""
	for _, command := range []string{"USER x", "PORT " + named} { // a line that follows no other is not looked at
		if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
			b.t.Fatal(err)
		}
		if line, err = in.ReadString('\n'); err != nil {
			b.t.Fatal(err)
		}
	}
	return strings.TrimPrefix(strings.TrimSpace(line), "200 PORT ")
}

// In active FTP the server connects to where the client, who knows only his address
// inside, tells him.
func TestHelper(t *testing.T) {
	b := newBench(t)
	b.serve(vmA, ":5120") // 20 * 256
	b.serveFTP(outside, ":21")
	b.serveFTP(outside, ":2121")
	b.converge()
	const inside = "10,0,0,5,20,0"
	if got := b.heard(vmA, "10.62.227.1:21", inside); got != inside {
		t.Errorf("without a helper the server heard %s", got)
	}
	rules := func() string { return b.run("ip netns exec qrouter-r1 nft list ruleset") }
	before := rules()
	b.router().Helpers = []host.Helper{{Helper: "ftp", Protocol: tcp, Port: 21}, {Helper: "sip", Protocol: tcp, Port: 5060}, {Helper: "sip", Protocol: udp, Port: 5060}}
	b.converge()
	b.idle()
	b.restart()
	b.idle()
	got := b.heard(vmA, "10.62.227.1:21", inside)
	numbers := strings.Split(got, ",")
	var hi, lo int
	if len(numbers) == 6 {
		fmt.Sscan(numbers[4]+" "+numbers[5], &hi, &lo)
	}
	if !strings.HasPrefix(got, "10,62,227,10,") {
		t.Fatalf("with a helper the server heard %s\n%s", got, b.look())
	}
	b.seen("10.62.227.1", outside, fmt.Sprintf("10.62.227.10:%d", hi<<8|lo))
	if got := b.heard(vmA, "10.62.227.1:2121", inside); got != inside {
		t.Errorf("at another port the server heard %s", got)
	}

	b.router().Helpers = []host.Helper{{Helper: "ftp", Protocol: tcp, Port: 2121}}
	b.converge()
	b.idle()
	if got := b.heard(vmA, "10.62.227.1:2121", inside); !strings.HasPrefix(got, "10,62,227,10,") {
		t.Errorf("moved to another port, the server heard %s", got)
	}
	b.restart()
	b.router().Helpers = nil
	b.converge()
	b.idle()
	if diff := cmp.Diff(before, rules()); diff != "" {
		t.Errorf("rules (-before +after):\n%s", diff)
	}
}

// Every helper that the API knows is one of the kernel, but for amanda: the API has it
// for TCP and the kernel for UDP. One that the kernel lacks does not take others along.
func TestHelpers(t *testing.T) {
	b := newBench(t)
	known := []host.Helper{{Helper: "ftp", Protocol: tcp, Port: 21}, {Helper: "h323", Protocol: tcp, Port: 1720},
		{Helper: "h323", Protocol: udp, Port: 1719}, {Helper: "irc", Protocol: tcp, Port: 6667}, {Helper: "netbios-ns", Protocol: udp, Port: 137},
		{Helper: "pptp", Protocol: tcp, Port: 1723}, {Helper: "sane", Protocol: tcp, Port: 6566}, {Helper: "sip", Protocol: udp, Port: 5060},
		{Helper: "snmp", Protocol: udp, Port: 161}, {Helper: "tftp", Protocol: udp, Port: 69}}
	b.router().Helpers = append([]host.Helper{{Helper: "amanda", Protocol: tcp, Port: 10080}}, known...)
	results, err := b.agent.Converge(t.Context(), b.state)
	if err == nil || !strings.Contains(err.Error(), "weft-helper-amanda") || len(strings.Split(err.Error(), "\n")) != 1 {
		t.Errorf("got %v", err)
	}
	if p := results[0].Ports; !p[0].Up || !p[2].Up {
		t.Errorf("ports are %+v", p)
	}
	rules := b.run("ip netns exec qrouter-r1 nft list ruleset")
	for _, h := range known {
		if !strings.Contains(rules, "table inet weft-helper-"+h.Helper+" {") {
			t.Errorf("%s is not there", h.Helper)
		}
	}
}

func TestTablesOfHelpers(t *testing.T) {
	r := testRouter()
	r.Helpers = []host.Helper{{Helper: "ftp", Protocol: tcp, Port: 21}, {Helper: "h323", Protocol: tcp, Port: 1720}, {Helper: "h323", Protocol: udp, Port: 1719}}
	want := `table inet weft-helper-ftp {
  ct helper ftp-6 { type "ftp" protocol 6 }
  chain prerouting {
    type filter hook 0 priority -150
    meta l4proto 6 th dport 21 ct helper set "ftp-6"
  }
}
table inet weft-helper-h323 {
  ct helper h323-6 { type "Q.931" protocol 6 }
  ct helper h323-17 { type "RAS" protocol 17 }
  chain prerouting {
    type filter hook 0 priority -150
    meta l4proto 6 th dport 1720 ct helper set "h323-6"
    meta l4proto 17 th dport 1719 ct helper set "h323-17"
  }
}
`
	got := ""
	for _, table := range furtherOf(r) {
		got += table.String()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.AdminUp = false
	if got := furtherOf(r); got != nil {
		t.Errorf("of a router that is down: %v", got)
	}
}

// The outside takes the guests' subnet for one on its own link.
func TestNDPProxy(t *testing.T) {
	b := newBench(t)
	b.router().Interfaces[0] = routerPort("pa", netA, 1, "a=10.0.0.1/24", "a6=2001:db8:a::1/64")
	g := b.router().Gateway
	g.Addresses = append(g.Addresses, host.Address{SubnetID: "z", Prefix: netip.MustParsePrefix("2001:db8:e::10/64")})
	g.Subnets = append(g.Subnets, subnet("z", "2001:db8:e::/64", "2001:db8:e::1"))
	for _, a := range []string{"5", "6", "7"} {
		b.run("ip -n " + vmA + " -6 addr add 2001:db8:a::" + a + "/64 dev eth0 nodad")
	}
	b.run("ip -n " + vmA + " -6 route add default via 2001:db8:a::1 src 2001:db8:a::5")
	b.run("ip -n " + outside + " -6 addr add 2001:db8:e::1/64 dev eth0 nodad")
	b.run("ip -n " + outside + " -6 route add 2001:db8:a::/64 dev eth0")
	b.run("ip -n " + outside + " -6 route add 2001:db8:a::7/128 via 2001:db8:e::10") // the way is known, the address not published
	b.converge()
	b.refused(outside, "[2001:db8:a::5]:80")
	b.seen("2001:db8:e::1", outside, "[2001:db8:a::7]:80")
	rules := func() string { return b.run("ip netns exec qrouter-r1 nft list ruleset") }
	before := rules()
	proxied := func() string { return b.run("ip -n qrouter-r1 -6 neigh show proxy") }

	b.router().NDPProxy = true
	b.router().Published = []netip.Addr{netip.MustParseAddr("2001:db8:a::5")}
	done := strings.Join(b.converge().Done, "\n")
	for _, want := range []string{"ip netns exec qrouter-r1 sysctl -w net.ipv6.conf.all.proxy_ndp=1", "ip -n qrouter-r1 -6 neigh add proxy 2001:db8:a::5 dev qg-gw"} {
		if !strings.Contains(done, want) {
			t.Errorf("%s is missing in\n%s", want, done)
		}
	}
	b.idle()
	b.restart()
	b.idle()
	b.run("ip -n " + outside + " neigh flush dev eth0")
	b.run("ip netns exec " + outside + " ping -6 -c1 -W5 2001:db8:a::5")
	b.seen("2001:db8:e::1", outside, "[2001:db8:a::5]:80")
	b.seen("2001:db8:a::5", vmA, "[2001:db8:e::1]:80")
	b.refused(outside, "[2001:db8:a::6]:80")
	b.refused(outside, "[2001:db8:a::7]:80")
	if got := strings.TrimSpace(proxied()); got != "2001:db8:a::5 dev qg-gw proxy" {
		t.Errorf("proxied is %s", got)
	}

	// Another is published instead, by an agent that knows nothing of the first.
	b.restart()
	b.router().Published = []netip.Addr{netip.MustParseAddr("2001:db8:a::6"), netip.MustParseAddr("2001:db8:a::7")}
	b.converge()
	b.idle()
	b.run("ip -n " + outside + " neigh flush dev eth0")
	b.seen("2001:db8:e::1", outside, "[2001:db8:a::6]:80")
	b.seen("2001:db8:e::1", outside, "[2001:db8:a::7]:80")
	b.refused(outside, "[2001:db8:a::5]:80")
	b.run("ip -n qrouter-r1 -6 neigh del proxy 2001:db8:a::6 dev qg-gw") // somebody's mistake
	if diff := cmp.Diff([]string{"ip -n qrouter-r1 -6 neigh add proxy 2001:db8:a::6 dev qg-gw"}, b.converge().Done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// It is switched off.
	b.restart()
	b.router().NDPProxy, b.router().Published = false, nil
	b.converge()
	b.idle()
	if got := proxied(); got != "" {
		t.Errorf("proxied is still %s", got)
	}
	if diff := cmp.Diff(before, rules()); diff != "" {
		t.Errorf("rules (-before +after):\n%s", diff)
	}
	b.seen("2001:db8:e::1", outside, "[2001:db8:a::7]:80")
}

func TestTableOfPublished(t *testing.T) {
	r := testRouter()
	r.Interfaces[0] = routerPort("pa", netA, 1, "a=10.0.0.1/24", "a6=2001:db8:a::1/64")
	r.NDPProxy, r.Published = true, []netip.Addr{netip.MustParseAddr("2001:db8:a::5")}
	want := `table ip6 weft-published {
  set published {
    type ipv6_addr
    2001:db8:a::5
  }
  chain forward {
    type filter hook 2 priority 0
    iifname "qg-gw" ip6 daddr 2001:db8:a::/64 ip6 daddr != @published drop
  }
}
`
	if diff := cmp.Diff(want, furtherOf(r)[0].String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
