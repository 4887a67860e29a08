package config

import (
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/weftnet/weft"
)

// option is one key of the file.
type option struct {
	section, key string
	value        string // the default
	set          setter
	doc          string // without the "# " of its lines
}

func (o option) name() string { return "[" + o.section + "] " + o.key }

// options is all there are, in the order of the reference file.
func options() []option {
	return slices.Concat(general(), apis(), identity(),
		peer("nova", "Nova", func(c *Config) *Peer { return &c.Nova.Peer }),
		peer("placement", "Placement", func(c *Config) *Peer { return &c.Placement.Peer }), audits(), networks(), hosts(), quotas())
}

func general() []option {
	const section = "DEFAULT"
	return []option{
		{section, "state_path", "", read(func(c *Config) *string { return &c.StateDir }, text),
			`Folder for the database, clouds.yaml and whatever else is to outlive the
process. Empty: /var/lib/weft for root, for others weft in $XDG_STATE_HOME or
in ~/.local/state.`},
		{section, "host", "", read(func(c *Config) *string { return &c.Host }, text),
			`Name of this host, as in binding:host_id. Empty: its host name.`},
		{section, "bind_host", "127.0.0.1", read(func(c *Config) *netip.Addr { return &c.Listen }, address),
			`Address that the APIs listen on.`},
		{section, "bind_port", "9696", read(func(c *Config) *uint16 { return &c.NetworkPort }, port),
			`TCP port of the Networking API.`},
		{section, "pagination_max_limit", "-1", read(func(c *Config) *int { return &c.PageLimit }, pageLimit),
			`Largest page of a list; -1 is as large as asked for.`},
		{section, "max_bulk_items", "1000", read(func(c *Config) *int { return &c.MaxBulk }, number(1, 100000)),
			`How many ports, or whatever else, one request can create.`},
		{section, "client_socket_timeout", "30", read(func(c *Config) *time.Duration { return &c.Clients.Patience }, duration),
			`Seconds that a client may take to send the next 16 kB of a request, or to take
the next 16 kB of an answer.`},
		{section, "max_connections", "1024", read(func(c *Config) *int { return &c.Clients.Connections }, number(1, 1000000)),
			`How many connections to the APIs there are; fewer where the process may not have
as many files. A new one takes the place of the one that has done nothing for
longest.`},
		{section, "max_connections_per_address", "0", read(func(c *Config) *int { return &c.Clients.PerAddress }, number(0, 1000000)),
			`How many of them come from one address, or from one /64 of IPv6; 0 is three
quarters of all.`},
		{section, "base_mac", "fa:16:3e:00:00:00", read(func(c *Config) *weft.MAC { return &c.BaseMAC }, baseMAC),
			`What the MAC addresses of ports begin with: three octets, or four if the fourth
is not 00. The rest is drawn at random.`},
		{section, "dns_domain", "openstacklocal.", read(func(c *Config) *string { return &c.DNSDomain }, domain),
			`Domain of the names of ports. As long as it is this one, ports cannot be given
names of their own.`},
		{section, "dhcp_lease_duration", "86400", read(func(c *Config) *time.Duration { return &c.DHCP.Lease }, lease),
			`Seconds that guests may keep their addresses before they ask again; -1 is for
ever.`},
		{section, "dnsmasq_dns_servers", "", read(func(c *Config) *[]netip.AddrPort { return &c.DHCP.Resolvers }, resolvers),
			`DNS servers that this host asks about names that guests look up and that are not
of their network, as ADDRESS or ADDRESS#PORT, ... Empty: see dnsmasq_local_resolv.`},
		{section, "dnsmasq_local_resolv", "false", read(func(c *Config) *bool { return &c.DHCP.HostResolvers }, boolean),
			`Whether those in /etc/resolv.conf of this host are asked if there are no
dnsmasq_dns_servers. Where nobody is asked, guests are refused other names.`},
		{section, "agent_down_time", "75", read(func(c *Config) *time.Duration { return &c.AgentDownTime }, duration),
			`Seconds without a sign of life after which an agent counts as dead.`},
		{section, "global_physnet_mtu", "1500", read(func(c *Config) *int { return &c.ML2.GlobalMTU }, number(68, 65535)),
			`MTU of the physical networks. The MTU of every network follows from it.`},
		{section, "max_dns_nameservers", "5", read(func(c *Config) *int { return &c.MaxDNSServers }, number(0, 1000)),
			`How many DNS servers a subnet can have.`},
		{section, "max_subnet_host_routes", "20", read(func(c *Config) *int { return &c.MaxHostRoutes }, number(0, 1000)),
			`How many host routes a subnet can have.`},
		{section, "max_allowed_address_pair", "10", read(func(c *Config) *int { return &c.MaxAddressPairs }, number(0, 1000)),
			`How many allowed address pairs a port can have.`},
		{section, "dhcp_agents_per_network", "1", read(func(c *Config) *int { return &c.Schedule.DHCPAgents }, number(1, 1000)),
			`How many hosts answer DHCP for a network.`},
		{section, "allow_automatic_dhcp_failover", "true", read(func(c *Config) *bool { return &c.Schedule.DHCPFailover }, boolean),
			`Whether the networks of dead DHCP agents move to others.`},
		{section, "allow_automatic_l3agent_failover", "false", read(func(c *Config) *bool { return &c.Schedule.L3Failover }, boolean),
			`Whether the routers of dead L3 agents move to others. Highly available routers
do in any case.`},
		{section, "router_distributed", "false", read(func(c *Config) *bool { return &c.Schedule.Distributed }, boolean),
			`Whether routers are distributed unless their request says otherwise.`},
		{section, "l3_ha", "false", read(func(c *Config) *bool { return &c.Schedule.HA }, boolean),
			`Whether routers are highly available unless their request says otherwise.`},
		{section, "max_l3_agents_per_router", "3", read(func(c *Config) *int { return &c.Schedule.HAAgents }, number(0, 1000)),
			`How many hosts stand ready for a highly available router; 0 is all.`},
		{section, "notify_nova_on_port_status_changes", "true", read(func(c *Config) *bool { return &c.Nova.Statuses }, boolean),
			`Whether Nova is told that a port is wired, or no longer, if [nova] says where it
is. Servers with a hypervisor wait for that when they boot.`},
		{section, "notify_nova_on_port_data_changes", "true", read(func(c *Config) *bool { return &c.Nova.Data }, boolean),
			`Whether Nova is told of changes to ports and floating IPs, and of ports that are
deleted.`},
		{section, "send_events_interval", "2", read(func(c *Config) *time.Duration { return &c.Nova.Interval }, interval),
			`Seconds between two messages to Nova; what happens within them goes into one.`},
	}
}

