package e2e

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/client"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// TestPortForwarding makes port forwardings as a user does, and connects to them from
// outside of the cloud.
func TestPortForwarding(t *testing.T) { onHost(t, testPortForwarding, "ip", "bridge", "nft") }

func testPortForwarding(t *testing.T) {
	c := newCloud(t)
	c.verbose = true
	c.start()
	s := buildSmall(c)
	f := create[weft.FloatingIP](c, s.client, "floatingips", "floatingip", map[string]any{"floating_network_id": s.router.Gateway.NetworkID})
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(f.FloatingIPAddress.Addr, port) }
	before := c.settledKernel()
	path := "floatingips/" + f.ID + "/port_forwardings"
	forward := func(attrs map[string]any) *weft.PortForwarding {
		attrs["internal_port_id"], attrs["internal_ip_address"], attrs["protocol"] = s.ports["c"].ID, s.address("c").String(), "tcp"
		return create[weft.PortForwarding](c, s.client, path, "port_forwarding", attrs)
	}
	one := forward(map[string]any{"external_port": 8000, "internal_port": 7000})
	several := forward(map[string]any{"external_port_range": "9000:9002", "internal_port_range": "7100:7102"})
	streams := []*stream{
		startForwarded(t, "by a forwarded port", at(8000), "c", 7000),
		startForwarded(t, "by the first of several", at(9000), "c", 7100),
		startForwarded(t, "by the last of several", at(9002), "c", 7102),
	}
	s.awaitStatus(c, f.ID, weft.StatusActive)
	if out, err := outputIn("qrouter-"+s.router.ID, "ip -4 -o address show"); err != nil || !strings.Contains(out, f.FloatingIPAddress.String()+"/32") {
		t.Errorf("the router has not got the address: %v\n%s", err, out)
	}

	c.stop()
	during := c.settledKernel()
	passes := c.passes()
	c.start()
	c.waitFor("a full pass after the restart", func() bool { return c.passes() > passes })
	progress(c, streams, "when started again")
	if diff := cmp.Diff(during, c.settledKernel()); diff != "" {
		t.Errorf("the restart touched the kernel (-before +after):\n%s", diff)
	}

	// It leads to another port: who came before is cut off, who comes after gets there.
	if _, err := client.Update[weft.PortForwarding](t.Context(), s.client, path, "port_forwarding", one.ID, map[string]any{"internal_port": 7001}); err != nil {
		t.Fatal(err)
	}
	await(t, "the stream by a port that leads elsewhere", streams[0])
	streams[0] = startForwarded(t, "by a port that leads elsewhere", at(8000), "c", 7001)
	progress(c, streams[1:], "while another was changed")

	for _, id := range []string{one.ID, several.ID} {
		if err := s.client.Delete(t.Context(), path, id); err != nil {
			t.Fatal(err)
		}
	}
	for _, st := range streams {
		await(t, "the stream "+st.what, st)
	}
	c.waitFor("everything to be as before", func() bool { return cmp.Equal(before, c.settledKernel()) })
	s.awaitStatus(c, f.ID, weft.StatusDown)
}

// awaitStatus waits for the status of a floating IP.
func (s *small) awaitStatus(c *cloud, id, want string) {
	c.t.Helper()
	c.waitFor("the floating IP to be "+want, func() bool {
		f, err := client.Get[weft.FloatingIP](c.t.Context(), s.client, "floatingips", "floatingip", id)
		return err == nil && f.Status == want
	})
}

// startForwarded is a stream from outside that arrives at another port than it is sent
// to.
func startForwarded(t *testing.T, what string, to netip.AddrPort, server string, port uint16) *stream {
	t.Helper()
	echo(t, server, port)
	return connect(t, what, outside, to)
}

// await waits until a stream breaks, as it has to.
func await(t *testing.T, what string, s *stream) {
	t.Helper()
	select {
	case err := <-s.done:
		if err == nil {
			t.Errorf("%s ended by itself", what)
		}
	case <-time.After(hang):
		t.Errorf("%s does not end", what)
	}
}

// TestNDPProxy publishes IPv6 addresses of instances to an outside that takes their
// subnet for one on its own link.
func TestNDPProxy(t *testing.T) { onHost(t, testNDPProxy, "ip", "bridge", "nft") }

