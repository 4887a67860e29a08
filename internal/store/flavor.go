package store

import "github.com/weftnet/weft"

// Flavors keeps flavors, which everybody sees, and beside them which service
// profiles they have.
var Flavors = Table[weft.Flavor]{
	Name: "flavors", Noun: "flavor", NotFound: "FlavorNotFound",
	Columns: []Column[weft.Flavor]{
		{Name: "name", Value: func(f *weft.Flavor) any { return f.Name }},
		{Name: "description", Value: func(f *weft.Flavor) any { return f.Description }},
		{Name: "service_type", Value: func(f *weft.Flavor) any { return f.ServiceType }},
		{Name: "enabled", Value: func(f *weft.Flavor) any { return btoi(f.Enabled) }},
	},
	Visible: func(*weft.Caller) Cond { return Where("1 = 1") },
	Index:   indexProfiles,
}.Ready()

// ServiceProfiles keeps service profiles.
var ServiceProfiles = Table[weft.ServiceProfile]{
	Name: "service_profiles", Noun: "service_profile", NotFound: "ServiceProfileNotFound", Label: "Service Profile",
	Columns: []Column[weft.ServiceProfile]{
		{Name: "description", Value: func(p *weft.ServiceProfile) any { return p.Description }},
		{Name: "driver", Value: func(p *weft.ServiceProfile) any { return p.Driver }},
		{Name: "enabled", Value: func(p *weft.ServiceProfile) any { return btoi(p.Enabled) }},
		{Name: "metainfo", Value: func(p *weft.ServiceProfile) any { return p.MetaInfo }},
	},
	Visible: func(*weft.Caller) Cond { return Where("1 = 0") },
}.Ready()

func indexProfiles(tx *Tx, old, f *weft.Flavor) error {
	if old != nil {
		if _, err := tx.Exec("DELETE FROM flavor_profiles WHERE flavor_id = ?", old.ID); err != nil {
			return err
		}
	}
	if f == nil {
		return nil
	}
	for _, id := range f.ServiceProfiles {
		if _, err := tx.Exec("INSERT INTO flavor_profiles (flavor_id, profile_id) VALUES (?, ?)", f.ID, id); err != nil {
			return err
		}
	}
	return nil
}
