package demo

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/client"
	"github.com/weftnet/weft/internal/plug"
)

// topology is what the demonstration has made.
type topology struct {
	networks  []*weft.Network
	subnets   map[string]*weft.Subnet // by CIDR and, after a slash, tenant
	router    *weft.Router
	group     *weft.SecurityGroup
	floating  *weft.FloatingIP
	instances []*instance
}

// instance is a namespace plugged into a port.
type instance struct {
	name      string
	namespace string
	client    *client.Client
	port      *weft.Port
	subnet    *weft.Subnet
	network   *weft.Network
	address   netip.Addr
	lease     plug.Lease
}

func (t *topology) cidrs(network string) []string {
	var out []string
	for _, s := range t.subnets {
		if s.NetworkID == network {
			out = append(out, s.CIDR.String())
		}
	}
	return out
}

func (t *topology) instance(name string) *instance {
	for _, i := range t.instances {
		if i.name == name {
			return i
		}
	}
	return nil
}

// prefix begins the names of everything the demonstration makes beside the
// networks of the published deployment.
const prefix = "weft-demo-"

const tenantRange = "192.168.50.0/24"

func (d *Demo) build(ctx context.Context) error {
	d.t = &topology{subnets: map[string]*weft.Subnet{}}
	for _, step := range []func(context.Context) error{d.external, d.internal, d.routing, d.security, d.tenants, d.plugAll} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// namespace is that of an instance.
func (d *Demo) namespace(instance string) string { return prefix + d.Tag + instance }

func (d *Demo) network(ctx context.Context, c *client.Client, in map[string]any) (*weft.Network, error) {
	n, err := client.Create[weft.Network](ctx, c, "networks", "network", in)
	if err == nil {
		d.t.networks = append(d.t.networks, n)
		fmt.Fprintf(d.Out, "network %s\n", n.Name)
	}
	return n, err
}

func (d *Demo) addSubnet(ctx context.Context, c *client.Client, n *weft.Network, cidr string, more map[string]any) error {
	in := map[string]any{"network_id": n.ID, "name": prefix + cidr, "cidr": cidr, "ip_version": 4}
	for k, v := range more {
		in[k] = v
	}
	s, err := client.Create[weft.Subnet](ctx, c, "subnets", "subnet", in)
	if err == nil {
		d.t.subnets[n.Name+" "+cidr] = s
		fmt.Fprintf(d.Out, "subnet %s on %s\n", cidr, n.Name)
	}
	return err
}

func (d *Demo) external(ctx context.Context) error {
	n, err := d.network(ctx, d.Admin, map[string]any{"name": "extnet", "router:external": true,
		"provider:network_type": "flat", "provider:physical_network": d.Physnet})
	if err != nil {
		return err
	}
	for _, cidr := range []string{"10.62.227.0/24", "10.62.228.0/24"} {
		base := cidr[:len(cidr)-len("0/24")]
		err := d.addSubnet(ctx, d.Admin, n, cidr, map[string]any{"enable_dhcp": false,
			"allocation_pools": []any{map[string]string{"start": base + "100", "end": base + "200"}}})
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Demo) internal(ctx context.Context) error {
	dns := map[string]any{"dns_nameservers": []string{"10.62.227.1"}}
	for _, x := range []struct {
		name  string
		vni   int
		cidrs []string
	}{{"appnet", 10, []string{"10.0.0.0/24", "11.0.0.0/24"}}, {"appnet2", 25, []string{"20.0.0.0/24"}}} {
		n, err := d.network(ctx, d.Admin, map[string]any{"name": x.name, "provider:network_type": "vxlan", "provider:segmentation_id": x.vni})
		if err != nil {
			return err
		}
		for _, cidr := range x.cidrs {
			if err := d.addSubnet(ctx, d.Admin, n, cidr, dns); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Demo) routing(ctx context.Context) error {
	ext := d.t.networks[0]
	r, err := client.Create[weft.Router](ctx, d.Admin, "routers", "router", map[string]any{"name": prefix + "router",
		"external_gateway_info": map[string]any{"network_id": ext.ID,
			"external_fixed_ips": []any{map[string]string{"subnet_id": d.t.subnets["extnet 10.62.227.0/24"].ID}}}})
	if err != nil {
		return err
	}
	for _, key := range []string{"appnet 10.0.0.0/24", "appnet 11.0.0.0/24", "appnet2 20.0.0.0/24"} {
		if err := d.Admin.Put(ctx, "routers/"+r.ID+"/add_router_interface", map[string]string{"subnet_id": d.t.subnets[key].ID}, nil); err != nil {
			return fmt.Errorf("attaching %s to the router: %w", key, err)
		}
	}
	// The gateway address of the second external range is the outside world's, so
	// the router comes in by a port with an address of its own.
	p, err := client.Create[weft.Port](ctx, d.Admin, "ports", "port", map[string]any{"name": prefix + "ext228", "network_id": ext.ID,
		"fixed_ips": []any{map[string]string{"subnet_id": d.t.subnets["extnet 10.62.228.0/24"].ID}}})
	if err != nil {
		return err
	}
	if err := d.Admin.Put(ctx, "routers/"+r.ID+"/add_router_interface", map[string]string{"port_id": p.ID}, nil); err != nil {
		return fmt.Errorf("attaching 10.62.228.0/24 to the router: %w", err)
	}
	d.t.router, err = client.Get[weft.Router](ctx, d.Admin, "routers", "router", r.ID)
	fmt.Fprintf(d.Out, "router %s, gateway %s\n", r.Name, d.t.router.Gateway.ExternalFixedIPs[0].IPAddress)
	return err
}

func (d *Demo) security(ctx context.Context) error {
	g, err := client.Create[weft.SecurityGroup](ctx, d.Admin, "security-groups", "security_group", map[string]any{"name": prefix + "group"})
	if err != nil {
		return err
	}
	d.t.group = g
	_, err = d.rule(ctx, d.Admin, g.ID, "icmp", 0)
	return err
}

// rule admits a protocol from anywhere, to one port unless that is 0.
func (d *Demo) rule(ctx context.Context, c *client.Client, group, protocol string, port int) (*weft.SecurityGroupRule, error) {
	in := map[string]any{"security_group_id": group, "direction": "ingress", "protocol": protocol}
	if port != 0 {
		in["port_range_min"], in["port_range_max"] = port, port
	}
	return client.Create[weft.SecurityGroupRule](ctx, c, "security-group-rules", "security_group_rule", in)
}

// tenants makes the same range twice, for two projects.
func (d *Demo) tenants(ctx context.Context) error {
	for name, c := range map[string]*client.Client{"tenant-a": d.Admin, "tenant-b": d.Member} {
		n, err := d.network(ctx, c, map[string]any{"name": prefix + name})
		if err != nil {
			return err
		}
		if err := d.addSubnet(ctx, c, n, tenantRange, nil); err != nil {
			return err
		}
	}
	return nil
}

func (d *Demo) plugAll(ctx context.Context) error {
	for _, x := range []struct {
		name, network, cidr, address string
		client                       *client.Client
	}{
		{"a1", "appnet", "10.0.0.0/24", "", d.Admin},
		{"a2", "appnet", "10.0.0.0/24", "", d.Admin},
		{"b1", "appnet", "11.0.0.0/24", "", d.Admin},
		{"c1", "appnet2", "20.0.0.0/24", "", d.Admin},
		{"ta1", prefix + "tenant-a", tenantRange, "192.168.50.10", d.Admin},
		{"ta2", prefix + "tenant-a", tenantRange, "192.168.50.11", d.Admin},
		{"tb1", prefix + "tenant-b", tenantRange, "192.168.50.10", d.Member},
		{"tb2", prefix + "tenant-b", tenantRange, "192.168.50.20", d.Member},
	} {
		i := &instance{name: x.name, namespace: d.namespace(x.name), client: x.client, subnet: d.t.subnets[x.network+" "+x.cidr]}
		for _, n := range d.t.networks {
			if n.ID == i.subnet.NetworkID {
				i.network = n
			}
		}
		if err := d.plugOne(ctx, i, x.address); err != nil {
			return err
		}
	}
	return nil
}

func (d *Demo) plugOne(ctx context.Context, i *instance, address string) error {
	fixed := map[string]string{"subnet_id": i.subnet.ID}
	if address != "" {
		fixed["ip_address"] = address
	}
	in := map[string]any{"name": prefix + i.name, "network_id": i.network.ID, "fixed_ips": []any{fixed}}
	if i.client == d.Admin {
		in["security_groups"] = []string{d.t.group.ID}
	}
	p, err := client.Create[weft.Port](ctx, i.client, "ports", "port", in)
	if err != nil {
		return err
	}
	i.address = p.FixedIPs[0].IPAddress
	d.t.instances = append(d.t.instances, i)
	if i.lease, err = d.Plug(ctx, p.ID, i.namespace); err != nil {
		return fmt.Errorf("plugging %s: %w", i.name, err)
	}
	if i.port, err = client.Get[weft.Port](ctx, d.Admin, "ports", "port", p.ID); err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "instance %s in namespace %s: %s\n", i.name, i.namespace, i.address)
	return nil
}

// Delete takes away whatever a demonstration has made, also half of one.
func (d *Demo) Delete(ctx context.Context) error {
	var errs []error
	for _, c := range []*client.Client{d.Admin, d.Member} {
		errs = append(errs, d.deleteAs(ctx, c))
	}
	return errors.Join(errs...)
}

func (d *Demo) deleteAs(ctx context.Context, c *client.Client) error {
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	ours := "project_id=" + c.Project
	ports, err := client.List[weft.Port](ctx, c, "ports", ours)
	note(err)
	fips, err := client.List[weft.FloatingIP](ctx, c, "floatingips", ours+"&description="+url.QueryEscape(prefix+"fip"))
	note(err)
	for _, f := range fips {
		note(c.Delete(ctx, "floatingips", f.ID))
	}
	for _, p := range ports {
		if len(p.Name) > len(prefix) && p.Name[:len(prefix)] == prefix && p.DeviceOwner != weft.OwnerRouterInterface {
			note(d.Unplug(ctx, p.ID, d.namespace(p.Name[len(prefix):])))
			note(c.Delete(ctx, "ports", p.ID))
		}
	}
	note(d.deleteRouters(ctx, c, ours))
	for _, name := range []string{"appnet", "appnet2", prefix + "tenant-a", prefix + "tenant-b", "extnet"} {
		nets, err := client.List[weft.Network](ctx, c, "networks", ours+"&name="+name)
		note(err)
		for _, n := range nets {
			note(c.Delete(ctx, "networks", n.ID))
		}
	}
	groups, err := client.List[weft.SecurityGroup](ctx, c, "security-groups", ours+"&name="+prefix+"group")
	note(err)
	for _, g := range groups {
		note(c.Delete(ctx, "security-groups", g.ID))
	}
	return errors.Join(errs...)
}

func (d *Demo) deleteRouters(ctx context.Context, c *client.Client, ours string) error {
	routers, err := client.List[weft.Router](ctx, c, "routers", ours+"&name="+prefix+"router")
	if err != nil {
		return err
	}
	for _, r := range routers {
		ports, err := client.List[weft.Port](ctx, c, "ports", "device_id="+r.ID+"&device_owner="+weft.OwnerRouterInterface)
		if err != nil {
			return err
		}
		for _, p := range ports {
			if err := c.Put(ctx, "routers/"+r.ID+"/remove_router_interface", map[string]string{"port_id": p.ID}, nil); err != nil {
				return err
			}
		}
		if err := c.Delete(ctx, "routers", r.ID); err != nil {
			return err
		}
	}
	return nil
}
