CREATE TABLE application_credentials (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id), name TEXT NOT NULL
);
CREATE UNIQUE INDEX application_credentials_name ON application_credentials (user_id, name);
CREATE INDEX application_credentials_project ON application_credentials (project_id);
CREATE TABLE application_credential_secrets (
  credential_id TEXT PRIMARY KEY REFERENCES application_credentials (id) ON DELETE CASCADE, hash TEXT NOT NULL
);
CREATE TABLE access_rules (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id), service TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL
);
CREATE UNIQUE INDEX access_rules_user ON access_rules (user_id, service, method, path);
