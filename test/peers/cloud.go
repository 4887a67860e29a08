package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/client"
)

// patience is how long weft may take to become ready, or to end.
const patience = time.Minute

// configuration is what upstream's jobs configure for these suites.
const configuration = `[DEFAULT]
dns_domain = openstackgate.local.
[ml2_type_vlan]
network_vlan_ranges = public,foo:1:10
[ml2_type_vxlan]
vni_ranges = 1:2000
[quotas]
quota_floatingip = 500
quota_router = 100
quota_security_group = 150
quota_security_group_rule = 1000
`

// cloud is a running weft, furnished as DevStack leaves a cloud: that is what the
// suites are written for.
type cloud struct {
	dir      string
	log      string
	cmd      *exec.Cmd
	ended    chan struct{}
	clouds   client.Clouds
	external string   // id of the network "public"
	private  string   // id of the network of that name, which is the demo project's
	aliases  []string // of the extensions it announces
}

// startCloud starts weft with its state in dir and what it prints in the file log.
func startCloud(ctx context.Context, program, dir, log string) (*cloud, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "ip", "link", "add", "public0", "type", "veth", "peer", "name", "public1").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ip link add: %w: %s", err, out)
	}
	c := &cloud{dir: dir, log: log, ended: make(chan struct{})}
	if err := c.start(program); err != nil {
		return nil, err
	}
	err := c.ready(ctx)
	if err == nil {
		err = c.furnish(ctx)
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

func (c *cloud) start(program string) error {
	conf := filepath.Join(c.dir, "weft.conf")
	if err := os.WriteFile(conf, []byte(configuration), 0o600); err != nil {
		return err
	}
	out, err := os.Create(c.log)
	if err != nil {
		return err
	}
	defer out.Close()
	c.cmd = exec.Command(program, "up", "--config", conf, "--state-dir", filepath.Join(c.dir, "state"), "--physnet", "public:public0")
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("starting weft: %w", err)
	}
	go func() {
		c.cmd.Wait()
		close(c.ended)
	}()
	return nil
}

func (c *cloud) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		said, err := os.ReadFile(c.log)
		if err == nil && bytes.Contains(said, []byte("weft: ready")) {
			return nil
		}
		select {
		case <-c.ended:
			return fmt.Errorf("weft ended: %v\n%s", c.cmd.ProcessState, said)
		case <-ctx.Done():
			return fmt.Errorf("weft does not become ready: %w\n%s", ctx.Err(), said)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends weft, if need be by force.
func (c *cloud) stop() {
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(patience):
		c.cmd.Process.Kill()
		<-c.ended
	}
}

// broken is what weft did that it must not do, whatever it was asked.
func (c *cloud) broken() []string {
	select {
	case <-c.ended:
		return []string{fmt.Sprintf("weft ended: %v", c.cmd.ProcessState)}
	default:
	}
	f, err := os.Open(c.log)
	if err != nil {
		return []string{err.Error()}
	}
	defer f.Close()
	var out []string
	for in := bufio.NewScanner(f); in.Scan(); {
		if line := in.Text(); strings.Contains(line, `msg="request failed"`) {
			out = append(out, "weft: "+line)
		}
	}
	return out
}

// furnish makes what DevStack makes: an external network, subnet pools to take
// subnets from, a network of the demo project's own.
func (c *cloud) furnish(ctx context.Context) error {
	var err error
	if c.clouds, err = client.ReadClouds(filepath.Join(c.dir, "state", "clouds.yaml")); err != nil {
		return err
	}
	admin, err := client.Connect(ctx, filepath.Join(c.dir, "state", "clouds.yaml"), "weft")
	if err != nil {
		return err
	}
	if err := c.ask(ctx, admin); err != nil {
		return err
	}
	demo, err := client.Connect(ctx, filepath.Join(c.dir, "state", "clouds.yaml"), "weft-demo")
	if err != nil {
		return err
	}
	public, err := client.Create[weft.Network](ctx, admin, "networks", "network", map[string]any{
		"name": "public", "router:external": true, "is_default": true, "provider:network_type": "flat", "provider:physical_network": "public"})
	if err != nil {
		return err
	}
	c.external = public.ID
	private, err := client.Create[weft.Network](ctx, demo, "networks", "network", map[string]any{"name": "private"})
	if err != nil {
		return err
	}
	c.private = private.ID
	for _, s := range []struct {
		by *client.Client
		in map[string]any
	}{
		{admin, map[string]any{"name": "public-subnet", "network_id": public.ID, "ip_version": 4, "cidr": "172.24.4.0/24", "enable_dhcp": false}},
		{admin, map[string]any{"name": "ipv6-public-subnet", "network_id": public.ID, "ip_version": 6, "cidr": "2001:db8::/64", "gateway_ip": "2001:db8::2", "enable_dhcp": false}},
		{demo, map[string]any{"name": "private-subnet", "network_id": private.ID, "ip_version": 4, "cidr": "10.0.0.0/26"}},
	} {
		if _, err := client.Create[weft.Subnet](ctx, s.by, "subnets", "subnet", s.in); err != nil {
			return err
		}
	}
	for name, in := range map[string]map[string]any{
		"shared-default-subnetpool-v4": {"prefixes": []string{"10.0.0.0/22"}, "default_prefixlen": 26},
		"shared-default-subnetpool-v6": {"prefixes": []string{"fd5e:f00d::/56"}, "default_prefixlen": 64},
	} {
		in["name"], in["shared"], in["is_default"] = name, true, true
		if _, err := client.Create[weft.SubnetPool](ctx, admin, "subnetpools", "subnetpool", in); err != nil {
			return err
		}
	}
	return nil
}

// ask looks up which extensions are announced.
func (c *cloud) ask(ctx context.Context, by *client.Client) error {
	type extension struct{ Alias string }
	all, err := client.List[extension](ctx, by, "extensions", "")
	for _, e := range all {
		c.aliases = append(c.aliases, e.Alias)
	}
	return err
}

// admin is how its administrator logs in.
func (c *cloud) admin() client.Auth { return c.clouds.Clouds["weft"].Auth }

// devstackClouds writes a clouds.yaml with the names that DevStack gives its users,
// and returns its path.
func (c *cloud) devstackClouds() (string, error) {
	entry := func(name string, scope map[string]string) map[string]any {
		from := c.clouds.Clouds[name]
		auth := map[string]string{"auth_url": from.Auth.AuthURL, "username": from.Auth.Username, "password": from.Auth.Password,
			"user_domain_id": "default"}
		maps.Copy(auth, scope)
		return map[string]any{"auth": auth, "region_name": from.RegionName, "identity_api_version": 3}
	}
	in := func(name string) map[string]any {
		return entry(name, map[string]string{"project_name": c.clouds.Clouds[name].Auth.ProjectName, "project_domain_id": "default"})
	}
	all := map[string]any{"devstack-admin": in("weft"), "devstack": in("weft-demo"), "devstack-alt": in("weft-demo"),
		"devstack-system-admin": entry("weft", map[string]string{"system_scope": "all"})}
	data, err := yaml.Marshal(map[string]any{"clouds": all})
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, "clouds.yaml")
	return path, os.WriteFile(path, data, 0o600)
}
