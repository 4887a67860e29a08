package config

import "time"

// peer is the options of a section about another service of the cloud, with the names
// that they have wherever keystoneauth reads them.
func peer(section, name string, field func(*Config) *Peer) []option {
	words := func(f func(*Peer) *string) setter { return read(func(c *Config) *string { return f(field(c)) }, text) }
	return []option{
		{section, "auth_url", "", read(func(c *Config) *string { return &field(c).AuthURL }, orNone(webURL)),
			`The Keystone at which weft logs in for ` + name + `, such as http://controller:5000/v3.
Empty: weft has nothing to do with ` + name + `.`},
		{section, "auth_type", "password", read(func(*Config) *bool { return new(bool) },
			choice(map[string]bool{"password": true, "v3password": true})), `How it logs in there: password.`},
		{section, "username", "", words(func(p *Peer) *string { return &p.Username }),
			`The user for that; role service or admin.`},
		{section, "password", "", words(func(p *Peer) *string { return &p.Password }), `The password of that user.`},
		{section, "user_domain_name", "Default", words(func(p *Peer) *string { return &p.UserDomain }), `The domain of that user.`},
		{section, "user_domain_id", "", words(func(p *Peer) *string { return &p.UserDomainID }),
			`The id of that domain, in place of its name.`},
		{section, "project_name", "service", words(func(p *Peer) *string { return &p.Project }),
			`The project in which that user has the role.`},
		{section, "project_domain_name", "Default", words(func(p *Peer) *string { return &p.ProjectDomain }),
			`The domain of that project.`},
		{section, "project_domain_id", "", words(func(p *Peer) *string { return &p.ProjectDomainID }),
			`The id of that domain, in place of its name.`},
		{section, "region_name", "", words(func(p *Peer) *string { return &p.Region }),
			`The region of ` + name + `. Empty: any.`},
		{section, "endpoint_type", "public", read(func(c *Config) *[]string { return &field(c).Interfaces },
			listOf("public", "internal", "admin")),
			`Which of the endpoints of ` + name + ` in Keystone's catalogue: public, internal or
admin; or several, of which the first is taken that there is.`},
		{section, "endpoint_override", "", read(func(c *Config) *string { return &field(c).Endpoint }, orNone(webURL)),
			`The URL of ` + name + ` in place of the catalogue's.`},
		{section, "cafile", "", words(func(p *Peer) *string { return &p.CAFile }),
			`The authorities that certify Keystone and ` + name + `, in PEM. Empty: those of the
system.`},
		{section, "insecure", "false", read(func(c *Config) *bool { return &field(c).Insecure }, boolean),
			`Whether any certificate will do.`},
		{section, "timeout", "30", read(func(c *Config) *time.Duration { return &field(c).Timeout }, duration),
			`Seconds that each of them may take to answer.`},
	}
}

// interval is a duration, or none at all.
func interval(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	return duration(s)
}
