-- Segments are nouns of their own; which are taken is what was segment_allocations.
CREATE TABLE segments (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE, name TEXT NOT NULL, description TEXT NOT NULL,
  network_type TEXT NOT NULL, physical_network TEXT NOT NULL, segmentation_id BIGINT NOT NULL
);
CREATE INDEX segments_network ON segments (network_id);
CREATE INDEX segments_taken ON segments (network_type, physical_network, segmentation_id);
INSERT INTO segments (id, project_id, revision, doc, network_id, name, description, network_type, physical_network, segmentation_id)
  SELECT o.id, '', 1, '{"id":"' || o.id || '","tenant_id":"","project_id":"","created_at":"2026-11-21T00:00:00Z","updated_at":"2026-11-21T00:00:00Z",'
    || '"revision_number":1,"tags":[],"network_id":"' || o.network_id || '","name":null,"description":null,"network_type":"' || o.network_type
    || '","physical_network":' || CASE WHEN o.physical_network = '' THEN 'null' ELSE '"' || o.physical_network || '"' END
    || ',"segmentation_id":' || CASE WHEN o.segmentation_id = 0 THEN 'null' ELSE CAST(o.segmentation_id AS TEXT) END || '}',
    o.network_id, '', '', o.network_type, o.physical_network, o.segmentation_id
  FROM (SELECT a.*, SUBSTR(a.network_id, 1, 33) || CAST(100 + ROW_NUMBER() OVER
    (PARTITION BY a.network_id ORDER BY a.network_type, a.physical_network, a.segmentation_id) AS TEXT) AS id FROM segment_allocations a) o;
DROP TABLE segment_allocations;

CREATE TABLE network_segment_ranges (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL, revision BIGINT NOT NULL, doc TEXT NOT NULL,
  name TEXT NOT NULL, description TEXT NOT NULL, is_default INTEGER NOT NULL, shared INTEGER NOT NULL,
  network_type TEXT NOT NULL, physical_network TEXT NOT NULL, minimum BIGINT NOT NULL, maximum BIGINT NOT NULL
);
CREATE INDEX network_segment_ranges_type ON network_segment_ranges (network_type, physical_network);
CREATE INDEX subnets_segment ON subnets (segment_id);
