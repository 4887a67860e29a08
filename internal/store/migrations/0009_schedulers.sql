-- Which hosts answer DHCP for a network, whether or not it has subnets to answer for.
CREATE TABLE dhcp_hosts (
  network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE, host TEXT NOT NULL, PRIMARY KEY (network_id, host)
);
CREATE INDEX dhcp_hosts_host ON dhcp_hosts (host);
INSERT INTO dhcp_hosts (network_id, host) SELECT DISTINCT network_id, host_id FROM ports WHERE device_owner = 'network:dhcp' AND host_id <> '';

ALTER TABLE agents ADD COLUMN started_at TEXT NOT NULL DEFAULT '';
ALTER TABLE agents ADD COLUMN created TEXT NOT NULL DEFAULT '';

-- The network of the highly available routers of each project, and their ids on it.
CREATE TABLE ha_networks (
  project_id TEXT PRIMARY KEY, network_id TEXT NOT NULL UNIQUE REFERENCES networks (id) ON DELETE CASCADE
);
CREATE TABLE ha_vrids (
  network_id TEXT NOT NULL REFERENCES ha_networks (network_id) ON DELETE CASCADE, vr_id INTEGER NOT NULL,
  router_id TEXT NOT NULL, PRIMARY KEY (network_id, vr_id)
);
CREATE INDEX ha_vrids_router ON ha_vrids (router_id);
ALTER TABLE routers ADD COLUMN ha INTEGER NOT NULL DEFAULT 0;
ALTER TABLE routers ADD COLUMN distributed INTEGER NOT NULL DEFAULT 0;

CREATE TABLE service_profiles (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  description TEXT NOT NULL, driver TEXT NOT NULL, enabled INTEGER NOT NULL, metainfo TEXT NOT NULL
);
CREATE TABLE flavors (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, service_type TEXT NOT NULL, enabled INTEGER NOT NULL
);
-- A flavor's profiles. The row of a new flavor comes before them.
CREATE TABLE flavor_profiles (
  flavor_id TEXT NOT NULL REFERENCES flavors (id), profile_id TEXT NOT NULL REFERENCES service_profiles (id),
  PRIMARY KEY (flavor_id, profile_id)
);
CREATE INDEX flavor_profiles_profile ON flavor_profiles (profile_id);
CREATE INDEX routers_flavor ON routers (flavor_id);

ALTER TABLE routers ADD COLUMN enable_snat INTEGER NOT NULL DEFAULT 1;
UPDATE routers SET enable_snat = 0 WHERE doc LIKE '%"enable_snat":false%';
