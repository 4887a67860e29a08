CREATE TABLE qos_policies (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, is_default INTEGER NOT NULL, default_of TEXT UNIQUE
);
CREATE INDEX qos_policies_project ON qos_policies (project_id);
CREATE TABLE qos_rules (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  qos_policy_id TEXT NOT NULL REFERENCES qos_policies (id), type TEXT NOT NULL, direction TEXT NOT NULL,
  max_kbps BIGINT NOT NULL, max_burst_kbps BIGINT NOT NULL, min_kbps BIGINT NOT NULL,
  max_kpps BIGINT NOT NULL, max_burst_kpps BIGINT NOT NULL, min_kpps BIGINT NOT NULL, dscp_mark BIGINT NOT NULL
);
CREATE INDEX qos_rules_policy ON qos_rules (qos_policy_id, type);

ALTER TABLE networks ADD COLUMN qos_policy_id TEXT NOT NULL DEFAULT '';
ALTER TABLE ports ADD COLUMN qos_policy_id TEXT NOT NULL DEFAULT '';
ALTER TABLE floatingips ADD COLUMN qos_policy_id TEXT NOT NULL DEFAULT '';
ALTER TABLE routers ADD COLUMN qos_policy_id TEXT NOT NULL DEFAULT '';
CREATE INDEX networks_qos ON networks (qos_policy_id) WHERE qos_policy_id <> '';
CREATE INDEX ports_qos ON ports (qos_policy_id) WHERE qos_policy_id <> '';
CREATE INDEX floatingips_qos ON floatingips (qos_policy_id) WHERE qos_policy_id <> '';
CREATE INDEX routers_qos ON routers (qos_policy_id) WHERE qos_policy_id <> '';
