package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// openstack is Debian's client with nothing but clouds.yaml to go by.
type openstack struct {
	t   *testing.T
	env []string
}

func newOpenstack(c *cloud, cloudName string) *openstack {
	return &openstack{c.t, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.t.TempDir(), "OS_CLIENT_CONFIG_FILE=" + c.clouds(), "OS_CLOUD=" + cloudName}}
}

func (o *openstack) try(args string, more ...string) (string, error) {
	ctx, cancel := context.WithTimeout(o.t.Context(), hang)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openstack", append(strings.Fields(args), more...)...)
	cmd.Env = o.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("openstack %s: %w\n%s", args, err, stderr.String())
	}
	return string(out), err
}

// run runs a command that has to succeed.
func (o *openstack) run(args string, more ...string) string {
	o.t.Helper()
	out, err := o.try(args, more...)
	if err != nil {
		o.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// fields is what a command shows of one thing.
type fields map[string]any

func (o *openstack) show(args string, more ...string) fields {
	o.t.Helper()
	var f fields
	o.decode(o.run(args, append(more, "-f", "json")...), &f)
	return f
}

// list is what a command lists.
func (o *openstack) list(args string, more ...string) []fields {
	o.t.Helper()
	var l []fields
	o.decode(o.run(args, append(more, "-f", "json")...), &l)
	return l
}

func (o *openstack) decode(text string, into any) {
	o.t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		o.t.Fatalf("%v in %q", err, text)
	}
}

// id is a field that has to be a string.
func (f fields) text(name string) string { s, _ := f[name].(string); return s }

// expect checks those fields that want names.
func (o *openstack) expect(what string, got, want fields) {
	o.t.Helper()
	part := fields{}
	for name := range want {
		part[name] = got[name]
	}
	if diff := cmp.Diff(want, part); diff != "" {
		o.t.Errorf("%s (-want +got):\n%s\nall of it: %v", what, diff, got)
	}
}

// listed checks that a list has an entry with these fields.
func (o *openstack) listed(what string, list []fields, want fields) {
	o.t.Helper()
	has := slices.ContainsFunc(list, func(f fields) bool {
		for name, v := range want {
			if !cmp.Equal(f[name], v) {
				return false
			}
		}
		return true
	})
	if !has {
		o.t.Errorf("%s: no %v in %v", what, want, list)
	}
}

func TestOpenStackClient(t *testing.T) { onHost(t, testOpenStackClient, "openstack") }

func testOpenStackClient(t *testing.T) {
	c := newCloud(t)
	c.start()
	o := newOpenstack(c, "weft")
	o.service()
	ext, net, subnet := o.networks()
	router := o.routers(ext, net, subnet)
	group := o.groups()
	port := o.ports(net, group)
	fip := o.floatingIPs(ext, port)
	o.away(fip, port, group, router, subnet, net, ext)
	o.member(c)
}

// service asks for what is there before anything is made.
func (o *openstack) service() {
	if id := o.run("token issue -f value -c id"); id == "" {
		o.t.Error("an empty token")
	}
	extensions := o.list("extension list --network")
	for _, alias := range []string{"router", "security-group", "provider", "external-net", "quotas", "agent", "binding", "standard-attr-tag"} {
		o.listed("extension list", extensions, fields{"Alias": alias})
	}
	o.expect("extension show", o.show("extension show router"), fields{"alias": "router", "name": "Neutron L3 Router"})
	agents := o.list("network agent list")
	for _, kind := range []string{"Linux bridge agent", "DHCP agent", "L3 agent", "Metadata agent"} {
		o.listed("network agent list", agents, fields{"Agent Type": kind, "Alive": true, "State": true})
	}
	o.expect("network agent show", o.show("network agent show "+agents[0].text("ID")), fields{"id": agents[0]["ID"], "binary": agents[0]["Binary"]})
	// "quota show" of this client wants a compute service, whatever it is to show.
	quota := o.list("quota list --network --detail --project " + o.run("token issue -f value -c project_id"))
	o.listed("quota list", quota, fields{"Resource": "networks", "Limit": 100.0, "Reserved": 0.0})
	o.listed("quota list", quota, fields{"Resource": "floating_ips", "Limit": 50.0})
	o.list("availability zone list --network")
}

func (o *openstack) networks() (ext, net, subnet fields) {
	ext = o.show("network create extnet --external --provider-network-type flat --provider-physical-network provider")
	o.expect("network create --external", ext, fields{"name": "extnet", "router:external": true, "provider:network_type": "flat",
		"provider:physical_network": "provider", "status": "ACTIVE", "mtu": 1500.0, "admin_state_up": true})
	o.run("subnet create extsub --network extnet --subnet-range 10.62.227.0/24 --no-dhcp --allocation-pool start=10.62.227.100,end=10.62.227.200")
	net = o.show("network create appnet --provider-network-type vxlan --provider-segment 10 --description", "of the application")
	o.expect("network create", net, fields{"name": "appnet", "provider:segmentation_id": 10.0, "mtu": 1450.0, "shared": false,
		"port_security_enabled": true, "description": "of the application", "subnets": []any{}})
	o.listed("network list", o.list("network list"), fields{"ID": net["id"], "Name": "appnet"})
	o.listed("network list --external", o.list("network list --external --long"), fields{"Name": "extnet", "Network Type": "flat", "Router Type": true})

	subnet = o.show("subnet create appsub --network appnet --subnet-range 10.0.0.0/24 --dns-nameserver 10.62.227.1 --host-route destination=10.8.0.0/16,gateway=10.0.0.254")
	o.expect("subnet create", subnet, fields{"name": "appsub", "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1", "enable_dhcp": true, "ip_version": 4.0,
		"network_id": net["id"], "dns_nameservers": []any{"10.62.227.1"},
		"allocation_pools": []any{map[string]any{"start": "10.0.0.2", "end": "10.0.0.254"}},
		"host_routes":      []any{map[string]any{"destination": "10.8.0.0/16", "nexthop": "10.0.0.254"}}})
	o.listed("subnet list", o.list("subnet list --network appnet"), fields{"ID": subnet["id"], "Subnet": "10.0.0.0/24", "Network": net["id"]})
	o.run("subnet set --name appsub2 --dns-nameserver 10.62.227.2 --no-host-route appsub")
	o.expect("subnet set", o.show("subnet show appsub2"), fields{"name": "appsub2", "dns_nameservers": []any{"10.62.227.2", "10.62.227.1"}, "host_routes": []any{}})
	o.run("network set --name appnet1 --tag blue appnet")
	o.expect("network set", o.show("network show appnet1"), fields{"id": net["id"], "name": "appnet1", "tags": []any{"blue"}, "subnets": []any{subnet["id"]}})
	o.listed("network list --tags", o.list("network list --tags blue"), fields{"Name": "appnet1"})
	return ext, net, subnet
}

func (o *openstack) routers(ext, net, subnet fields) fields {
	r := o.show("router create r1")
	o.expect("router create", r, fields{"name": "r1", "admin_state_up": true, "status": "ACTIVE", "external_gateway_info": nil, "routes": []any{}})
	o.run("router add subnet r1 appsub2")
	o.run("router set --external-gateway extnet r1")
	shown := o.show("router show r1")
	gw, _ := shown["external_gateway_info"].(map[string]any)
	if gw["network_id"] != ext["id"] || gw["enable_snat"] != true {
		o.t.Errorf("router show: external_gateway_info is %v", shown["external_gateway_info"])
	}
	info, _ := shown["interfaces_info"].([]any)
	if len(info) != 1 || !strings.Contains(fmt.Sprint(info), subnet.text("id")) || !strings.Contains(fmt.Sprint(info), "10.0.0.1") {
		o.t.Errorf("router show: interfaces_info is %v", info)
	}
	o.run("router set --route destination=10.9.0.0/24,gateway=10.0.0.9 --name router1 r1")
	if routes := fmt.Sprint(o.show("router show router1")["routes"]); !strings.Contains(routes, "10.9.0.0/24") || !strings.Contains(routes, "10.0.0.9") {
		o.t.Errorf("router set --route: routes are %s", routes)
	}
	o.run("router unset --route destination=10.9.0.0/24,gateway=10.0.0.9 router1")
	o.listed("router list", o.list("router list"), fields{"ID": r["id"], "Name": "router1", "State": true})
	o.listed("port list --router", o.list("port list --router router1 --network appnet1 --long"), fields{"Device Owner": "network:router_interface"})
	return r
}

func (o *openstack) groups() fields {
	g := o.show("security group create web --description servers")
	o.expect("security group create", g, fields{"name": "web", "description": "servers", "stateful": true})
	rule := o.show("security group rule create web --ingress --protocol tcp --dst-port 80:81 --remote-ip 10.0.0.0/8")
	o.expect("security group rule create", rule, fields{"direction": "ingress", "protocol": "tcp", "port_range_min": 80.0, "port_range_max": 81.0,
		"remote_ip_prefix": "10.0.0.0/8", "ether_type": "IPv4", "security_group_id": g["id"]})
	o.expect("security group rule show", o.show("security group rule show "+rule.text("id")), fields{"id": rule["id"], "protocol": "tcp"})
	if rules := o.list("security group rule list web"); len(rules) != 3 { // with the two that let everything out
		o.t.Errorf("security group rule list: %v", rules)
	}
	o.run("security group rule delete " + rule.text("id"))
	if rules := o.list("security group rule list web"); len(rules) != 2 {
		o.t.Errorf("security group rule list after delete: %v", rules)
	}
	o.run("security group set --name web1 web")
	o.listed("security group list", o.list("security group list"), fields{"ID": g["id"], "Name": "web1"})
	o.listed("security group list", o.list("security group list"), fields{"Name": "default"})
	return g
}

func (o *openstack) ports(net, group fields) fields {
	p := o.show("port create p1 --network appnet1 --fixed-ip subnet=appsub2,ip-address=10.0.0.50 --security-group web1")
	o.expect("port create", p, fields{"name": "p1", "network_id": net["id"], "status": "DOWN", "admin_state_up": true, "device_owner": "",
		"security_group_ids": []any{group["id"]}, "binding_vif_type": "unbound", "binding_vnic_type": "normal", "port_security_enabled": true})
	if ips := fmt.Sprint(p["fixed_ips"]); !strings.Contains(ips, "10.0.0.50") {
		o.t.Errorf("port create: fixed_ips are %s", ips)
	}
	if mac := p.text("mac_address"); !strings.HasPrefix(mac, "fa:16:3e:") {
		o.t.Errorf("port create: mac_address is %s", mac)
	}
	o.run("port set --name p2 --description", "a port", "--allowed-address", "ip-address=10.0.0.60", "p1")
	shown := o.show("port show p2")
	o.expect("port set", shown, fields{"id": p["id"], "name": "p2", "description": "a port"})
	if pairs := fmt.Sprint(shown["allowed_address_pairs"]); !strings.Contains(pairs, "10.0.0.60") {
		o.t.Errorf("port set --allowed-address: %s", pairs)
	}
	o.listed("port list", o.list("port list --fixed-ip ip-address=10.0.0.50"), fields{"ID": p["id"], "Name": "p2", "MAC Address": p["mac_address"]})
	return p
}

func (o *openstack) floatingIPs(ext, port fields) fields {
	f := o.show("floating ip create extnet --port p2")
	o.expect("floating ip create", f, fields{"floating_network_id": ext["id"], "port_id": port["id"], "fixed_ip_address": "10.0.0.50"})
	if !strings.HasPrefix(f.text("floating_ip_address"), "10.62.227.") {
		o.t.Errorf("floating ip create: %v", f)
	}
	o.run("floating ip unset --port " + f.text("floating_ip_address"))
	o.expect("floating ip unset", o.show("floating ip show "+f.text("id")), fields{"port_id": nil, "fixed_ip_address": nil, "router_id": nil})
	o.run("floating ip set --port p2 " + f.text("floating_ip_address"))
	o.listed("floating ip list", o.list("floating ip list"), fields{"ID": f["id"], "Floating IP Address": f["floating_ip_address"], "Fixed IP Address": "10.0.0.50", "Port": port["id"]})
	return f
}

// away deletes everything, and checks that deleting in the wrong order is refused.
func (o *openstack) away(fip, port, group, router, subnet, net, ext fields) {
	if _, err := o.try("network delete appnet1"); err == nil || !strings.Contains(err.Error(), "in use") {
		o.t.Errorf("deleting a network in use: %v", err)
	}
	o.run("floating ip delete " + fip.text("id"))
	o.run("port delete p2")
	o.run("security group delete web1")
	o.run("router unset --external-gateway router1")
	o.run("router remove subnet router1 appsub2")
	o.run("router delete router1")
	o.run("subnet delete appsub2")
	o.run("network delete appnet1 extnet")
	for _, args := range []string{"network list", "subnet list", "port list", "router list", "floating ip list"} {
		if left := o.list(args); len(left) != 0 {
			o.t.Errorf("%s after all is deleted: %v", args, left)
		}
	}
	if _, err := o.try("network show " + net.text("id")); err == nil || !strings.Contains(err.Error(), "No Network found for "+net.text("id")) {
		o.t.Errorf("showing what is gone: %v", err)
	}
}

// member does a little as an ordinary user.
func (o *openstack) member(c *cloud) {
	m := newOpenstack(c, "weft-demo")
	n := m.show("network create mine")
	m.expect("network create as a member", n, fields{"name": "mine", "provider:network_type": nil})
	if _, err := m.try("network create ours --share"); err == nil || !strings.Contains(err.Error(), "403") {
		o.t.Errorf("a member shares a network: %v", err)
	}
	o.listed("network list of all projects", o.list("network list"), fields{"Name": "mine"})
	m.run("network delete mine")
}