func apis() []option {
	return []option{
		{"log", "level", "info", read(func(c *Config) *slog.Level { return &c.Log.Level }, level),
			`What is logged: debug, info, warn or error, and what is worse.`},
		{"log", "format", "text", read(func(c *Config) *bool { return &c.Log.JSON }, choice(map[string]bool{"text": false, "json": true})),
			`How it is logged: text or json.`},
		{"database", "connection", "", read(func(c *Config) *string { return &c.Database }, orNone(databaseURL)),
			`Where everything is kept: postgresql://USER:PASSWORD@HOST/NAME, or
sqlite:FILE. Empty: an SQLite database in the state folder.`},
		{"database", "timeout", "10", read(func(c *Config) *time.Duration { return &c.DatabaseTime.Answer }, duration),
			`Seconds that the database may take to answer, and that a write waits for those of
others. Then clients get 503 with Retry-After, and a connection that is silent is
replaced.`},
		{"database", "start_timeout", "60", read(func(c *Config) *time.Duration { return &c.DatabaseTime.Start }, duration),
			`Seconds that a start waits for a database that is not there yet.`},
		{"database", "change_log_days", "7", read(func(c *Config) *time.Duration { return &c.LogAge }, days),
			`Days that what was changed, by whom, is kept in the database.`},
		{"database", "change_log_size", "256", read(func(c *Config) *int64 { return &c.LogBytes }, mebibytes),
			`MiB of documents that are kept of it; the oldest go first.`},
		{"database", "change_log_unread_size", "1024", read(func(c *Config) *int64 { return &c.LogUnread }, mebibytes),
			`MiB of it that are kept nevertheless while Nova, or another service that is told
what changes, does not answer. What is lost beyond that it is told in other ways.`},
		{"oslo_middleware", "max_request_body_size", "1048576",
			read(func(c *Config) *int { return &c.MaxBody }, number(114688, 64<<20)),
			`Bytes of the largest request. Requests that are under way at once take some 64
times as much memory together, whatever is in them.`},
		{"oslo_policy", "policy_file", "", read(func(c *Config) *string { return &c.PolicyFile }, text),
			`Rules in place of the built-in ones, in the form and under the names of
Neutron's policy.yaml; relative to the folder of this file. Empty: none.`},
		{"oslo_policy", "enforce_scope", "false", read(func(c *Config) *bool { return &c.EnforceScope }, boolean),
			`Whether tokens that are not of a project, but of the system or of a domain, are
refused: all of Neutron's rules are about projects.`},
		{"metadata", "nova_metadata_url", "", read(func(c *Config) *string { return &c.Metadata.NovaURL }, orNone(webURL)),
			`Nova's metadata API, such as http://controller:8775, which answers instances
that ask about themselves. Empty: weft answers what it knows.`},
		{"metadata", "metadata_proxy_shared_secret", "", read(func(c *Config) *string { return &c.Metadata.Secret }, text),
			`The secret of the same name in Nova's configuration. Empty: one is made, and
kept in the state folder.`},
	}
}

