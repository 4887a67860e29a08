// Package cascade removes networks and routers together with what depends on them,
// in one transaction: what an operator would otherwise delete one by one in the
// order that the conflicts dictate.
package cascade

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Networks is what it needs of networks and ports.
type Networks interface {
	DeleteNetwork(tx *store.Tx, n *weft.Network) error
	DeletePort(tx *store.Tx, p *weft.Port) error
}

// Routers is what it needs of routers and floating IPs.
type Routers interface {
	UpdateRouter(tx *store.Tx, old, r *weft.Router, given weft.Given) error
	LeaveNetwork(tx *store.Tx, r *weft.Router, networkID string) error
	DeleteRouter(tx *store.Tx, r *weft.Router) error
	DeleteFloatingIP(tx *store.Tx, f *weft.FloatingIP) error
	UpdateFloatingIP(tx *store.Tx, old, f *weft.FloatingIP, given weft.Given) error
	Detach(tx *store.Tx, r *weft.Router, p *weft.Port) error
}

// Service removes with dependants. Where one is another project's, and the caller no
// admin, it does what the plain deletion does: that meets the conflict. Which rows those
// are it looks up before it begins, so that a refusal costs little; the API looks
// afterwards at what has changed and is the judge.
type Service struct {
	networks Networks
	routers  Routers

	// PortLeaving are called before a port goes, to free it of what would refuse
	// that: trunks, local IPs. Set them before the first request.
	PortLeaving []func(tx *store.Tx, p *weft.Port) error
	// RouterLeaving are called before a router goes.
	RouterLeaving []func(tx *store.Tx, r *weft.Router) error
	// AddressLeaving are called before a floating IP is taken off its port or goes.
	AddressLeaving []func(tx *store.Tx, f *weft.FloatingIP) error
}

// New makes a service.
func New(n Networks, r Routers) *Service { return &Service{networks: n, routers: r} }

// DeleteRouter removes a router with its interfaces. Floating IPs that it carries
// stay, without an association.
func (s *Service) DeleteRouter(tx *store.Tx, r *weft.Router) error {
	others, err := foreign(tx, r.ID,
		"SELECT 1 FROM floatingips WHERE router_id = ? AND project_id <> ?",
		"SELECT 1 FROM ndp_proxies WHERE router_id = ? AND project_id <> ?",
		"SELECT 1 FROM ports WHERE device_id = ? AND project_id NOT IN ('', ?)")
	if err != nil {
		return err
	}
	if others {
		return s.routers.DeleteRouter(tx, r)
	}
	if err := s.freeFloatingIPs(tx, store.Eq("router_id", r.ID)); err != nil {
		return err
	}
	for _, hook := range s.RouterLeaving {
		if err := hook(tx, r); err != nil {
			return err
		}
	}
	ports, err := store.Ports.Find(tx, store.Eq("device_id", r.ID))
	if err != nil {
		return err
	}
	for _, p := range ports {
		if slices.Contains(interfaces, p.DeviceOwner) {
			if err := s.detach(tx, r.ID, p); err != nil {
				return err
			}
		}
	}
	fresh, err := store.Routers.Get(tx, r.ID)
	if err != nil {
		return err
	}
	return s.routers.DeleteRouter(tx, fresh)
}

var interfaces = []string{weft.OwnerRouterInterface, "network:router_interface_distributed", "network:ha_router_replicated_interface"}

// detach takes an interface off a router, with the routes that lead through it.
func (s *Service) detach(tx *store.Tx, routerID string, p *weft.Port) error {
	r, err := store.Routers.Get(tx, routerID)
	if err != nil {
		return err
	}
	left, err := routesBeside(tx, r, p)
	if err != nil {
		return err
	}
	if len(left) < len(r.Routes) {
		old := weft.Clone(r)
		r.Routes = left
		if err := s.routers.UpdateRouter(tx, old, r, weft.Given{"routes": true}); err != nil {
			return err
		}
	}
	return s.routers.Detach(tx, r, p)
}

// routesBeside is the routes of a router whose next hops are on no subnet of the
// port.
func routesBeside(tx *store.Tx, r *weft.Router, p *weft.Port) ([]weft.Route, error) {
	left := slices.Clone(r.Routes)
	for _, ip := range p.FixedIPs {
		sn, err := store.Subnets.Get(tx, ip.SubnetID)
		if err != nil {
			return nil, err
		}
		left = slices.DeleteFunc(left, func(route weft.Route) bool { return sn.CIDR.Contains(route.NextHop) })
	}
	return left, nil
}

