package l3

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// maxRoutes is how many extra routes a router can have.
const maxRoutes = 30

// checkRoutes refuses, as InvalidRoutes, next hops that the router is not
// connected with or that are its own, and as RoutesExhausted too many routes.
func checkRoutes(tx *store.Tx, r *weft.Router) error {
	if len(r.Routes) == 0 {
		return nil
	}
	if len(r.Routes) > maxRoutes {
		return weft.Errorf(weft.BadRequest, "RoutesExhausted",
			"Unable to complete operation for %s. The number of routes exceeds the maximum %d.", r.ID, maxRoutes)
	}
	a, err := attachmentsOf(tx, r)
	if err != nil {
		return err
	}
	for _, route := range r.Routes {
		if !slices.ContainsFunc(a.subnets, func(s *weft.Subnet) bool { return s.CIDR.Contains(route.NextHop) }) {
			return invalidRoutes(r, "the nexthop is not connected with router")
		}
		for _, p := range a.all() {
			if slices.ContainsFunc(p.FixedIPs, func(ip weft.FixedIP) bool { return ip.IPAddress == route.NextHop }) {
				return invalidRoutes(r, "the nexthop is used by router")
			}
		}
	}
	return nil
}

func invalidRoutes(r *weft.Router, reason string) error {
	var list []string
	for _, route := range r.Routes {
		list = append(list, fmt.Sprintf("{'destination': '%s', 'nexthop': '%s'}", route.Destination, route.NextHop))
	}
	return weft.Errorf(weft.BadRequest, "InvalidRoutes", "Invalid format for routes: [%s], %s", strings.Join(list, ", "), reason)
}

// AddExtraRoutes adds routes to a router; those it has already are no error. It
// returns the router as stored. Errors: those of UpdateRouter about routes.
func (s *Service) AddExtraRoutes(tx *store.Tx, r *weft.Router, routes []weft.Route) (*weft.Router, error) {
	changed := weft.Clone(r)
	has := routeSet(changed.Routes)
	for _, route := range routes {
		if !has[route] {
			has[route] = true
			changed.Routes = append(changed.Routes, route)
		}
	}
	return changed, s.UpdateRouter(tx, r, changed, weft.Given{"routes": true})
}

// RemoveExtraRoutes removes routes from a router; those it does not have are no
// error. It returns the router as stored.
func (s *Service) RemoveExtraRoutes(tx *store.Tx, r *weft.Router, routes []weft.Route) (*weft.Router, error) {
	changed := weft.Clone(r)
	less := routeSet(routes)
	changed.Routes = slices.DeleteFunc(changed.Routes, func(route weft.Route) bool { return less[route] })
	return changed, s.UpdateRouter(tx, r, changed, weft.Given{"routes": true})
}

func routeSet(routes []weft.Route) map[weft.Route]bool {
	set := make(map[weft.Route]bool, len(routes))
	for _, route := range routes {
		set[route] = true
	}
	return set
}
