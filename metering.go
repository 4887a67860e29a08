package weft

// MeteringLabel names traffic that is counted, by its rules.
type MeteringLabel struct {
	Meta
	Name        string `json:"name"`
	Description string `json:"description"`
	Shared      bool   `json:"shared"` // counts the traffic of every project's routers
}

// MeteringLabelRule says which traffic of a router counts for a label. A rule has
// either a remote prefix or those of source and destination; null is any.
type MeteringLabelRule struct {
	Meta
	MeteringLabelID     string `json:"metering_label_id"`
	Direction           string `json:"direction"`
	RemoteIPPrefix      ID     `json:"remote_ip_prefix"`
	SourceIPPrefix      ID     `json:"source_ip_prefix"`
	DestinationIPPrefix ID     `json:"destination_ip_prefix"`
	Excluded            bool   `json:"excluded"` // does not count, whatever other rules say
}
