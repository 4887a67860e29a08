-- 1 where a host is only chosen: it is to answer when a port of the network is bound.
ALTER TABLE dhcp_hosts ADD COLUMN tentative INTEGER NOT NULL DEFAULT 0;
