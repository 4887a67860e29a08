package weft

// NDPProxy publishes an IPv6 address of a port on the external network of a router:
// the router answers there for the address and lets in what is for it.
type NDPProxy struct {
	Meta
	Name        string `json:"name"`
	Description string `json:"description"`
	RouterID    string `json:"router_id"`
	PortID      string `json:"port_id"`
	IPAddress   Addr   `json:"ip_address"`
}