func testNDPProxy(t *testing.T) {
	c := newCloud(t)
	c.verbose = true
	c.start()
	s := buildSmall(c)
	s.addIPv6(c)
	create[weft.SecurityGroupRule](c, s.client, "security-group-rules", "security_group_rule",
		map[string]any{"security_group_id": s.group.ID, "direction": "ingress", "ethertype": "IPv6", "protocol": "tcp"})
	s.plug(c, "d", 1)
	s.plug(c, "e", 1)
	for _, instance := range []string{"d", "e"} {
		for _, command := range []string{"addr add " + s.address6(instance).String() + "/64 dev eth0 nodad", "route add default via 2001:db8:2::1"} {
			if _, err := outputIn(instance, "ip -6 "+command); err != nil {
				t.Fatal(err)
			}
		}
		echo(t, instance, 7000)
	}
	if _, err := outputIn(outside, "ip -6 route add 2001:db8:2::/64 dev eth0 proto 99"); err != nil {
		t.Fatal(err)
	}
	proxy := func(on bool) {
		if _, err := client.Update[weft.Router](t.Context(), s.client, "routers", "router", s.router.ID, map[string]any{"enable_ndp_proxy": on}); err != nil {
			t.Fatal(err)
		}
	}
	proxy(true)
	d := create[weft.NDPProxy](c, s.client, "ndp_proxies", "ndp_proxy", map[string]any{"router_id": s.router.ID, "port_id": s.ports["d"].ID})
	published := connect(t, "to a published address", outside, netip.AddrPortFrom(s.address6("d"), 7000))
	if proxied := s.proxied(t); proxied != s.address6("d").String() {
		t.Errorf("published is %q", proxied)
	}
	unreachable(t, netip.AddrPortFrom(s.address6("e"), 7000))

	c.kill()
	during := c.settledKernel()
	passes := c.passes()
	c.start()
	c.waitFor("a full pass after the restart", func() bool { return c.passes() > passes })
	progress(c, []*stream{published}, "when started again")
	if diff := cmp.Diff(during, c.settledKernel()); diff != "" {
		t.Errorf("the restart touched the kernel (-before +after):\n%s", diff)
	}

	// Less is published, nothing, and the same again.
	e := create[weft.NDPProxy](c, s.client, "ndp_proxies", "ndp_proxy", map[string]any{"router_id": s.router.ID, "port_id": s.ports["e"].ID})
	connect(t, "to one that was published later", outside, netip.AddrPortFrom(s.address6("e"), 7000))
	if err := s.client.Delete(t.Context(), "ndp_proxies", d.ID); err != nil {
		t.Fatal(err)
	}
	c.waitFor("an address to be no longer published", func() bool { return s.proxied(t) == s.address6("e").String() })
	unreachable(t, netip.AddrPortFrom(s.address6("d"), 7000))
	one := c.settledKernel()
	proxy(false)
	c.waitFor("nothing to be published", func() bool { return s.proxied(t) == "" && !s.has(t, "weft-published") })
	if _, err := outputIn(outside, "ip -6 neigh flush dev eth0"); err != nil { // it still knows whom to send it to
		t.Fatal(err)
	}
	unreachable(t, netip.AddrPortFrom(s.address6("e"), 7000))
	proxy(true)
	c.waitFor("everything to be as before", func() bool { return cmp.Equal(one, c.settledKernel()) })
	if err := s.client.Delete(t.Context(), "ndp_proxies", e.ID); err != nil {
		t.Fatal(err)
	}
	c.waitFor("nothing to be published", func() bool { return s.proxied(t) == "" })
}

// has reports whether the router has a table of nftables.
func (s *small) has(t *testing.T, table string) bool {
	t.Helper()
	out, err := outputIn("qrouter-"+s.router.ID, "nft list tables")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(out, table)
}

// addIPv6 gives the external network and the second one a subnet each of one address
// scope, and the router a gateway that has an address of the former.
func (s *small) addIPv6(c *cloud) {
	c.t.Helper()
	scope := create[weft.AddressScope](c, s.client, "address-scopes", "address_scope", map[string]any{"name": "six", "ip_version": 6})
	pool := create[weft.SubnetPool](c, s.client, "subnetpools", "subnetpool",
		map[string]any{"name": "six", "address_scope_id": scope.ID, "prefixes": []string{"2001:db8::/32"}, "default_prefixlen": 64})
	subnet := func(network, cidr string) *weft.Subnet {
		return create[weft.Subnet](c, s.client, "subnets", "subnet", map[string]any{"network_id": network, "ip_version": 6, "subnetpool_id": pool.ID,
			"cidr": cidr, "gateway_ip": strings.Replace(cidr, "::/64", "::1", 1)})
	}
	ext := s.router.Gateway.NetworkID
	outer, inner := subnet(ext, "2001:db8:e::/64"), subnet(s.networks[1].ID, "2001:db8:2::/64")
	if err := s.client.Put(c.t.Context(), "routers/"+s.router.ID+"/add_router_interface", map[string]string{"subnet_id": inner.ID}, nil); err != nil {
		c.t.Fatal(err)
	}
	ips := []map[string]string{{"subnet_id": outer.ID}}
	for _, ip := range s.router.Gateway.ExternalFixedIPs {
		ips = append(ips, map[string]string{"subnet_id": ip.SubnetID, "ip_address": ip.IPAddress.String()})
	}
	_, err := client.Update[weft.Router](c.t.Context(), s.client, "routers", "router", s.router.ID,
		map[string]any{"external_gateway_info": map[string]any{"network_id": ext, "external_fixed_ips": ips}})
	if err != nil {
		c.t.Fatal(err)
	}
}

// address6 is the IPv6 address of an instance.
func (s *small) address6(instance string) netip.Addr {
	for _, ip := range s.ports[instance].FixedIPs {
		if ip.IPAddress.Is6() {
			return ip.IPAddress
		}
	}
	return netip.Addr{}
}

// proxied is the addresses that the router answers for.
func (s *small) proxied(t *testing.T) string {
	t.Helper()
	out, err := outputIn("qrouter-"+s.router.ID, "ip -6 neigh show proxy")
	if err != nil {
		t.Fatal(err)
	}
	var addrs []string
	for line := range strings.Lines(out) {
		addrs = append(addrs, strings.Fields(line)[0])
	}
	return strings.Join(addrs, " ")
}

// unreachable fails if there is an answer from an address, which there would be at
// once.
func unreachable(t *testing.T, to netip.AddrPort) {
	t.Helper()
	err := netns.Do(outside, func() error {
		conn, err := net.DialTimeout("tcp", to.String(), time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
	if err == nil {
		t.Errorf("%s is reached", to)
	}
}
