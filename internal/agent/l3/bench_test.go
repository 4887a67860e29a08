package l3

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/agent/wire"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// The ids are short, so that names made of them can be read.
const (
	routerID = "r1"
	netA     = "neta"
	netB     = "netb"
	netExt   = "ext"
)

func subnet(id, cidr, gateway string) host.Subnet {
	s := host.Subnet{ID: id, CIDR: netip.MustParsePrefix(cidr)}
	s.Gateway, _ = netip.ParseAddr(gateway)
	return s
}

func routerPort(id, network string, n byte, addrs ...string) host.RouterPort {
	p := host.RouterPort{PortID: id, NetworkID: network, MAC: weft.MAC{0xfa, 0x16, 0x3e, 0, 0, n}, MTU: 1450, Revision: int64(n)}
	for _, a := range addrs {
		subnetID, prefix, _ := strings.Cut(a, "=")
		p.Addresses = append(p.Addresses, host.Address{SubnetID: subnetID, Prefix: netip.MustParsePrefix(prefix)})
	}
	return p
}

// testRouter has two internal networks and leads to the outside.
func testRouter() *host.Router {
	gw := routerPort("gw", netExt, 9, "x=10.62.227.10/24")
	gw.MTU = 1500
	gw.Subnets = []host.Subnet{subnet("x", "10.62.227.0/24", "10.62.227.1"), subnet("y", "10.62.228.0/24", "10.62.228.1")}
	return &host.Router{
		ID: routerID, AdminUp: true, SNAT: true, Gateway: &gw,
		Interfaces: []host.RouterPort{
			routerPort("pa", netA, 1, "a=10.0.0.1/24"),
			routerPort("pb", netB, 2, "b=11.0.0.1/24"),
		},
	}
}

func fip(id, floating, fixed string) host.FloatingIP {
	return host.FloatingIP{ID: id, Floating: netip.MustParseAddr(floating), Fixed: netip.MustParseAddr(fixed)}
}

// bench is a host with the bridges of three networks, a guest on each of the
// internal ones and the outside on the third.
type bench struct {
	t     *testing.T
	root  *link.Handle
	agent *Agent
	state *host.State
}

// Namespaces beside the router's.
const (
	vmA     = "wt-a"
	vmB     = "wt-b"
	outside = "wt-outside"
)

func newBench(t *testing.T) *bench {
	t.Helper()
	hosttest.Need(t, "ip", "ping")
	root, err := link.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(root.Close)
	b := &bench{t: t, root: root, state: &host.State{Routers: []host.Router{*testRouter()}}}
	for _, n := range []string{netA, netB, netExt} {
		b.run("ip link add " + host.BridgeName(n) + " type bridge forward_delay 0")
		b.run("ip link set " + host.BridgeName(n) + " addrgenmode none up")
		t.Cleanup(func() { exec.Command("ip", "link", "del", host.BridgeName(n)).Run() })
	}
	b.guest(vmA, netA, "10.0.0.5/24", "10.0.0.1")
	b.guest(vmB, netB, "11.0.0.5/24", "11.0.0.1")
	b.guest(outside, netExt, "10.62.227.1/24", "")
	b.run("ip -n " + outside + " addr add 10.62.228.1/24 dev eth0")
	b.restart()
	t.Cleanup(func() {
		b.agent.Close()
		wire.Delete(root, "", []string{internalPrefix, gatewayPrefix}, host.RouterNamespace(routerID))
	})
	return b
}

// guest makes a namespace on a network that echoes on TCP port 80 and says first as
// whom it sees the caller.
func (b *bench) guest(name, network, addr, gateway string) {
	b.t.Helper()
	b.run("ip netns add " + name)
	b.t.Cleanup(func() { exec.Command("sh", "-c", "ip link del v"+name+"; ip netns del "+name).Run() })
	b.run("ip link add v" + name + " master " + host.BridgeName(network) + " type veth peer name eth0 netns " + name)
	b.run("ip link set v" + name + " up")
	b.run("ip -n " + name + " link set lo up")
	b.run("ip -n " + name + " link set eth0 up")
	b.run("ip -n " + name + " addr add " + addr + " dev eth0")
	if gateway != "" {
		b.run("ip -n " + name + " route add default via " + gateway)
	}
	b.serve(name, ":80")
}

func (b *bench) serve(ns, addr string) {
	b.t.Helper()
	var l net.Listener
	err := netns.Do(ns, func() (err error) {
		l, err = net.Listen("tcp", addr)
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
				fmt.Fprintln(c, netip.MustParseAddrPort(c.RemoteAddr().String()).Addr().Unmap())
				io.Copy(c, c)
			}()
		}
	}()
}

func (b *bench) run(command string) string {
	b.t.Helper()
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// router is the router under test.
func (b *bench) router() *host.Router { return &b.state.Routers[0] }

// restart puts a new agent in the place of the old one.
func (b *bench) restart() {
	if b.agent != nil {
		b.agent.Close()
	}
	b.agent = New(slog.New(slog.NewTextHandler(b.t.Output(), nil)), b.root)
}

// converge returns what was done for the router.
func (b *bench) converge() Result {
	b.t.Helper()
	results, err := b.agent.Converge(b.t.Context(), b.state)
	if err != nil {
		b.t.Fatal(err)
	}
	return results[len(results)-1]
}

// idle fails unless there is nothing to do.
func (b *bench) idle() {
	b.t.Helper()
	if diff := cmp.Diff([]string(nil), b.converge().Done); diff != "" {
		b.t.Errorf("done without need:\n%s", diff)
	}
}

// dial opens a connection and returns with it as whom the other side sees it.
func (b *bench) dial(from, to string) (net.Conn, string, error) {
	b.t.Helper()
	var c net.Conn
	err := netns.Do(from, func() (err error) {
		c, err = net.DialTimeout("tcp", to, 5*time.Second)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	b.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	line, err := bufio.NewReaderSize(c, 16).ReadString('\n')
	return c, strings.TrimSpace(line), err
}

// seen fails unless the connection comes about and the other side sees it as want.
func (b *bench) seen(want, from, to string) net.Conn {
	b.t.Helper()
	c, got, err := b.dial(from, to)
	if err != nil || got != want {
		b.t.Errorf("from %s to %s: seen as %q, %v; want %s\n%s", from, to, got, err, want, b.look())
	}
	return c
}

// look shows the router, for a test that failed.
func (b *bench) look() string {
	out, _ := exec.Command("sh", "-c", "ip netns exec qrouter-r1 sh -c 'ip a; ip r; ip -6 r; nft list ruleset; conntrack -L' 2>&1").Output()
	return string(out)
}

// refused fails if there is a way.
func (b *bench) refused(from, to string) {
	b.t.Helper()
	err := netns.Do(from, func() error {
		c, err := net.DialTimeout("tcp", to, 300*time.Millisecond)
		if err == nil {
			c.Close()
		}
		return err
	})
	if err == nil {
		b.t.Errorf("%s reaches %s", from, to)
	}
}

// alive and cut say whether a connection still carries bytes.
func (b *bench) alive(c net.Conn) {
	b.t.Helper()
	if err := echo(c); err != nil {
		b.t.Errorf("connection to %s: %v", c.RemoteAddr(), err)
	}
}

func (b *bench) cut(c net.Conn) {
	b.t.Helper()
	if err := echo(c); err == nil {
		b.t.Errorf("connection to %s lives on", c.RemoteAddr())
	}
}

func echo(c net.Conn) error {
	c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}
