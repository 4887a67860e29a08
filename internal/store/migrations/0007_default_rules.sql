CREATE TABLE default_security_group_rules (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  direction TEXT NOT NULL, ethertype TEXT NOT NULL, protocol TEXT NOT NULL, port_range_min INTEGER NOT NULL, port_range_max INTEGER NOT NULL,
  remote_ip_prefix TEXT NOT NULL, remote_group_id TEXT NOT NULL, remote_address_group_id TEXT NOT NULL, description TEXT NOT NULL,
  used_in_default_sg INTEGER NOT NULL, used_in_non_default_sg INTEGER NOT NULL
);
-- Every group lets everything out; a default group lets in what comes from itself.
INSERT INTO default_security_group_rules
  SELECT id, '', 1, '{"id":"' || id || '","tenant_id":"","project_id":"","created_at":"' || now || '","updated_at":"' || now
    || '","revision_number":1,"tags":[],"direction":"' || direction || '","ethertype":"' || ethertype || '","protocol":null,"port_range_min":null,"port_range_max":null,"remote_ip_prefix":null,"remote_group_id":'
    || CASE direction WHEN 'egress' THEN 'null' ELSE '"PARENT"' END || ',"remote_address_group_id":null,"description":"","used_in_default_sg":true,"used_in_non_default_sg":'
    || CASE direction WHEN 'egress' THEN 'true' ELSE 'false' END || '}',
    direction, ethertype, '', -1, -1, '', CASE direction WHEN 'egress' THEN '' ELSE 'PARENT' END, '', '', 1, CASE direction WHEN 'egress' THEN 1 ELSE 0 END
  FROM (SELECT '4a3cb0f3-8d0b-4f4c-9f0c-5c3c2b3c6b01' AS id, 'egress' AS direction, 'IPv4' AS ethertype
    UNION ALL SELECT '4a3cb0f3-8d0b-4f4c-9f0c-5c3c2b3c6b02', 'egress', 'IPv6'
    UNION ALL SELECT '4a3cb0f3-8d0b-4f4c-9f0c-5c3c2b3c6b03', 'ingress', 'IPv4'
    UNION ALL SELECT '4a3cb0f3-8d0b-4f4c-9f0c-5c3c2b3c6b04', 'ingress', 'IPv6') initial,
    (SELECT REPLACE(SUBSTR(CAST(CURRENT_TIMESTAMP AS TEXT), 1, 19), ' ', 'T') || 'Z' AS now) clock;
UPDATE security_group_rules SET doc = SUBSTR(doc, 1, LENGTH(doc) - 1) || ',"belongs_to_default_sg":'
  || CASE WHEN security_group_id IN (SELECT id FROM security_groups WHERE default_of IS NOT NULL) THEN 'true' ELSE 'false' END || '}';

CREATE TABLE auto_allocated_topologies (
  project_id TEXT PRIMARY KEY, network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE, router_id TEXT NOT NULL
);
CREATE INDEX auto_allocated_topologies_network ON auto_allocated_topologies (network_id);
