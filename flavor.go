package weft

// Flavor is a kind of service that an operator offers by a name of its own. What it
// is made of is in its service profiles.
type Flavor struct {
	Meta
	Name            string       `json:"name"`
	Description     string       `json:"description"`
	ServiceType     string       `json:"service_type"`
	Enabled         bool         `json:"enabled"`
	ServiceProfiles List[string] `json:"service_profiles"`
}

// ServiceProfile names the driver that realises flavors, and what it is to know.
type ServiceProfile struct {
	Meta
	Description string `json:"description"`
	Driver      string `json:"driver"`
	Enabled     bool   `json:"enabled"`
	MetaInfo    string `json:"metainfo"`
}
