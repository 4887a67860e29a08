package weft

// LocalIP is an address that is answered, on each host, by a port of that host.
type LocalIP struct {
	Meta
	Name           string `json:"name"`
	Description    string `json:"description"`
	LocalPortID    string `json:"local_port_id"`
	NetworkID      string `json:"network_id"`
	LocalIPAddress Addr   `json:"local_ip_address"`
	IPMode         string `json:"ip_mode"` // "translate" or "passthrough"
}

// LocalIPAssociation makes a port answer for a local IP on its host.
type LocalIPAssociation struct {
	Meta
	LocalIPID   string `json:"local_ip_id"`
	FixedPortID string `json:"fixed_port_id"`
	FixedIP     Addr   `json:"fixed_ip"`
}

// OwnerLocalIP owns the port that holds the address of a local IP.
const OwnerLocalIP = "network:local_ip"
