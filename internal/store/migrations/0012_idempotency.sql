CREATE TABLE idempotency_keys (
  project_id TEXT NOT NULL, user_id TEXT NOT NULL, idempotency_key TEXT NOT NULL, request TEXT NOT NULL,
  body TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (project_id, user_id, idempotency_key)
);
CREATE INDEX idempotency_keys_at ON idempotency_keys (at);
