CREATE TABLE domains (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL
);
CREATE TABLE projects (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, domain_id TEXT NOT NULL REFERENCES domains (id), parent_id TEXT NOT NULL, enabled INTEGER NOT NULL
);
CREATE UNIQUE INDEX projects_name ON projects (domain_id, name);
CREATE INDEX projects_parent ON projects (parent_id);
CREATE TABLE users (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, domain_id TEXT NOT NULL REFERENCES domains (id), default_project_id TEXT NOT NULL, enabled INTEGER NOT NULL
);
CREATE UNIQUE INDEX users_name ON users (domain_id, name);
CREATE TABLE user_passwords (user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE, hash TEXT NOT NULL);
CREATE TABLE user_groups (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, domain_id TEXT NOT NULL REFERENCES domains (id)
);
CREATE UNIQUE INDEX user_groups_name ON user_groups (domain_id, name);
CREATE TABLE group_members (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  group_id TEXT NOT NULL REFERENCES user_groups (id), user_id TEXT NOT NULL REFERENCES users (id)
);
CREATE UNIQUE INDEX group_members_user ON group_members (user_id, group_id);
CREATE INDEX group_members_group ON group_members (group_id);
CREATE TABLE roles (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, domain_id TEXT NOT NULL
);
CREATE UNIQUE INDEX roles_name ON roles (name, domain_id);
CREATE TABLE role_assignments (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  role_id TEXT NOT NULL REFERENCES roles (id), actor_type TEXT NOT NULL, actor_id TEXT NOT NULL,
  target_type TEXT NOT NULL, target_id TEXT NOT NULL
);
CREATE UNIQUE INDEX role_assignments_actor ON role_assignments (actor_id, target_id, target_type, actor_type, role_id);
CREATE INDEX role_assignments_target ON role_assignments (target_id, target_type);
CREATE INDEX role_assignments_role ON role_assignments (role_id);

CREATE TABLE regions (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL, parent_region_id TEXT NOT NULL
);
CREATE TABLE services (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, type TEXT NOT NULL, enabled INTEGER NOT NULL
);
CREATE TABLE endpoints (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  service_id TEXT NOT NULL REFERENCES services (id), interface TEXT NOT NULL, region_id TEXT NOT NULL, enabled INTEGER NOT NULL
);
CREATE INDEX endpoints_service ON endpoints (service_id);

CREATE TABLE revocations (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL, expires BIGINT NOT NULL
);
CREATE INDEX revocations_expires ON revocations (expires);
