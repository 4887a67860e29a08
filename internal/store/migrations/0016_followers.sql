-- Who follows the change log under a name, how far it has come, and which server does it.
CREATE TABLE followers (
  name TEXT PRIMARY KEY, seq BIGINT NOT NULL, holder TEXT NOT NULL, term BIGINT NOT NULL, beat BIGINT NOT NULL, seen BIGINT NOT NULL
);
