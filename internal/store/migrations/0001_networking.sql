CREATE TABLE changes (
  seq SEQUENCE_KEY, at BIGINT NOT NULL, noun TEXT NOT NULL, op TEXT NOT NULL, id TEXT NOT NULL,
  project_id TEXT NOT NULL, revision BIGINT NOT NULL, user_id TEXT NOT NULL, request_id TEXT NOT NULL,
  before TEXT NOT NULL, after TEXT NOT NULL
);
CREATE TABLE tags (noun TEXT NOT NULL, id TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (noun, id, tag));
CREATE TABLE quota_usage (project_id TEXT NOT NULL, resource TEXT NOT NULL, used BIGINT NOT NULL, PRIMARY KEY (project_id, resource));
CREATE TABLE quotas (project_id TEXT NOT NULL, resource TEXT NOT NULL, max BIGINT NOT NULL, PRIMARY KEY (project_id, resource));
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE networks (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, admin_state_up INTEGER NOT NULL, status TEXT NOT NULL,
  external INTEGER NOT NULL, is_default INTEGER NOT NULL, mtu INTEGER NOT NULL
);
CREATE INDEX networks_project ON networks (project_id);
CREATE INDEX networks_name ON networks (name);
CREATE TABLE segment_allocations (
  network_type TEXT NOT NULL, physical_network TEXT NOT NULL, segmentation_id BIGINT NOT NULL,
  network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
  PRIMARY KEY (network_type, physical_network, segmentation_id, network_id)
);
CREATE INDEX segment_allocations_network ON segment_allocations (network_id);

CREATE TABLE subnets (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, network_id TEXT NOT NULL REFERENCES networks (id),
  segment_id TEXT NOT NULL, subnetpool_id TEXT NOT NULL, ip_version INTEGER NOT NULL, cidr TEXT NOT NULL,
  gateway_ip TEXT NOT NULL, enable_dhcp INTEGER NOT NULL, ipv6_ra_mode TEXT NOT NULL, ipv6_address_mode TEXT NOT NULL
);
CREATE INDEX subnets_project ON subnets (project_id);
CREATE INDEX subnets_network ON subnets (network_id);
CREATE INDEX subnets_pool ON subnets (subnetpool_id);

CREATE TABLE ports (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, network_id TEXT NOT NULL REFERENCES networks (id),
  admin_state_up INTEGER NOT NULL, status TEXT NOT NULL, mac_address TEXT NOT NULL, device_id TEXT NOT NULL,
  device_owner TEXT NOT NULL, host_id TEXT NOT NULL, ip_allocation TEXT NOT NULL
);
CREATE INDEX ports_project ON ports (project_id);
CREATE UNIQUE INDEX ports_mac ON ports (network_id, mac_address);
CREATE INDEX ports_device ON ports (device_id);
CREATE INDEX ports_host ON ports (host_id);
CREATE INDEX ports_owner ON ports (device_owner, network_id);
CREATE TABLE ip_allocations (
  subnet_id TEXT NOT NULL REFERENCES subnets (id), sort TEXT NOT NULL, ip TEXT NOT NULL,
  port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE, PRIMARY KEY (subnet_id, sort)
);
CREATE INDEX ip_allocations_port ON ip_allocations (port_id);
CREATE INDEX ip_allocations_ip ON ip_allocations (ip);
CREATE TABLE port_security_groups (
  group_id TEXT NOT NULL, port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE, PRIMARY KEY (group_id, port_id)
);
CREATE INDEX port_security_groups_port ON port_security_groups (port_id);

CREATE TABLE security_groups (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, stateful INTEGER NOT NULL, default_of TEXT UNIQUE
);
CREATE INDEX security_groups_project ON security_groups (project_id);
CREATE TABLE security_group_rules (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  security_group_id TEXT NOT NULL REFERENCES security_groups (id), direction TEXT NOT NULL, ethertype TEXT NOT NULL,
  protocol TEXT NOT NULL, port_range_min INTEGER NOT NULL, port_range_max INTEGER NOT NULL,
  remote_ip_prefix TEXT NOT NULL, remote_group_id TEXT NOT NULL, remote_address_group_id TEXT NOT NULL,
  normalized_cidr TEXT NOT NULL, description TEXT NOT NULL
);
CREATE INDEX security_group_rules_project ON security_group_rules (project_id);
CREATE INDEX security_group_rules_group ON security_group_rules (security_group_id, protocol, port_range_min);
CREATE INDEX security_group_rules_remote ON security_group_rules (remote_group_id);

CREATE TABLE routers (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, admin_state_up INTEGER NOT NULL, status TEXT NOT NULL,
  flavor_id TEXT NOT NULL, host_id TEXT NOT NULL, gw_port_id TEXT NOT NULL, enable_ndp_proxy INTEGER NOT NULL
);
CREATE INDEX routers_project ON routers (project_id);
CREATE INDEX routers_host ON routers (host_id);
CREATE TABLE floatingips (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  description TEXT NOT NULL, floating_network_id TEXT NOT NULL, floating_ip_address TEXT NOT NULL,
  floating_port_id TEXT NOT NULL, router_id TEXT NOT NULL, port_id TEXT NOT NULL, fixed_ip_address TEXT NOT NULL,
  status TEXT NOT NULL
);
CREATE INDEX floatingips_project ON floatingips (project_id);
CREATE INDEX floatingips_router ON floatingips (router_id);
CREATE INDEX floatingips_port ON floatingips (port_id);
CREATE INDEX floatingips_address ON floatingips (floating_ip_address);
CREATE INDEX floatingips_network ON floatingips (floating_network_id);

CREATE TABLE subnetpools (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, ip_version INTEGER NOT NULL, address_scope_id TEXT NOT NULL,
  default_prefixlen INTEGER NOT NULL, min_prefixlen INTEGER NOT NULL, max_prefixlen INTEGER NOT NULL,
  default_quota INTEGER NOT NULL, is_default INTEGER NOT NULL, shared INTEGER NOT NULL
);
CREATE INDEX subnetpools_project ON subnetpools (project_id);
CREATE TABLE address_scopes (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, ip_version INTEGER NOT NULL, shared INTEGER NOT NULL
);
CREATE INDEX address_scopes_project ON address_scopes (project_id);

CREATE TABLE rbac_policies (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  object_type TEXT NOT NULL, object_id TEXT NOT NULL, action TEXT NOT NULL, target_tenant TEXT NOT NULL
);
CREATE UNIQUE INDEX rbac_policies_object ON rbac_policies (object_id, action, target_tenant, object_type);
CREATE INDEX rbac_policies_target ON rbac_policies (target_tenant, object_type);
CREATE INDEX rbac_policies_project ON rbac_policies (project_id);

CREATE TABLE agents (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  agent_type TEXT NOT NULL, "binary" TEXT NOT NULL, host TEXT NOT NULL, topic TEXT NOT NULL,
  admin_state_up INTEGER NOT NULL, availability_zone TEXT NOT NULL, heartbeat BIGINT NOT NULL, description TEXT NOT NULL
);
CREATE UNIQUE INDEX agents_host ON agents (agent_type, host);
