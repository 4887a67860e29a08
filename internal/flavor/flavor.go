// Package flavor decides about flavors and service profiles: which driver a flavor
// stands for, and whether something may change while it is used.
package flavor

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Provider is who provides a service, by a driver that profiles name.
type Provider struct {
	ServiceType string
	Name        string
	Driver      string

	Distributed, HA bool // the kind of routers it provides, and no other
}

// serviceTypes are those that there can be flavors of, as Neutron spells them.
var serviceTypes = []string{"CORE", "DUMMY", "FLAVORS", "L3_ROUTER_NAT", "LOG_API", "METERING", "QOS", "REVISION_PLUGIN", "TAG", "TIMESTAMP", "TRUNK"}

// Providers are the providers of routers. They are called as in Neutron, that the
// profiles of a cloud may be carried over.
func Providers() []Provider {
	const l3, path = "L3_ROUTER_NAT", "neutron.services.l3_router.service_providers."
	return []Provider{
		{l3, "dvrha", path + "dvrha.DvrHaDriver", true, true},
		{l3, "dvr", path + "dvr.DvrDriver", true, false},
		{l3, "ha", path + "ha.HaDriver", false, true},
		{l3, "single_node", path + "single_node.SingleNodeDriver", false, false},
	}
}

// Service is the rules. All its methods run inside the transaction they are given.
type Service struct{ providers []Provider }

// New makes a service.
func New(providers []Provider) *Service { return &Service{providers} }

// Providers are those the service was made with.
func (s *Service) Providers() []Provider { return s.providers }

// CreateFlavor stores a new flavor, without profiles. The error is
// InvalidServiceType.
func (s *Service) CreateFlavor(tx *store.Tx, f *weft.Flavor) error {
	if !slices.Contains(serviceTypes, f.ServiceType) {
		return weft.Errorf(weft.BadRequest, "InvalidServiceType", "Invalid service type: %s.", f.ServiceType)
	}
	f.ServiceProfiles = nil
	return store.Flavors.Insert(tx, f)
}

// UpdateFlavor stores a changed flavor; its profiles stay.
func (s *Service) UpdateFlavor(tx *store.Tx, old, f *weft.Flavor) error {
	f.ServiceProfiles = old.ServiceProfiles
	return store.Flavors.Update(tx, f)
}

// DeleteFlavor removes a flavor. The error is FlavorInUse while a router has it.
func (s *Service) DeleteFlavor(tx *store.Tx, f *weft.Flavor) error {
	used, err := tx.IDs("SELECT id FROM routers WHERE flavor_id = ?", f.ID)
	if err != nil {
		return err
	}
	if len(used) > 0 {
		return weft.Errorf(weft.Conflict, "FlavorInUse", "Flavor %s is used by some service instance.", f.ID).BlockedBy("router", used...)
	}
	return store.Flavors.Delete(tx, f)
}

// CreateProfile stores a new profile. Errors: ServiceProfileEmpty,
// ServiceProfileDriverNotFound.
func (s *Service) CreateProfile(tx *store.Tx, p *weft.ServiceProfile) error {
	if p.Driver == "" && p.MetaInfo == "" {
		return weft.Errorf(weft.BadRequest, "ServiceProfileEmpty", "Service Profile needs either a driver or metainfo.")
	}
	if err := s.known(p.Driver); err != nil {
		return err
	}
	return store.ServiceProfiles.Insert(tx, p)
}

func (s *Service) known(driver string) error {
	if driver == "" || slices.ContainsFunc(s.providers, func(x Provider) bool { return x.Driver == driver }) {
		return nil
	}
	return driverNotFound(driver)
}

func driverNotFound(driver string) error {
	return weft.Errorf(weft.NotFound, "ServiceProfileDriverNotFound", "Service Profile driver %s could not be found.", driver)
}

// UpdateProfile stores a changed profile. Errors: ServiceProfileInUse while a flavor
// has it, ServiceProfileDriverNotFound.
func (s *Service) UpdateProfile(tx *store.Tx, p *weft.ServiceProfile) error {
	if err := unused(tx, p); err != nil {
		return err
	}
	if err := s.known(p.Driver); err != nil {
		return err
	}
	return store.ServiceProfiles.Update(tx, p)
}

// DeleteProfile removes a profile. The error is ServiceProfileInUse.
func (s *Service) DeleteProfile(tx *store.Tx, p *weft.ServiceProfile) error {
	if err := unused(tx, p); err != nil {
		return err
	}
	return store.ServiceProfiles.Delete(tx, p)
}

func unused(tx *store.Tx, p *weft.ServiceProfile) error {
	used, err := tx.IDs("SELECT flavor_id FROM flavor_profiles WHERE profile_id = ?", p.ID)
	if err == nil && len(used) > 0 {
		err = weft.Errorf(weft.Conflict, "ServiceProfileInUse", "Service Profile %s is used by some service instance.", p.ID).BlockedBy("flavor", used...)
	}
	return err
}

// Bind gives a flavor a profile. Errors: FlavorNotFound, ServiceProfileNotFound,
// FlavorServiceProfileBindingExists.
func (s *Service) Bind(tx *store.Tx, flavorID, profileID string) error {
	f, err := store.Flavors.Get(tx, flavorID)
	if err != nil {
		return err
	}
	if _, err := store.ServiceProfiles.Get(tx, profileID); err != nil {
		return err
	}
	if slices.Contains(f.ServiceProfiles, profileID) {
		return weft.Errorf(weft.Conflict, "FlavorServiceProfileBindingExists",
			"Service Profile %s is already associated with flavor %s.", profileID, flavorID)
	}
	f.ServiceProfiles = append(f.ServiceProfiles, profileID)
	return store.Flavors.Update(tx, f)
}

// Unbind takes a profile from a flavor. The error is
// FlavorServiceProfileBindingNotFound.
func (s *Service) Unbind(tx *store.Tx, flavorID, profileID string) error {
	f, err := store.Flavors.First(tx, store.Eq("id", flavorID))
	if err != nil {
		return err
	}
	if f == nil || !slices.Contains(f.ServiceProfiles, profileID) {
		return unbound(flavorID, profileID)
	}
	f.ServiceProfiles = slices.DeleteFunc(f.ServiceProfiles, func(id string) bool { return id == profileID })
	return store.Flavors.Update(tx, f)
}

func unbound(flavorID, profileID string) error {
	return weft.Errorf(weft.NotFound, "FlavorServiceProfileBindingNotFound",
		"Service Profile %s is not associated with flavor %s.", profileID, flavorID)
}

// Provider is who provides what a flavor stands for, by its first profile. Errors:
// FlavorNotFound, FlavorServiceProfileBindingNotFound when it has none,
// ServiceProfileDisabled, ServiceProfileDriverNotFound.
func (s *Service) Provider(tx *store.Tx, flavorID string) (Provider, error) {
	f, err := store.Flavors.Get(tx, flavorID)
	if err != nil {
		return Provider{}, err
	}
	if len(f.ServiceProfiles) == 0 {
		return Provider{}, unbound(flavorID, "")
	}
	p, err := store.ServiceProfiles.Get(tx, f.ServiceProfiles[0])
	if err != nil {
		return Provider{}, err
	}
	if !p.Enabled {
		return Provider{}, weft.Errorf(weft.Unavailable, "ServiceProfileDisabled", "Service Profile is not enabled.")
	}
	for _, x := range s.providers {
		if x.Driver == p.Driver {
			return x, nil
		}
	}
	return Provider{}, driverNotFound(p.Driver)
}