// identity has the names of [keystone_authtoken] where there is one.
func identity() []option {
	const section = "identity"
	k := func(field func(*Keystone) *string) setter {
		return read(func(c *Config) *string { return field(&c.Keystone) }, text)
	}
	return []option{
		{section, "bind_port", "5000", read(func(c *Config) *uint16 { return &c.IdentityPort }, port),
			`TCP port of the identity API.`},
		{section, "token_ttl", "3600", read(func(c *Config) *time.Duration { return &c.TokenTTL }, duration),
			`Seconds that a token is good for.`},
		{section, "lockout_failure_attempts", "5", read(func(c *Config) *int { return &c.FreeFailures }, number(0, 1000)),
			`After so many wrong passwords in a row the same user is refused to the same
address: for a second, and twice as long with every further one, up to a minute.
Logins from other addresses are not concerned. 0: never.`},
		{section, "service_token_roles", "service", read(func(c *Config) *[]string { return &c.ServiceToken.Roles }, list),
			`Roles one of which makes the token in X-Service-Token that of a service. A
request with such a token may show a user's token that has expired, and the
access rules of the user's application credential do not hold for it.`},
		{section, "service_token_roles_required", "true", read(func(c *Config) *bool { return &c.ServiceToken.Required }, boolean),
			`Whether requests are refused (401) if the token in X-Service-Token has none of
them. If not, such a token counts for its roles (service_roles in policies) only.`},
		{section, "url", "", read(func(c *Config) *string { return &c.Keystone.URL }, orNone(webURL)),
			`A Keystone to validate tokens, such as http://controller:5000/v3. Then weft
serves no identity API, bind_port and token_ttl mean nothing, and nothing is
registered: projects, users and weft's endpoint are Keystone's business. Empty:
weft has an identity service of its own.`},
		{section, "www_authenticate_uri", "", read(func(c *Config) *string { return &c.Keystone.PublicURL }, orNone(webURL)),
			`That Keystone as clients reach it. Empty: url.`},
		{section, "username", "", k(func(k *Keystone) *string { return &k.Username }),
			`The user at that Keystone who validates tokens; role service or admin.`},
		{section, "password", "", k(func(k *Keystone) *string { return &k.Password }),
			`The password of that user.`},
		{section, "user_domain_name", "Default", k(func(k *Keystone) *string { return &k.Domain }),
			`The domain of that user.`},
		{section, "project_name", "service", k(func(k *Keystone) *string { return &k.Project }),
			`The project in which that user has the role.`},
		{section, "project_domain_name", "Default", k(func(k *Keystone) *string { return &k.InDomain }),
			`The domain of that project.`},
		{section, "region_name", "RegionOne", k(func(k *Keystone) *string { return &k.Region }),
			`The region of weft, as it is written to clouds.yaml.`},
		{section, "cafile", "", k(func(k *Keystone) *string { return &k.CAFile }),
			`The authorities that certify that Keystone, in PEM. Empty: those of the system.`},
		{section, "insecure", "false", read(func(c *Config) *bool { return &c.Keystone.Insecure }, boolean),
			`Whether any certificate will do.`},
		{section, "http_connect_timeout", "10", read(func(c *Config) *time.Duration { return &c.Keystone.Timeout }, duration),
			`Seconds that Keystone may take to answer.`},
		{section, "revocation_cache_time", "10", read(func(c *Config) *time.Duration { return &c.Keystone.Recheck }, duration),
			`Seconds for which what Keystone said of a token is believed without asking again:
so long a revoked token may still be good.`},
		{section, "token_cache_time", "300", read(func(c *Config) *time.Duration { return &c.Keystone.CacheTime }, duration),
			`Seconds for which it is believed while Keystone does not answer.`},
	}
}

