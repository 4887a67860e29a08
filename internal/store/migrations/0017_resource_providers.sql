-- What this cloud has made in Placement, so that it takes away what it no longer needs
-- and nothing else.
CREATE TABLE resource_providers (
	uuid TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	host TEXT NOT NULL
)
