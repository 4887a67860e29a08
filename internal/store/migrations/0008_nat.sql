CREATE TABLE port_forwardings (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  floatingip_id TEXT NOT NULL REFERENCES floatingips (id), internal_port_id TEXT NOT NULL REFERENCES ports (id),
  description TEXT NOT NULL, protocol TEXT NOT NULL, external_port INTEGER NOT NULL, external_port_range TEXT NOT NULL
);
CREATE INDEX port_forwardings_floatingip ON port_forwardings (floatingip_id);
CREATE INDEX port_forwardings_port ON port_forwardings (internal_port_id);

CREATE TABLE conntrack_helpers (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  router_id TEXT NOT NULL REFERENCES routers (id), protocol TEXT NOT NULL, port INTEGER NOT NULL, helper TEXT NOT NULL
);
CREATE UNIQUE INDEX conntrack_helpers_router ON conntrack_helpers (router_id, protocol, port, helper);

CREATE TABLE ndp_proxies (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, router_id TEXT NOT NULL REFERENCES routers (id),
  port_id TEXT NOT NULL REFERENCES ports (id), ip_address TEXT NOT NULL
);
CREATE INDEX ndp_proxies_project ON ndp_proxies (project_id);
CREATE INDEX ndp_proxies_router ON ndp_proxies (router_id);
CREATE INDEX ndp_proxies_port ON ndp_proxies (port_id);
