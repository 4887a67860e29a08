package config

import (
	"flag"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
)

var update = flag.Bool("update", false, "write etc/weft.conf anew")

const referenceFile = "../../etc/weft.conf"

var compare = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
}

// load is Load of a file with the text, for root.
func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weft.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path, true)
}

func TestReferenceFileIsComplete(t *testing.T) {
	if *update {
		if err := os.WriteFile(referenceFile, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Reference(), string(have)); diff != "" {
		t.Errorf("etc/weft.conf is not what the options say; run go test ./internal/config -update (-want +got):\n%s", diff)
	}
}

func TestReferenceFileHoldsTheDefaults(t *testing.T) {
	assignment := regexp.MustCompile(`(?m)^#([a-z0-9_]+ =)`)
	for name, text := range map[string]string{
		"as it is":    Reference(),
		"uncommented": assignment.ReplaceAllString(Reference(), "$1"),
	} {
		got, err := load(t, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(Default(true), got, compare); diff != "" {
			t.Errorf("%s (-default +read):\n%s", name, diff)
		}
	}
	if got, want := len(assignment.FindAllString(Reference(), -1)), len(options()); got != want {
		t.Errorf("the file has %d options, not %d", got, want)
	}
}

func TestDefaults(t *testing.T) {
	host, _ := os.Hostname()
	want := Config{
		StateDir: "/var/lib/weft", Host: host, Listen: netip.MustParseAddr("127.0.0.1"), NetworkPort: 9696, IdentityPort: 5000,
		LogAge: 7 * 24 * time.Hour, LogBytes: 256 << 20, LogUnread: 1 << 30,
		DatabaseTime: DatabaseTime{Answer: 10 * time.Second, Start: time.Minute},
		TokenTTL:     time.Hour, FreeFailures: 5, Clients: Clients{Patience: 30 * time.Second, Connections: 1024},
		ServiceToken: ServiceToken{Roles: []string{"service"}, Required: true},
		Keystone: Keystone{Domain: "Default", Project: "service", InDomain: "Default", Region: "RegionOne",
			Timeout: 10 * time.Second, CacheTime: 5 * time.Minute, Recheck: 10 * time.Second},
		Nova: Nova{Statuses: true, Data: true, Interval: 2 * time.Second, Peer: Peer{UserDomain: "Default", Project: "service",
			ProjectDomain: "Default", Interfaces: []string{"public"}, Timeout: 30 * time.Second}},
		Placement: Placement{Audit: 10 * time.Minute, Peer: Peer{UserDomain: "Default", Project: "service",
			ProjectDomain: "Default", Interfaces: []string{"public"}, Timeout: 30 * time.Second}},
		Physnets: map[string]string{},
		Resources: Resources{Bandwidths: map[string]Amount{}, Hypervisors: map[string]string{}, Rates: map[string]Amount{},
			DirectedRates:     map[string]Amount{},
			BandwidthDefaults: Inventory{"allocation_ratio": 1, "min_unit": 1, "step_size": 1, "reserved": 0},
			RateDefaults:      Inventory{"allocation_ratio": 1, "min_unit": 1, "step_size": 1, "reserved": 0}},
		DHCP:    DHCP{Lease: 24 * time.Hour},
		BaseMAC: weft.MAC{0xfa, 0x16, 0x3e}, DNSDomain: "openstacklocal.", AvailabilityZone: "nova", AgentDownTime: 75 * time.Second,
		MaxBody: 1 << 20, MaxBulk: 1000, MaxDNSServers: 5, MaxHostRoutes: 20, MaxAddressPairs: 10,
		ML2: ML2{TenantTypes: []string{"vxlan"}, FlatNetworks: []string{"*"}, VLANs: map[string][]Range{}, VNIs: []Range{{1, 65536}},
			GREs: []Range{{1, 65536}}, GeneveVNIs: []Range{{1, 65536}}, GeneveHeader: 30, GlobalMTU: 1500, PhysnetMTUs: map[string]int{}},
		VXLAN:    VXLAN{Port: 8472},
		Schedule: Schedule{DHCPAgents: 1, DHCPFailover: true, HAAgents: 3},
		Quotas: map[string]int{"network": 100, "subnet": 100, "port": 500, "subnetpool": -1, "trunk": -1, "router": 10,
			"floatingip": 50, "security_group": 10, "security_group_rule": 100, "rbac_policy": 10},
		Log: Log{Level: slog.LevelInfo},
	}
	got := Default(true)
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	if empty, err := load(t, ""); err != nil || !cmp.Equal(want, empty, compare) {
		t.Errorf("an empty file: %v, %v", empty, err)
	}
}

func TestDefaultStateDir(t *testing.T) {
	t.Setenv("HOME", "/home/ann")
	for _, tt := range []struct {
		root      bool
		xdg, want string
	}{
		{true, "/x", "/var/lib/weft"},
		{false, "/x", "/x/weft"},
		{false, "", "/home/ann/.local/state/weft"},
		{false, "relative", "/home/ann/.local/state/weft"},
	} {
		t.Setenv("XDG_STATE_HOME", tt.xdg)
		if got := DefaultStateDir(tt.root); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

func TestLoad(t *testing.T) {
	got, err := load(t, `
# As an operator of Neutron would write it.
[DEFAULT]
state_path = /srv/weft
host = net-1
bind_host = ::1
bind_port = 19696
base_mac = FA-16-3E-AA-00-00
dns_domain = cloud.example.org
dhcp_lease_duration = -1
dnsmasq_dns_servers = 192.0.2.53, 2001:db8::53#5353
dnsmasq_local_resolv = yes
agent_down_time = 90s
pagination_max_limit = 1000
global_physnet_mtu = 9000
notify_nova_on_port_status_changes = no
notify_nova_on_port_data_changes = no
send_events_interval = 0
[log]
level = DEBUG
format = json
[database]
connection = postgresql://weft:se#cret;%(x)s$y@db/weft?sslmode=disable
[identity]
token_ttl = 86400
service_token_roles = service, nova
service_token_roles_required = False
url = https://keystone:5000/v3/
www_authenticate_uri = https://cloud.example.org:5000/v3
username = neutron
password = se#cret
user_domain_name = Users
project_name = services
project_domain_name = Projects
region_name = north
cafile = /etc/ssl/ours.pem
insecure = true
http_connect_timeout = 3
revocation_cache_time = 5
token_cache_time = 60
[nova]
auth_type = v3password
auth_url = http://keystone/identity
username = neutron
password = hush
user_domain_id = default
project_name = services
region_name = north
endpoint_type = internal, public
endpoint_override = http://nova:8774/v2.1/
cafile = /etc/ssl/ours.pem
insecure = yes
timeout = 5
[placement]
auth_url = http://keystone/identity
username = neutron
password = hush
audit_interval = 60
[oslo_policy]
policy_file = policy.yaml
[ml2]
tenant_network_types = vlan,vxlan
external_network_type = flat
path_mtu = 1500
physical_network_mtus = provider:1500
overlay_ip_version = 6
[ml2_type_flat]
flat_networks =
[ml2_type_vlan]
network_vlan_ranges = physnet1:100:199, physnet1:300:399,
  physnet2
[ml2_type_vxlan]
vni_ranges = 10:10, 1000:16777215
[linux_bridge]
physical_interface_mappings = provider:eth1 , physnet1:bond0.7
resource_provider_bandwidths = eth1:1000:, bond0.7
resource_provider_hypervisors = bond0.7:second
resource_provider_default_hypervisor = host7.example.org
resource_provider_packet_processing_with_direction = :10:20
resource_provider_inventory_defaults = allocation_ratio:1.5, reserved:10
[vxlan]
local_ip = 2001:db8::1
udp_dstport = 4789
arp_responder = True
[quotas]
default_quota = 7
quota_network = -1
quota_trunk = 3
[metadata]
nova_metadata_url = http://controller:8775/
metadata_proxy_shared_secret = "s3 cret"
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Default(true)
	want.StateDir, want.Host, want.Listen, want.NetworkPort = "/srv/weft", "net-1", netip.MustParseAddr("::1"), 19696
	want.DHCP = DHCP{Lease: -1, HostResolvers: true,
		Resolvers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53"), netip.MustParseAddrPort("[2001:db8::53]:5353")}}
	want.BaseMAC, want.DNSDomain, want.AgentDownTime = weft.MAC{0xfa, 0x16, 0x3e, 0xaa}, "cloud.example.org.", 90*time.Second
	want.PageLimit, want.Log = 1000, Log{Level: slog.LevelDebug, JSON: true}
	want.ServiceToken = ServiceToken{Roles: []string{"service", "nova"}}
	want.Keystone = Keystone{URL: "https://keystone:5000/v3", PublicURL: "https://cloud.example.org:5000/v3", Username: "neutron", Password: "se#cret",
		Domain: "Users", Project: "services", InDomain: "Projects", Region: "north", CAFile: "/etc/ssl/ours.pem", Insecure: true,
		Timeout: 3 * time.Second, CacheTime: time.Minute, Recheck: 5 * time.Second}
	want.Nova = Nova{Peer: Peer{AuthURL: "http://keystone/identity", Username: "neutron", Password: "hush", UserDomain: "Default",
		UserDomainID: "default", Project: "services", ProjectDomain: "Default", Region: "north",
		Interfaces: []string{"internal", "public"},
		Endpoint:   "http://nova:8774/v2.1", CAFile: "/etc/ssl/ours.pem", Insecure: true, Timeout: 5 * time.Second}}
	want.Database, want.TokenTTL = "postgresql://weft:se#cret;%(x)s$y@db/weft?sslmode=disable", 24*time.Hour
	want.PolicyFile = got.PolicyFile
	want.ML2.GlobalMTU, want.ML2.PathMTU, want.ML2.PhysnetMTUs, want.ML2.OverlayIPv6 = 9000, 1500, map[string]int{"provider": 1500}, true
	want.ML2.TenantTypes, want.ML2.ExternalType, want.ML2.FlatNetworks = []string{"vlan", "vxlan"}, "flat", nil
	want.ML2.VLANs = map[string][]Range{"physnet1": {{100, 199}, {300, 399}}, "physnet2": nil}
	want.ML2.VNIs = []Range{{10, 10}, {1000, 1<<24 - 1}}
	want.Physnets = map[string]string{"provider": "eth1", "physnet1": "bond0.7"}
	ten, twenty, thousand := int64(10), int64(20), int64(1000)
	want.Resources.Bandwidths = map[string]Amount{"eth1": {Egress: &thousand}, "bond0.7": {}}
	want.Resources.Hypervisors, want.Resources.Hypervisor = map[string]string{"bond0.7": "second"}, "host7.example.org"
	want.Resources.DirectedRates = map[string]Amount{"": {Egress: &ten, Ingress: &twenty}}
	want.Resources.BandwidthDefaults = Inventory{"allocation_ratio": 1.5, "reserved": 10}
	want.Placement.Peer.AuthURL, want.Placement.Username, want.Placement.Password = "http://keystone/identity", "neutron", "hush"
	want.Placement.Audit = time.Minute
	want.VXLAN = VXLAN{LocalIP: netip.MustParseAddr("2001:db8::1"), Port: 4789, ARPResponder: true}
	want.Quotas["network"], want.Quotas["trunk"], want.Quotas["subnetpool"] = -1, 3, 7
	want.Metadata = Metadata{NovaURL: "http://controller:8775", Secret: "s3 cret"}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !filepath.IsAbs(got.PolicyFile) || filepath.Base(got.PolicyFile) != "policy.yaml" {
		t.Errorf("the policy file is not beside the configuration: %s", got.PolicyFile)
	}
}

func TestRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"bind_prt = 1":                                    "[DEFAULT] bind_prt: there is no such option",
		"[quota]\nquota_network = 1":                      "[quota] quota_network: there is no such option here, but in [quotas]",
		"[DEFAULT]\nvni_ranges = 1:2":                     "but in [ml2_type_vxlan] and [ml2_type_geneve]",
		"bind_port = 1\nbind_port = 2":                    "[DEFAULT] bind_port: given twice",
		"bind_port = 1\n[DEFAULT]\nbind_port = 1":         "[DEFAULT] bind_port: given twice",
		"bind_port":                                       "bind_port",
		"bind_port =":                                     `"" is not a number`,
		"bind_port = 65536":                               "65536 is not within 0 to 65535",
		"bind_port = 5000":                                "cannot both have port 5000",
		"bind_host = localhost":                           `"localhost" is not an IP address`,
		"bind_port = 9696 # the usual":                    "is not a number",
		"base_mac = 01:00:00:00:00:00":                    "multicast",
		"base_mac = x":                                    "not a MAC address",
		"dns_domain = a..b":                               "not a domain",
		"dns_domain =":                                    "not a domain",
		"dhcp_lease_duration = -2":                        "not a duration",
		"dhcp_lease_duration = 4294967295":                "not a duration",
		"dhcp_lease_duration = 1ms":                       "no time for a lease",
		"dnsmasq_dns_servers = ns.example":                "neither ADDRESS nor ADDRESS#PORT",
		"dnsmasq_dns_servers = 192.0.2.1#0":               "neither ADDRESS nor ADDRESS#PORT",
		"agent_down_time = 0":                             "not a duration",
		"agent_down_time = soon":                          "not a duration",
		"pagination_max_limit = 0":                        "not within 1",
		"[log]\nlevel = loud":                             "[log] level",
		"[log]\nformat = xml":                             "none of json, text",
		"[database]\nconnection = mysql://u:secret@h/d":   "[database] connection: it is neither",
		"[ml2]\ntenant_network_types = flat":              `"flat" is none of local, vlan`,
		"[ml2]\ntenant_network_types = vlan,vlan":         "vlan is listed twice",
		"[ml2]\nexternal_network_type = ethernet":         "none of flat, geneve, gre, local, vlan, vxlan",
		"[ml2]\nphysical_network_mtus = a:12":             "a: 12 is not within 68",
		"[ml2]\noverlay_ip_version = 5":                   "none of 4, 6",
		"[ml2_type_vxlan]\nvni_ranges = 0:5":              "not within 1:16777215",
		"[ml2_type_vxlan]\nvni_ranges = 5:4":              "is empty",
		"[ml2_type_vxlan]\nvni_ranges = 5":                "MIN:MAX",
		"[ml2_type_vlan]\nnetwork_vlan_ranges = p:1:5000": "p: the range 1:5000 is not within 1:4094",
		"[ml2_type_vlan]\nnetwork_vlan_ranges = :1:5":     "no physical network",
		"[linux_bridge]\nphysical_interface_mappings = a": "NAME:VALUE",
		"[linux_bridge]\nphysical_interface_mappings = a:averyveryverylongname":                   "cannot be the name of an interface",
		"[linux_bridge]\nphysical_interface_mappings = a:eth0,a:eth1":                             "a is listed twice",
		"[linux_bridge]\nresource_provider_bandwidths = eth1:1":                                   "does not have 3 values",
		"[linux_bridge]\nresource_provider_bandwidths = eth1:1:-2":                                "is not an amount",
		"[linux_bridge]\nresource_provider_bandwidths = eth1:1:2,eth1:1:3":                        "listed twice",
		"[linux_bridge]\nresource_provider_inventory_defaults = total:1":                          "is none of allocation_ratio",
		"[linux_bridge]\nresource_provider_inventory_defaults = reserved:0.5":                     "whole number",
		"[linux_bridge]\nresource_provider_inventory_defaults = reserved:x":                       "is not a number",
		"[linux_bridge]\nphysical_interface_mappings = a:b\nresource_provider_bandwidths = c:1:1": "c is missing from",
		"[linux_bridge]\nresource_provider_packet_processing_with_direction = :1:1\n" +
			"resource_provider_packet_processing_without_direction = :1": "exclude each other",
		"[placement]\nauth_url = http://k":                                              "[placement] needs username",
		"[vxlan]\nlocal_ip = 2001:db8::1":                                               "not of overlay_ip_version",
		"[vxlan]\nudp_dstport = 0":                                                      "not within 1",
		"[vxlan]\narp_responder = maybe":                                                "neither true nor false",
		"[quotas]\nquota_port = -2":                                                     "-2 is not within -1",
		"[agent]\navailability_zone =":                                                  "availability zone",
		"[metadata]\nnova_metadata_url = nova:8775":                                     "not the URL of a web server",
		"[nova]\nauth_url = http://k\npassword = secret":                                "[nova] needs username",
		"[nova]\nauth_type = none":                                                      "none of password",
		"[nova]\nauth_url = http://k\nusername = n\npassword = secret\nendpoint_type =": "needs an endpoint_type",
	} {
		_, err := load(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "weft.conf: ") {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

func TestAllRefusalsAtOnce(t *testing.T) {
	_, err := load(t, "bind_port = x\nbind_host = y\n[nosuch]\nkey = 1\n")
	if err == nil || strings.Count(err.Error(), "weft.conf: [") != 3 {
		t.Errorf("%v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "absent"), true); err == nil {
		t.Error("no file, no error")
	}
}

func TestValidateAfterFlags(t *testing.T) {
	c := Default(true)
	c.StateDir, c.Host, c.Listen, c.IdentityPort = "", "", netip.Addr{}, c.NetworkPort
	err := c.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(Reference()))
	f.Add([]byte("[quotas]\nquota_port=1\n[ml2_type_vlan]\nnetwork_vlan_ranges=a:1:2,b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse(data)
		if err != nil {
			return
		}
		c.finish(true)
		c.Validate() // must not panic
	})
}
