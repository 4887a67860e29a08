package firewall

import (
	"fmt"
	"net"
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

// A guest that knows the MAC of its bridge does not reach the host by it, whatever
// address of the host it names, where the network is tenants' alone.
func TestHostIsNotOnTenantsNetworks(t *testing.T) {
	w := newWorld(t, netA)
	a := w.vm("a", netA, "10.0.0.1", 1)
	a.port.PortSecurity = false
	br, err := w.handle().ByName(host.BridgeName(netA))
	w.must(err)
	w.run("ip addr add 192.0.2.1/32 dev lo")
	t.Cleanup(func() { w.run("ip addr del 192.0.2.1/32 dev lo") })
	w.run("ip -n %s neigh add 10.0.0.100 lladdr %s dev eth0", a.ns, br.MAC)
	w.run("ip -n %s route add 192.0.2.1 via 10.0.0.100", a.ns)
	server, err := net.ListenPacket("udp", "192.0.2.1:4242")
	w.must(err)
	defer server.Close()
	for i, typ := range []string{weft.TypeLocal, weft.TypeVXLAN, weft.TypeLocal} {
		w.state.Networks[0].Segment = host.Segment{Type: typ, ID: 7}
		w.converge()
		w.must(netns.Do(a.ns, func() error {
			c, err := net.Dial("udp", "192.0.2.1:4242")
			if err == nil {
				_, err = fmt.Fprint(c, i)
			}
			return err
		}))
	}
	b := make([]byte, 10)
	for _, want := range []string{"0", "2"} {
		n, _, err := server.ReadFrom(b)
		if w.must(err); string(b[:n]) != want {
			t.Errorf("the host has received %s instead of %s", b[:n], want)
		}
	}
}

// A tap that somebody has put on a bridge of ours passes nothing before it is known
// whose port it is.
func TestTapOfNobody(t *testing.T) {
	w := newWorld(t, "net00000-0000")
	a, b := w.vm("a", "net00000-0000", "10.0.0.1", 1, "all"), w.vm("b", "net00000-0000", "10.0.0.2", 2, "all")
	c := w.vm("c", "net00000-0000", "10.0.0.3", 3, "all")
	b.port.PortSecurity = false
	all := host.Group{ID: "all", Stateful: true, Rules: append(anyEgress(),
		host.Rule{ID: "i", Ingress: true, Protocol: -1, Min: -1, Max: -1})}
	delete(w.vms, "a")
	w.converge(all)
	a.send(a.udp(b, 1, 2, "from-nobody"))
	if c.sawBeforeControl(b, "from-nobody") {
		t.Error("a packet from it passes")
	}
	b.send(b.udp(a, 1, 2, "to-nobody"))
	w.vms["a"] = a
	w.converge(all)
	if b.sawBeforeControl(a, "to-nobody") {
		t.Error("a packet to it passes")
	}
	if !a.arrives(b, a.udp(b, 1, 2, "from-a"), "from-a") || !b.arrives(a, b.udp(a, 1, 2, "to-a"), "to-a") {
		t.Error("once known it passes nothing")
	}
}
