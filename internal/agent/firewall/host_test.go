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
