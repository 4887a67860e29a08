package firewall

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

// Without state a guest talks with others across a router as its rules admit, who
// began or did not, in pieces too; and the rules are about the pieces as well.
func TestStatelessAcrossARouter(t *testing.T) {
	w := newWorld(t, netA, netB)
	a, b := w.vm("a", netA, "10.1.0.1", 1, "raw"), w.vm("b", netB, "10.2.0.1", 2, "kept")
	w.run("command -v ping")
	w.router("10.1.0.254/24", "10.2.0.254/24", "2001:db8:1::fe/64", "2001:db8:2::fe/64")
	for i, v := range []*vm{a, b} {
		w.run("ip -n %s addr add 2001:db8:%d::1/64 dev eth0 nodad", v.ns, i+1)
		w.run("ip -n %s route add default via 10.%d.0.254", v.ns, i+1)
		w.run("ip -n %s -6 route add default via 2001:db8:%d::fe", v.ns, i+1)
		for _, addr := range []string{fmt.Sprintf("10.%d.0.1", i+1), fmt.Sprintf("2001:db8:%d::1", i+1)} {
			echoes(t, v.ns, net.JoinHostPort(addr, "7"))
		}
	}
	a.port.Addresses = append(a.port.Addresses, netip.MustParseAddr("2001:db8:1::1"))
	b.port.Addresses = append(b.port.Addresses, netip.MustParseAddr("2001:db8:2::1"))
	raw, kept := group("raw", everything()...), group("kept", everything()...)
	raw.Stateful = false
	w.converge(raw, kept)
	for _, x := range []struct {
		from, to *vm
		addr     string
	}{{a, b, "10.2.0.1"}, {a, b, "2001:db8:2::1"}, {b, a, "10.1.0.1"}, {b, a, "2001:db8:1::1"}} {
		for _, size := range []int{100, 5000} {
			what := fmt.Sprintf("%s to %s, %d bytes", x.from.ns, x.addr, size)
			for _, network := range []string{"udp", "tcp"} {
				if err := exchange(x.from.ns, network, net.JoinHostPort(x.addr, "7"), size); err != nil {
					t.Errorf("%s by %s: %v", what, network, err)
				}
			}
			if out, err := exec.Command("ip", "netns", "exec", x.from.ns, "ping", "-n", "-c", "3", "-i", "0.2", "-w", "10", "-s",
				fmt.Sprint(size), x.addr).CombinedOutput(); err != nil {
				t.Errorf("%s by ICMP: %v\n%s", what, err, out)
			}
		}
	}
	// Only what came in pieces is tracked on the network without state.
	flows, err := conntrack.Open(0).List()
	w.must(err)
	zone := w.fw.zones[netA]
	for _, f := range flows {
		if f.Zone == zone && f.Orig.Protocol == unix.IPPROTO_TCP {
			t.Errorf("tracked: %+v", f)
		}
	}
	// Rules are about whole packets: of one that none admits no piece passes.
	raw.Rules = append(anyEgress(), rule(unix.IPPROTO_TCP, 7), rule(unix.IPPROTO_UDP, 53))
	w.converge(raw, kept)
	for _, size := range []int{100, 5000} {
		if exchange(b.ns, "udp", "10.1.0.1:7", size) == nil {
			t.Errorf("%d bytes pass without a rule", size)
		}
	}
	if err := exchange(b.ns, "tcp", "10.1.0.1:7", 100); err != nil {
		t.Errorf("what a rule admits: %v", err)
	}
	if exchange(a.ns, "tcp", "10.2.0.1:7", 100) == nil {
		t.Error("an answer passes without a rule")
	}
}

func everything() (out []host.Rule) {
	for _, p := range []int{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP} {
		for _, six := range []bool{false, true} {
			out = append(out, host.Rule{ID: fmt.Sprint(p, six), Ingress: true, IPv6: six, Protocol: p, Min: -1, Max: -1})
		}
	}
	return out
}

// router connects the world's first two networks.
func (w *world) router(addrs ...string) {
	w.t.Helper()
	const ns = "wt-router"
	w.must(netns.Ensure(ns, ""))
	w.t.Cleanup(func() { netns.Delete(ns, "") })
	r := host.Router{ID: "r"}
	for i := range 2 {
		port, network := fmt.Sprintf("router-%d-port", i), w.state.Networks[i].ID
		device, tap := host.RouterDevice(port), host.TapName(port)
		w.run("ip link add %s master %s type veth peer name %s netns %s && ip link set %s up", tap, host.BridgeName(network),
			device, ns, tap)
		w.run("ip -n %s link set %s up", ns, device)
		r.Interfaces = append(r.Interfaces, host.RouterPort{PortID: port, NetworkID: network})
		for j := i; j < len(addrs); j += 2 {
			option := ""
			if strings.Contains(addrs[j], ":") {
				option = "nodad"
			}
			w.run("ip -n %s addr add %s dev %s %s", ns, addrs[j], device, option)
		}
	}
	w.run("ip netns exec %s sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", ns)
	w.state.Routers = []host.Router{r}
}

// echoes sends back what comes to an address, by TCP and UDP.
func echoes(t *testing.T, ns, address string) {
	t.Helper()
	var l net.Listener
	var c net.PacketConn
	err := netns.Do(ns, func() (err error) {
		if l, err = net.Listen("tcp", address); err == nil {
			c, err = net.ListenPacket("udp", address)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); c.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(conn, conn); conn.Close() }()
		}
	}()
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			c.WriteTo(buf[:n], from)
		}
	}()
}

// exchange sends bytes and waits for them to come back.
func exchange(ns, network, address string, size int) error {
	var c net.Conn
	err := netns.Do(ns, func() (err error) {
		c, err = net.DialTimeout(network, address, 2*time.Second)
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	buf := make([]byte, size)
	for range 3 { // a datagram may wait for a neighbour in vain
		c.SetDeadline(time.Now().Add(time.Second))
		if _, err = c.Write(buf); err != nil {
			return err
		}
		if _, err = io.ReadFull(c, buf); err == nil || network == "tcp" {
			return err
		}
	}
	return err
}
