package weft

// ConntrackHelper has a router watch connections to a port for further ones that
// belong to them, as those of FTP data.
type ConntrackHelper struct {
	Meta
	RouterID string `json:"router_id"` // not on the wire
	Protocol string `json:"protocol"`  // by name: "tcp"
	Port     int    `json:"port"`
	Helper   string `json:"helper"` // of the kernel: "ftp"
}
