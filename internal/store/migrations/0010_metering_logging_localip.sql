CREATE TABLE metering_labels (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, shared INTEGER NOT NULL
);
CREATE INDEX metering_labels_project ON metering_labels (project_id);
CREATE TABLE metering_label_rules (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  metering_label_id TEXT NOT NULL REFERENCES metering_labels (id), direction TEXT NOT NULL, excluded INTEGER NOT NULL,
  remote_ip_prefix TEXT NOT NULL, source_ip_prefix TEXT NOT NULL, destination_ip_prefix TEXT NOT NULL
);
CREATE INDEX metering_label_rules_label ON metering_label_rules (metering_label_id);

CREATE TABLE logs (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, resource_type TEXT NOT NULL, resource_id TEXT NOT NULL,
  target_id TEXT NOT NULL, event TEXT NOT NULL, enabled INTEGER NOT NULL
);
CREATE INDEX logs_project ON logs (project_id);
CREATE INDEX logs_resource ON logs (resource_id);
CREATE INDEX logs_target ON logs (target_id);

CREATE TABLE local_ips (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, local_port_id TEXT NOT NULL REFERENCES ports (id),
  network_id TEXT NOT NULL, local_ip_address TEXT NOT NULL, ip_mode TEXT NOT NULL
);
CREATE INDEX local_ips_project ON local_ips (project_id);
CREATE INDEX local_ips_port ON local_ips (local_port_id);
CREATE TABLE local_ip_associations (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  local_ip_id TEXT NOT NULL REFERENCES local_ips (id), fixed_port_id TEXT NOT NULL, fixed_ip TEXT NOT NULL
);
CREATE UNIQUE INDEX local_ip_associations_port ON local_ip_associations (local_ip_id, fixed_port_id);
CREATE INDEX local_ip_associations_fixed ON local_ip_associations (fixed_port_id);
