package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// named is any noun of an API.
type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// portDoc is what the scenarios read of a port.
type portDoc struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	NetworkID  string         `json:"network_id"`
	MAC        string         `json:"mac_address"`
	Status     string         `json:"status"`
	DeviceID   string         `json:"device_id"`
	HostID     string         `json:"binding:host_id"`
	VIFType    string         `json:"binding:vif_type"`
	VIFDetails map[string]any `json:"binding:vif_details"`
	Profile    map[string]any `json:"binding:profile"`
	FixedIPs   []struct {
		IPAddress string `json:"ip_address"`
	} `json:"fixed_ips"`
}

// tap is the name of the port's interface on its host.
func (p portDoc) tap() string { return "tap" + p.ID[:11] }

// create makes a noun of the Networking API.
func create[T any](ctx context.Context, by *caller, collection, noun string, in map[string]any) (T, error) {
	var out map[string]T
	err := by.do(ctx, "POST", networkURL+"/v2.0/"+collection, map[string]any{noun: in}, &out)
	return out[noun], err
}

// list reads the nouns that a query selects.
func list[T any](ctx context.Context, by *caller, collection, query string) ([]T, error) {
	var out map[string][]T
	err := by.do(ctx, "GET", networkURL+"/v2.0/"+collection+"?"+query, nil, &out)
	_, noun := path.Split(strings.ReplaceAll(collection, "-", "_"))
	return out[noun], err
}

// get reads a noun.
func get[T any](ctx context.Context, by *caller, collection, noun, id string) (T, error) {
	var out map[string]T
	err := by.do(ctx, "GET", networkURL+"/v2.0/"+collection+"/"+id, nil, &out)
	return out[noun], err
}

// remove deletes a noun of the Networking API; one that is not there counts as deleted.
func remove(ctx context.Context, by *caller, collection, id string) error {
	err := by.do(ctx, "DELETE", networkURL+"/v2.0/"+collection+"/"+id, nil, nil)
	if refused(err, 404) {
		return nil
	}
	return err
}

// ensure is the id of the noun of that name, which is made if it is not there.
func ensure(ctx context.Context, by *caller, collection, noun, name string, in map[string]any) (string, error) {
	there, err := list[named](ctx, by, collection, "name="+url.QueryEscape(name))
	if err != nil {
		return "", err
	}
	if len(there) > 0 {
		return there[0].ID, nil
	}
	in["name"] = name
	made, err := create[named](ctx, by, collection, noun, in)
	return made.ID, err
}

// cloud is what an operator and a project have before they boot servers.
type cloud struct {
	public, private, subnet, router, group string
	image, flavor, larger                  string
}

// cloud makes, or finds, a network to the outside, a project's network with a router,
// a group of rules that lets ping and HTTP in, flavors, and the guest's image.
func (s *stack) cloud(ctx context.Context) (cloud, error) {
	var c cloud
	var failed []error
	net := func(into *string, by *caller, collection, noun, name string, in map[string]any) {
		if len(failed) > 0 {
			return
		}
		id, err := ensure(ctx, by, collection, noun, name, in)
		if err != nil {
			failed = append(failed, err)
		}
		*into = id
	}
	var ignored string
	net(&c.public, s.admin, "networks", "network", "public", map[string]any{"router:external": true,
		"provider:network_type": "flat", "provider:physical_network": "public"})
	net(&ignored, s.admin, "subnets", "subnet", "public4",
		map[string]any{"network_id": c.public, "ip_version": 4, "cidr": outsideRange,
			"gateway_ip": outsideAddress, "enable_dhcp": false})
	net(&c.private, s.demo, "networks", "network", "private", map[string]any{})
	net(&c.subnet, s.demo, "subnets", "subnet", "private4",
		map[string]any{"network_id": c.private, "ip_version": 4, "cidr": "10.0.0.0/24"})
	net(&c.router, s.demo, "routers", "router", "router1",
		map[string]any{"external_gateway_info": map[string]any{"network_id": c.public}})
	net(&c.group, s.demo, "security-groups", "security_group", "web", map[string]any{})
	if len(failed) > 0 {
		return c, failed[0]
	}
	if err := s.cloudRules(ctx, c); err != nil {
		return c, err
	}
	var err error
	if c.image, err = s.guestImage(ctx); err != nil {
		return c, err
	}
	if c.flavor, err = s.ensureFlavor(ctx, "guest", 128); err != nil {
		return c, err
	}
	c.larger, err = s.ensureFlavor(ctx, "larger", 160)
	return c, err
}

