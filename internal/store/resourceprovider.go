package store

// ResourceProvider is one that this cloud has made in Placement, or was about to make.
type ResourceProvider struct {
	UUID string
	Name string
	Host string // of the agent that it stands for
}

// ResourceProviders are all of them, those below others first.
func (tx *Tx) ResourceProviders() (out []ResourceProvider, err error) {
	// The name of what is below begins with that of what is above.
	err = tx.Query("SELECT uuid, name, host FROM resource_providers ORDER BY name DESC", nil, func(scan func(...any) error) error {
		var p ResourceProvider
		err := scan(&p.UUID, &p.Name, &p.Host)
		out = append(out, p)
		return err
	})
	return out, err
}

// KeepResourceProvider remembers one.
func (tx *Tx) KeepResourceProvider(p ResourceProvider) error {
	_, err := tx.Exec(`INSERT INTO resource_providers (uuid, name, host) VALUES (?, ?, ?)
		ON CONFLICT (uuid) DO UPDATE SET name = excluded.name, host = excluded.host`, p.UUID, p.Name, p.Host)
	return err
}

// ForgetResourceProvider forgets one that is gone.
func (tx *Tx) ForgetResourceProvider(uuid string) error {
	_, err := tx.Exec("DELETE FROM resource_providers WHERE uuid = ?", uuid)
	return err
}
