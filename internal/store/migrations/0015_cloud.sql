-- What this cloud is called where several may be: on hosts. Made once, by the engine.
CREATE TABLE cloud (id TEXT PRIMARY KEY);
INSERT INTO cloud (id) VALUES (RANDOM_ID)
