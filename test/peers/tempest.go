package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// tempest is tests that the program tempest runs: its own or those of a plugin.
type tempest struct{ suite, regex string }

// tempestWorkers is more than there are processors: Debian's tempest waits ten
// seconds before it deletes a subnet, so that most of its time is spent waiting.
const tempestWorkers = 24

func (t tempest) name() string { return t.suite }

func (t tempest) prepare(context.Context, string) error { return has("tempest") }

// discovery is how stestr finds the tests, which a plugin adds its own to; those of
// a class are run one after the other, but those of the classes that wait for minutes.
const discovery = `[DEFAULT]
test_path=` + packages + `/tempest/test_discover
top_dir=` + packages + `/tempest
group_regex=.*\.(NetworksTestDHCPv6|test_ports\.Ports|test_routers\.Routers).*|([^\.]*\.)*
`

func (t tempest) play(ctx context.Context, c *cloud, w work) error {
	for name, text := range map[string]string{".stestr.conf": discovery, "tempest.conf": t.config(c, w.dir)} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	regex := t.regex
	if w.only != "" {
		regex = w.only
	}
	cmd := w.command(ctx, []string{"TEMPEST_CONFIG=" + filepath.Join(w.dir, "tempest.conf")}, "tempest", "run",
		"--regex", regex, "--concurrency", fmt.Sprint(tempestWorkers))
	return runStestr(cmd, w)
}

// config is a tempest.conf as DevStack writes it for a cloud of Keystone and Neutron
// alone: users are made as they are needed, the extensions announced are tested.
func (t tempest) config(c *cloud, dir string) string {
	a := c.admin()
	return fmt.Sprintf(`[DEFAULT]
log_file = tempest.log
log_dir = %[1]s
[oslo_concurrency]
lock_path = %[1]s/locks
[auth]
use_dynamic_credentials = true
create_isolated_networks = true
admin_username = %[2]s
admin_password = %[3]s
admin_project_name = %[4]s
admin_domain_name = %[5]s
tempest_roles = member
[identity]
uri_v3 = %[6]s
auth_version = v3
region = RegionOne
default_domain_id = default
[identity-feature-enabled]
api_v2 = false
[service_available]
neutron = true
nova = false
glance = false
cinder = false
swift = false
horizon = false
[network]
public_network_id = %[7]s
floating_network_name = public
default_network = 10.0.0.0/8
[network-feature-enabled]
api_extensions = %[8]s
available_features = ipv4_metadata,ipv6_metadata
ipv6_subnet_attributes = true
port_admin_state_change = true
[neutron_plugin_options]
available_type_drivers = flat,vlan,local,vxlan
provider_vlans = foo
agent_availability_zone = nova
q_agent = linuxbridge
create_shared_resources = true
`, dir, a.Username, a.Password, a.ProjectName, a.ProjectDomainName, a.AuthURL, c.external, strings.Join(c.aliases, ","))
}
