-- Routers show all their gateways, and how default routes go.
UPDATE routers SET doc = SUBSTR(doc, 1, LENGTH(doc) - 1) || ',"external_gateways":[' || CASE WHEN gw_port_id = '' THEN '' ELSE
    '{"network_id":"' || (SELECT p.network_id FROM ports p WHERE p.id = routers.gw_port_id) || '","external_fixed_ips":['
    || COALESCE((SELECT STRING_AGG('{"subnet_id":"' || i.subnet_id || '","ip_address":"' || i.ip || '"}', ',') FROM ip_allocations i WHERE i.port_id = routers.gw_port_id), '')
    || ']}' END || '],"enable_default_route_ecmp":false}';
