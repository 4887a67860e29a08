CREATE TABLE address_groups (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL
);
CREATE INDEX address_groups_project ON address_groups (project_id);
CREATE INDEX security_group_rules_address_group ON security_group_rules (remote_address_group_id);

INSERT INTO rbac_policies (id, project_id, revision, doc, object_type, object_id, action, target_tenant)
  SELECT id, project_id, 1, '{"id":"' || id || '","tenant_id":"' || project_id || '","project_id":"' || project_id
    || '","created_at":null,"updated_at":null,"revision_number":1,"tags":[],"object_type":"subnetpool","object_id":"' || id
    || '","action":"access_as_shared","target_tenant":"*"}', 'subnetpool', id, 'access_as_shared', '*'
  FROM subnetpools WHERE shared = 1;
UPDATE subnetpools SET doc = REPLACE(REPLACE(doc, ',"shared":true', ''), ',"shared":false', '');
ALTER TABLE subnetpools DROP COLUMN shared;

INSERT INTO rbac_policies (id, project_id, revision, doc, object_type, object_id, action, target_tenant)
  SELECT id, project_id, 1, '{"id":"' || id || '","tenant_id":"' || project_id || '","project_id":"' || project_id
    || '","created_at":null,"updated_at":null,"revision_number":1,"tags":[],"object_type":"address_scope","object_id":"' || id
    || '","action":"access_as_shared","target_tenant":"*"}', 'address_scope', id, 'access_as_shared', '*'
  FROM address_scopes WHERE shared = 1;
UPDATE address_scopes SET doc = REPLACE(REPLACE(doc, ',"shared":true', ''), ',"shared":false', '');
ALTER TABLE address_scopes DROP COLUMN shared;