// freeFloatingIPs takes floating IPs off their ports.
func (s *Service) freeFloatingIPs(tx *store.Tx, which store.Cond) error {
	return s.eachFloatingIP(tx, which, func(f *weft.FloatingIP) error {
		if f.PortID == "" {
			return nil
		}
		old := weft.Clone(f)
		f.PortID = ""
		return s.routers.UpdateFloatingIP(tx, old, f, weft.Given{"port_id": true})
	})
}

func (s *Service) eachFloatingIP(tx *store.Tx, which store.Cond, do func(*weft.FloatingIP) error) error {
	list, err := store.FloatingIPs.Find(tx, which)
	if err != nil {
		return err
	}
	for _, f := range list {
		for _, hook := range s.AddressLeaving {
			if err := hook(tx, f); err != nil {
				return err
			}
		}
		fresh, err := store.FloatingIPs.Get(tx, f.ID)
		if err != nil {
			return err
		}
		if err := do(fresh); err != nil {
			return err
		}
	}
	return nil
}

// DeleteNetwork removes a network with its ports, the interfaces and gateways that
// routers have on it, and the floating IPs out of it. Routers stay.
func (s *Service) DeleteNetwork(tx *store.Tx, n *weft.Network) error {
	others, err := foreign(tx, n.ID,
		"SELECT 1 FROM ports WHERE network_id = ? AND project_id NOT IN ('', ?)",
		"SELECT 1 FROM routers r JOIN ports p ON p.device_id = r.id WHERE p.network_id = ? AND r.project_id <> ?",
		"SELECT 1 FROM floatingips WHERE floating_network_id = ? AND project_id <> ?")
	if err != nil {
		return err
	}
	if others {
		return s.networks.DeleteNetwork(tx, n)
	}
	if err := s.closeGateways(tx, n); err != nil {
		return err
	}
	ports, err := store.Ports.Find(tx, store.Eq("network_id", n.ID))
	if err != nil {
		return err
	}
	slices.SortStableFunc(ports, func(a, b *weft.Port) int { return rank(a) - rank(b) })
	for _, p := range ports {
		if err := s.remove(tx, p); err != nil {
			return err
		}
	}
	fresh, err := store.Networks.Get(tx, n.ID)
	if err != nil {
		return err
	}
	return s.networks.DeleteNetwork(tx, fresh)
}

// rank puts the interfaces of routers behind the ports that they lead to.
func rank(p *weft.Port) int {
	if slices.Contains(interfaces, p.DeviceOwner) {
		return 1
	}
	return 0
}

func (s *Service) remove(tx *store.Tx, p *weft.Port) error {
	for _, hook := range s.PortLeaving {
		if err := hook(tx, p); err != nil {
			return err
		}
	}
	fresh, err := store.Ports.First(tx, store.Eq("id", p.ID))
	switch {
	case err != nil || fresh == nil: // it went with something else
		return err
	case rank(fresh) == 1:
		return s.detach(tx, fresh.DeviceID, fresh)
	}
	return s.networks.DeletePort(tx, fresh)
}

// closeGateways ends what goes out by a network.
func (s *Service) closeGateways(tx *store.Tx, n *weft.Network) error {
	if !n.External {
		return nil
	}
	err := s.eachFloatingIP(tx, store.Eq("floating_network_id", n.ID), func(f *weft.FloatingIP) error { return s.routers.DeleteFloatingIP(tx, f) })
	if err != nil {
		return err
	}
	routers, err := store.Routers.Find(tx, store.Where("t.id IN (SELECT p.device_id FROM ports p WHERE p.network_id = ? AND p.device_owner = 'network:router_gateway')", n.ID))
	if err != nil {
		return err
	}
	for _, r := range routers {
		if err := s.routers.LeaveNetwork(tx, r, n.ID); err != nil {
			return err
		}
	}
	return nil
}

// foreign reports whether rows of other projects would go or change, by queries that
// take the id of the noun and the caller's project. To admins nothing is foreign.
func foreign(tx *store.Tx, id string, queries ...string) (bool, error) {
	if tx.Caller.Admin {
		return false, nil
	}
	for _, q := range queries {
		found, err := tx.Exists(q, id, tx.Caller.ProjectID)
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}