func networks() []option {
	return []option{
		{"ml2", "tenant_network_types", "vxlan",
			read(func(c *Config) *[]string { return &c.ML2.TenantTypes }, listOf(weft.TypeLocal, weft.TypeVLAN, weft.TypeVXLAN, weft.TypeGRE, weft.TypeGeneve)),
			`Types of the networks that users make, tried in this order: local, vlan, vxlan,
gre, geneve. Empty: users make none.`},
		{"ml2", "external_network_type", "", read(func(c *Config) *string { return &c.ML2.ExternalType }, orNone(networkType)),
			`Type of external networks for which none is asked. Empty: as users' networks.`},
		{"ml2", "path_mtu", "0", read(func(c *Config) *int { return &c.ML2.PathMTU }, number(0, 65535)),
			`MTU between the ends of tunnels; 0 is global_physnet_mtu.`},
		{"ml2", "physical_network_mtus", "", read(func(c *Config) *map[string]int { return &c.ML2.PhysnetMTUs }, mapping(number(68, 65535))),
			`Physical networks with an MTU below global_physnet_mtu, as PHYSNET:MTU, ...`},
		{"ml2", "overlay_ip_version", "4", read(func(c *Config) *bool { return &c.ML2.OverlayIPv6 }, choice(map[string]bool{"4": false, "6": true})),
			`IP version of the tunnels between hosts: 4 or 6.`},
		{"ml2_type_flat", "flat_networks", "*", read(func(c *Config) *[]string { return &c.ML2.FlatNetworks }, list),
			`Physical networks that flat networks may be made on; * is all.`},
		{"ml2_type_vlan", "network_vlan_ranges", "", read(func(c *Config) *map[string][]Range { return &c.ML2.VLANs }, vlanRanges),
			`VLAN ids for users' networks, as PHYSNET:MIN:MAX, ... PHYSNET alone has VLANs
for administrators only.`},
		{"ml2_type_vxlan", "vni_ranges", "1:65536", read(func(c *Config) *[]Range { return &c.ML2.VNIs }, ranges(1, 1<<24-1)),
			`Ids of VXLAN networks that users make, as MIN:MAX, ... up to 16777215.`},
		{"ml2_type_gre", "tunnel_id_ranges", "1:65536", read(func(c *Config) *[]Range { return &c.ML2.GREs }, ranges(1, 1<<32-1)),
			`Ids of GRE networks that users make, as MIN:MAX, ...`},
		{"ml2_type_geneve", "vni_ranges", "1:65536", read(func(c *Config) *[]Range { return &c.ML2.GeneveVNIs }, ranges(1, 1<<24-1)),
			`Ids of Geneve networks that users make, as MIN:MAX, ... up to 16777215.`},
		{"ml2_type_geneve", "max_header_size", "30", read(func(c *Config) *int { return &c.ML2.GeneveHeader }, number(30, 300)),
			`Bytes of a Geneve header, with its options.`},
	}
}