// cloudRules connects the subnet to the router and lets ping and HTTP in.
func (s *stack) cloudRules(ctx context.Context, c cloud) error {
	ports, err := list[portDoc](ctx, s.demo, "ports", "device_id="+c.router+"&network_id="+c.private)
	if err != nil {
		return err
	}
	if len(ports) > 0 {
		return nil
	}
	if err := s.demo.do(ctx, "PUT", networkURL+"/v2.0/routers/"+c.router+"/add_router_interface",
		map[string]any{"subnet_id": c.subnet}, nil); err != nil {
		return err
	}
	for _, rule := range []map[string]any{{"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80}} {
		rule["security_group_id"], rule["direction"] = c.group, "ingress"
		if _, err := create[named](ctx, s.demo, "security-group-rules", "security_group_rule", rule); err != nil {
			return err
		}
	}
	return nil
}

func (s *stack) ensureFlavor(ctx context.Context, name string, ram int) (string, error) {
	var all struct{ Flavors []named }
	if err := s.admin.do(ctx, "GET", novaURL+"/flavors", nil, &all); err != nil {
		return "", err
	}
	for _, f := range all.Flavors {
		if f.Name == name {
			return f.ID, nil
		}
	}
	var made struct{ Flavor named }
	err := s.admin.do(ctx, "POST", novaURL+"/flavors",
		map[string]any{"flavor": map[string]any{"name": name, "ram": ram, "vcpus": 1, "disk": 1}}, &made)
	return made.Flavor.ID, err
}

// guestImage is the id of the image of the guest: a disk with nothing on it, a kernel
// and an initramfs.
func (s *stack) guestImage(ctx context.Context) (string, error) {
	var all struct{ Images []named }
	if err := s.admin.do(ctx, "GET", glanceURL+"/v2/images?name=guest", nil, &all); err != nil {
		return "", err
	}
	if len(all.Images) > 0 {
		return all.Images[0].ID, nil
	}
	kernel, err := s.upload(ctx, "guest-kernel", "aki", nil)
	if err != nil {
		return "", err
	}
	initramfs, err := s.upload(ctx, "guest-initramfs", "ari", nil)
	if err != nil {
		return "", err
	}
	return s.upload(ctx, "guest", "raw", map[string]any{"kernel_id": kernel, "ramdisk_id": initramfs,
		"os_command_line": "console=ttyS0 quiet mitigations=off random.trust_cpu=on"})
}

func (s *stack) upload(ctx context.Context, name, format string, properties map[string]any) (string, error) {
	data := make([]byte, 1<<20)
	container := "bare"
	if format != "raw" {
		container = format
		file := map[string]string{"aki": "kernel", "ari": "initramfs"}[format]
		var err error
		if data, err = os.ReadFile(filepath.Join(s.dir, "guest", file)); err != nil {
			return "", err
		}
	}
	in := map[string]any{"name": name, "disk_format": format, "container_format": container, "visibility": "public"}
	for k, v := range properties {
		in[k] = v
	}
	var made named
	if err := s.admin.do(ctx, "POST", glanceURL+"/v2/images", in, &made); err != nil {
		return "", err
	}
	err := s.admin.do(ctx, "PUT", glanceURL+"/v2/images/"+made.ID+"/file", bytes.NewReader(data), nil)
	if err != nil {
		err = fmt.Errorf("uploading %s: %w", name, err)
	}
	return made.ID, err
}

// float gives a port, or for "" nobody yet, an address out there, which it is.
func (t *trial) float(ctx context.Context, c cloud, port string) (string, error) {
	type floatingIP struct {
		ID      string `json:"id"`
		Address string `json:"floating_ip_address"`
	}
	in := map[string]any{"floating_network_id": c.public}
	if port != "" {
		in["port_id"] = port
	}
	made, err := create[floatingIP](ctx, t.demo, "floatingips", "floatingip", in)
	if err != nil {
		return "", err
	}
	t.later(func(ctx context.Context) error { return remove(ctx, t.demo, "floatingips", made.ID) })
	return made.Address, nil
}

// theirPort is the only port of a server.
func (s *stack) theirPort(ctx context.Context, server string) (portDoc, error) {
	ports, err := list[portDoc](ctx, s.admin, "ports", "device_id="+server)
	if err == nil && len(ports) != 1 {
		err = fmt.Errorf("server %s has %d ports", server, len(ports))
	}
	if err != nil {
		return portDoc{}, err
	}
	return ports[0], nil
}
