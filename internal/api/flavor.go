package api

import (
	"net/http"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/flavor"
	"github.com/weftnet/weft/internal/store"
)

// RegisterFlavors adds flavors, service profiles and providers.
func RegisterFlavors(s *Server, svc *flavor.Service) {
	Register(s, &Resource[weft.Flavor]{
		Singular: "flavor", Plural: "flavors", Table: store.Flavors,
		Implements: []string{"flavors"},
		Attrs: table(identOnly(), ext("flavors",
			row("name", "CUVFS", "", text(255)),
			row("description", "CUVFS", "", text(1024).orNull()),
			row("service_type", "CVFSR", Unset, text(255)),
			row("service_profiles", "CUV", []any{}, textList(36, maxFew)),
			row("enabled", "CUVFS", true, boolean.orNull()))),
		Create: func(tx *store.Tx, f *weft.Flavor, rq Request) error {
			f.Enabled = f.Enabled || rq.Values["enabled"] == nil
			return svc.CreateFlavor(tx, f)
		},
		Update: func(tx *store.Tx, old, f *weft.Flavor, rq Request) error {
			if rq.Values["enabled"] == nil {
				f.Enabled = old.Enabled
			}
			return svc.UpdateFlavor(tx, old, f)
		},
		Delete: svc.DeleteFlavor,
		Below:  map[string]Handler{"service_profiles": flavorProfiles(svc), "next_providers": nextProviders(svc)},
	})
	Register(s, &Resource[weft.ServiceProfile]{
		Singular: "service_profile", Plural: "service_profiles", Table: store.ServiceProfiles,
		Attrs: table(identOnly(), ext("flavors",
			row("description", "CUVFS", "", text(1024).orNull()),
			row("driver", "CUVFS", "", text(1024)),
			row("enabled", "CUVFS", true, boolean),
			row("metainfo", "CUVS", "", anyText))),
		Create: func(tx *store.Tx, p *weft.ServiceProfile, _ Request) error { return svc.CreateProfile(tx, p) },
		Update: func(tx *store.Tx, _, p *weft.ServiceProfile, _ Request) error { return svc.UpdateProfile(tx, p) },
		Delete: svc.DeleteProfile,
		Veiled: true,
	})
	s.Special("service-providers", serviceProviders(svc.Providers()), "service-type")
	s.Describe("service-providers", "Who provides advanced services.", "GET")
	s.Describe("flavors/{flavor_id}/service_profiles", "The service profiles of a flavor.", "POST")
	s.Describe("flavors/{flavor_id}/service_profiles/{profile_id}", "One of them.", "DELETE")
	s.Describe("flavors/{flavor_id}/next_providers", "Who provides what a flavor stands for.", "GET")
}

// flavorProfiles gives a flavor service profiles and takes them away.
func flavorProfiles(svc *flavor.Service) Handler {
	return func(rq *httpRequest, id string, rest []string) error {
		switch method := rq.r.Method; {
		case method == http.MethodPost && len(rest) == 0:
			return bindProfile(rq, svc, id)
		case method == http.MethodDelete && len(rest) == 1:
			return rq.unbind("delete_flavor_service_profile", id, rest[0], svc.Unbind)
		case len(rest) > 1:
			return notFound()
		}
		return notAllowed()
	}
}

// bindProfile answers with the id of the flavor under the name of the profile, as
// Neutron does.
func bindProfile(rq *httpRequest, svc *flavor.Service, id string) error {
	if err := rq.allow("create_flavor_service_profile"); err != nil {
		return err
	}
	body, err := rq.readBody("create_flavor_service_profile")
	if err != nil {
		return err
	}
	list, _, err := objects(body, "service_profile", "service_profiles")
	if err != nil {
		return err
	}
	v, given := list[0]["id"]
	if !given {
		return badRequest("Failed to parse request. Required attribute 'id' not specified")
	}
	if reason := uuidType.Validate(v); reason != "" {
		return badRequest("Invalid input for id. Reason: %s.", reason)
	}
	if err := rq.update(func(tx *store.Tx) error { return svc.Bind(tx, id, v.(string)) }); err != nil {
		return err
	}
	writeJSON(rq.w, http.StatusCreated, map[string]any{"service_profile": map[string]string{"id": id}})
	return nil
}

// nextProviders shows who provides what a flavor stands for. Unlike a new router it
// does not take a flavor that is switched off.
func nextProviders(svc *flavor.Service) Handler {
	return func(rq *httpRequest, id string, rest []string) error {
		if rq.r.Method != http.MethodGet || len(rest) > 0 {
			return notAllowed()
		}
		if err := rq.allow("get_flavor"); err != nil {
			return err
		}
		f, err := store.Flavors.Get(rq.read(), id)
		if err != nil {
			return err
		}
		if !f.Enabled {
			return weft.Errorf(weft.Unavailable, "FlavorDisabled", "Flavor is not enabled.")
		}
		p, err := svc.Provider(rq.read(), id)
		if err != nil {
			return err
		}
		writeJSON(rq.w, http.StatusOK, map[string]any{"next_providers": []any{map[string]string{"driver": p.Driver, "provider": p.Name}}})
		return nil
	}
}

// serviceProviders lists who provides what. Parameters that are no filters are
// ignored.
func serviceProviders(all []flavor.Provider) func(*httpRequest, []string) error {
	return func(rq *httpRequest, rest []string) error {
		if rq.r.Method != http.MethodGet || len(rest) > 0 {
			return notAllowed()
		}
		out := weft.List[map[string]any]{}
		for _, p := range all {
			if rq.matches("service_type", p.ServiceType) && rq.matches("name", p.Name) {
				out = append(out, map[string]any{"service_type": p.ServiceType, "name": p.Name, "default": false})
			}
		}
		writeJSON(rq.w, http.StatusOK, map[string]any{"service_providers": out})
		return nil
	}
}
