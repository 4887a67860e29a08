package weft

// Log asks for a log of what a security group admits or drops.
type Log struct {
	Meta
	Name         string `json:"name"`
	Description  string `json:"description"`
	ResourceType string `json:"resource_type"`
	ResourceID   ID     `json:"resource_id"` // a security group; null is any
	TargetID     ID     `json:"target_id"`   // a port; null is any
	Event        string `json:"event"`       // "ACCEPT", "DROP" or "ALL"
	Enabled      bool   `json:"enabled"`
}
