package e2e

import (
	"fmt"
	"net/netip"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/client"
)

// The namespace that stands for the outside world, and its address.
const outside = "weft-outside"

var outsideAddress = netip.MustParseAddr("203.0.113.1")

// small is a little cloud: two networks behind a router with a gateway, and
// instances a and b on the first, c on the second. a has a floating IP.
type small struct {
	client   *client.Client
	networks []*weft.Network
	router   *weft.Router
	group    *weft.SecurityGroup
	ports    map[string]*weft.Port // by instance, whose namespace has its name
	floating netip.Addr
}

// address is the fixed address of an instance.
func (s *small) address(instance string) netip.Addr { return s.ports[instance].FixedIPs[0].IPAddress }

// buildSmall makes the little cloud and plugs its instances.
func buildSmall(c *cloud) *small {
	c.t.Helper()
	s := &small{client: c.connect("weft"), ports: map[string]*weft.Port{}}
	ext := create[weft.Network](c, s.client, "networks", "network", map[string]any{"name": "ext", "router:external": true,
		"provider:network_type": "flat", "provider:physical_network": "provider"})
	create[weft.Subnet](c, s.client, "subnets", "subnet", map[string]any{"network_id": ext.ID, "ip_version": 4, "enable_dhcp": false,
		"cidr": "203.0.113.0/24", "gateway_ip": outsideAddress.String()})
	s.router = create[weft.Router](c, s.client, "routers", "router", map[string]any{"name": "r",
		"external_gateway_info": map[string]any{"network_id": ext.ID}})
	s.group = create[weft.SecurityGroup](c, s.client, "security-groups", "security_group", map[string]any{"name": "open"})
	for _, protocol := range []string{"icmp", "tcp"} {
		create[weft.SecurityGroupRule](c, s.client, "security-group-rules", "security_group_rule",
			map[string]any{"security_group_id": s.group.ID, "direction": "ingress", "protocol": protocol})
	}
	for i := range 2 {
		n := create[weft.Network](c, s.client, "networks", "network", map[string]any{"name": fmt.Sprintf("net%d", i)})
		sub := create[weft.Subnet](c, s.client, "subnets", "subnet", map[string]any{"network_id": n.ID, "ip_version": 4, "cidr": fmt.Sprintf("10.%d.0.0/24", i+1)})
		if err := s.client.Put(c.t.Context(), "routers/"+s.router.ID+"/add_router_interface", map[string]string{"subnet_id": sub.ID}, nil); err != nil {
			c.t.Fatal(err)
		}
		s.networks = append(s.networks, n)
	}
	s.plug(c, "a", 0)
	s.plug(c, "b", 0)
	s.plug(c, "c", 1)
	f := create[weft.FloatingIP](c, s.client, "floatingips", "floatingip", map[string]any{"floating_network_id": ext.ID, "port_id": s.ports["a"].ID})
	s.floating = f.FloatingIPAddress.Addr
	return s
}

// plug makes a port for an instance on one of the networks, and plugs it.
func (s *small) plug(c *cloud, instance string, network int) {
	c.t.Helper()
	p := create[weft.Port](c, s.client, "ports", "port", map[string]any{"name": instance, "network_id": s.networks[network].ID, "security_groups": []string{s.group.ID}})
	c.must("plug", "--port", p.ID, "--netns", instance)
	s.ports[instance] = p
}
