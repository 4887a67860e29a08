CREATE TABLE trunks (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, port_id TEXT NOT NULL UNIQUE REFERENCES ports (id),
  admin_state_up INTEGER NOT NULL, status TEXT NOT NULL
);
CREATE INDEX trunks_project ON trunks (project_id);
CREATE TABLE trunk_subports (
  port_id TEXT PRIMARY KEY REFERENCES ports (id), trunk_id TEXT NOT NULL REFERENCES trunks (id) ON DELETE CASCADE,
  segmentation_type TEXT NOT NULL, segmentation_id BIGINT NOT NULL,
  UNIQUE (trunk_id, segmentation_type, segmentation_id)
);

CREATE TABLE port_bindings (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE, host TEXT NOT NULL, UNIQUE (port_id, host)
);
CREATE INDEX port_bindings_host ON port_bindings (host);
