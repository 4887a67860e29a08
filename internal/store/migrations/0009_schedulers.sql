-- Which hosts answer DHCP for a network, whether or not it has subnets to answer for.
CREATE TABLE dhcp_hosts (
  network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE, host TEXT NOT NULL, PRIMARY KEY (network_id, host)
);
CREATE INDEX dhcp_hosts_host ON dhcp_hosts (host);
INSERT INTO dhcp_hosts (network_id, host) SELECT DISTINCT network_id, host_id FROM ports WHERE device_owner = 'network:dhcp' AND host_id <> '';

ALTER TABLE agents ADD COLUMN started_at TEXT NOT NULL DEFAULT '';
ALTER TABLE agents ADD COLUMN created TEXT NOT NULL DEFAULT '';
