package identity

import (
	"encoding/json"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// DefaultDomain is the id of the domain that every cloud has.
const DefaultDomain = "default"

func domains() *resource[weft.Domain] {
	type T = weft.Domain
	rs := &resource[T]{
		table: store.Domains, singular: "domain", plural: "domains",
		fields: []field[T]{
			name("name", 64, func(d *T) *string { return &d.Name }).require(),
			note("description", func(d *T) *string { return &d.Description }),
			flag("enabled", func(d *T) *bool { return &d.Enabled }),
			tags(func(d *T) *weft.List[string] { return &d.Tags }),
			options(func(d *T) *weft.Extra { return &d.Options }),
		},
		extra:   func(d *T) *weft.Extra { return &d.Extra },
		filters: []string{"name", "enabled"}, flags: []string{"enabled"},
		fresh: func(*request) *T { return &T{Enabled: true} },
		mine: func(g *grant, d *T) bool {
			return d.ID == g.user.DomainID || g.domain != nil && d.ID == g.domain.ID
		},
		remove: removeDomain,
	}
	rs.check = func(tx *store.Tx, v, old *T, _ map[string]json.RawMessage) error {
		if old != nil && old.Enabled && !v.Enabled {
			v.Epoch++
		}
		return rs.unique(tx, v, "name "+v.Name, store.Eq("name", v.Name))
	}
	return rs
}

func (m router) domains() { serve(m, domains()) }

func removeDomain(tx *store.Tx, d *weft.Domain) error {
	if d.ID == DefaultDomain {
		return forbidden("Cannot delete the default domain")
	}
	if d.Enabled {
		return forbidden("Cannot delete a domain that is enabled, please disable it first")
	}
	here := store.Eq("domain_id", d.ID)
	if err := users().dropAll(tx, here); err != nil {
		return err
	}
	if err := groups().dropAll(tx, here); err != nil {
		return err
	}
	if err := dropProjectsOf(tx, here); err != nil {
		return err
	}
	if err := roleResource().dropAll(tx, here); err != nil {
		return err
	}
	return dropAssignments(tx, store.Eq("target_id", d.ID), store.Eq("target_type", weft.TargetDomain))
}

// domainOf loads the domain a noun is created in.
func domainOf(tx *store.Tx, id string) (*weft.Domain, error) {
	d, err := store.Domains.Get(tx, id)
	if weft.IsKind(err, weft.NotFound) {
		return nil, notFound("domain", id)
	}
	return d, err
}

// home is the domain that what is created belongs to unless the request says.
func (q *request) home() string {
	if q.grant.domain != nil {
		return q.grant.domain.ID
	}
	return q.grant.user.DomainID
}