func audits() []option {
	return []option{{"placement", "audit_interval", "600",
		read(func(c *Config) *time.Duration { return &c.Placement.Audit }, duration),
		`Seconds after which what Placement has is looked at again, although nothing of ours
has changed.`}}
}

func networkType(s string) (string, error) {
	words := map[string]string{}
	for _, t := range []string{weft.TypeLocal, weft.TypeFlat, weft.TypeVLAN, weft.TypeVXLAN, weft.TypeGRE, weft.TypeGeneve} {
		words[t] = t
	}
	return choice(words)(s)
}

func hosts() []option {
	return slices.Concat([]option{
		{"agent", "availability_zone", "nova", read(func(c *Config) *string { return &c.AvailabilityZone }, zone),
			`Availability zone of this host.`},
		{"linux_bridge", "physical_interface_mappings", "", read(func(c *Config) *map[string]string { return &c.Physnets }, mapping(device)),
			`Interfaces of this host on physical networks, as PHYSNET:INTERFACE, ...`},
		{"linux_bridge", "wait_for_interfaces", "false", read(func(c *Config) *bool { return &c.WaitForLinks }, boolean),
			`Whether weft starts without those interfaces and waits for them. Otherwise one
that is not there is an error.`},
	}, resources(), []option{
		{"vxlan", "local_ip", "", read(func(c *Config) *netip.Addr { return &c.VXLAN.LocalIP }, orNone(address)),
			`This host's address for tunnels. Empty: the kernel chooses.`},
		{"vxlan", "udp_dstport", "8472", read(func(c *Config) *uint16 { return &c.VXLAN.Port }, udpPort),
			`UDP port of VXLAN.`},
		{"vxlan", "arp_responder", "false", read(func(c *Config) *bool { return &c.VXLAN.ARPResponder }, boolean),
			`Whether this host answers ARP for the ports of others. Then allowed address
pairs cannot move from host to host.`},
	})
}

// quotas has a row for each limited resource. The limit of default_quota is kept
// under the resource "" until all are known.
func quotas() []option {
	quota := func(resource, key, value, doc string) option {
		limit := number(-1, 1<<31-1)
		return option{"quotas", key, value, func(c *Config, s string) error {
			if c.Quotas == nil {
				c.Quotas = map[string]int{}
			}
			if s == "" {
				c.Quotas[resource] = useDefault
				return nil
			}
			n, err := limit(s)
			c.Quotas[resource] = n
			return err
		}, doc}
	}
	out := []option{quota("", "default_quota", "-1", "How many a project can have of what is not listed here; -1 is without limit.")}
	for _, resource := range slices.Sorted(maps.Keys(limited)) {
		value, doc := strconv.Itoa(limited[resource]), "How many of "+resource+" a project can have."
		if limited[resource] == useDefault {
			value, doc = "", doc+" Empty: default_quota."
		}
		out = append(out, quota(resource, "quota_"+resource, value, doc))
	}
	return out
}
