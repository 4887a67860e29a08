package l3

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// A router's gateways are its first, which external_gateway_info tells of, and further
// ones. All lead out; whether traffic without a route of its own goes by all or by the
// first only is enable_default_route_ecmp.

// way is one gateway of a router and its port.
type way struct {
	port string
	weft.ExternalGateway
}

// further is the gateways beyond the first.
func further(r *weft.Router) (out []way) {
	first := len(r.ExternalGateways) - len(r.FurtherGatewayPorts)
	for i, port := range r.FurtherGatewayPorts {
		out = append(out, way{port, r.ExternalGateways[first+i]})
	}
	return out
}

// ways is all gateways.
func ways(r *weft.Router) []way {
	if r.GatewayPortID == "" {
		return further(r)
	}
	first := way{r.GatewayPortID, weft.ExternalGateway{NetworkID: r.Gateway.NetworkID, ExternalFixedIPs: r.Gateway.ExternalFixedIPs}}
	return append([]way{first}, further(r)...)
}

// showGateways makes a router show its first gateway, as it is, and the further ones.
func showGateways(r *weft.Router, further []way) {
	r.FurtherGatewayPorts = nil
	for _, w := range further {
		r.FurtherGatewayPorts = append(r.FurtherGatewayPorts, w.port)
	}
	r.ExternalGateways = nil
	if r.GatewayPortID != "" {
		r.ExternalGateways = append(r.ExternalGateways, weft.ExternalGateway{NetworkID: r.Gateway.NetworkID, ExternalFixedIPs: slices.Clone(r.Gateway.ExternalFixedIPs)})
	}
	for _, w := range further {
		r.ExternalGateways = append(r.ExternalGateways, w.ExternalGateway)
	}
}

// promote makes the first of the further gateways the first of all if there is none.
// As in Neutron it translates sources, whatever the former did, and has no QoS policy.
func promote(r *weft.Router) {
	all := further(r)
	if r.GatewayPortID != "" || len(all) == 0 {
		return
	}
	makeFirst(r, all[0], all[1:])
	r.Gateway.EnableSNAT = true
}

func makeFirst(r *weft.Router, w way, others []way) {
	g := &weft.Gateway{NetworkID: w.NetworkID, ExternalFixedIPs: slices.Clone(w.ExternalFixedIPs)}
	if r.Gateway != nil {
		g.EnableSNAT, g.QoSPolicyID = r.Gateway.EnableSNAT, r.Gateway.QoSPolicyID
	}
	r.GatewayPortID, r.Gateway = w.port, g
	showGateways(r, others)
}

// AddGateways gives a router gateways beside those it has. If it has none the first
// becomes its first; of the others only the network and the addresses count. It
// returns the router as stored. Errors: those of openGateway.
func (s *Service) AddGateways(tx *store.Tx, old *weft.Router, list []*weft.Gateway) (*weft.Router, error) {
	r := weft.Clone(old)
	if err := s.addGateways(tx, r, list); err != nil {
		return nil, err
	}
	return r, s.saveGateways(tx, old, r)
}

func (s *Service) addGateways(tx *store.Tx, r *weft.Router, list []*weft.Gateway) error {
	for _, want := range list {
		if r.GatewayPortID == "" {
			if err := s.openGateway(tx, r, copied(want)); err != nil {
				return err
			}
			continue
		}
		p, err := s.gatewayPort(tx, r, want)
		if err != nil {
			return err
		}
		showGateways(r, append(further(r), way{p.ID, weft.ExternalGateway{NetworkID: p.NetworkID, ExternalFixedIPs: p.FixedIPs}}))
	}
	return nil
}

// RemoveGateways takes gateways from a router, each named by its network and, if the
// router has several there, by an address. When the first goes a further one takes its
// place. Errors: UnableToRemoveGateways if there are none, UnableToMatchGateways,
// RouterExternalGatewayInUseByFloatingIp.
func (s *Service) RemoveGateways(tx *store.Tx, old *weft.Router, list []*weft.Gateway) (*weft.Router, error) {
	if len(list) > 0 && old.GatewayPortID == "" {
		return nil, weft.Errorf(weft.BadRequest, "UnableToRemoveGateways", "Unable to remove extra gateways from a router %s", old.ID)
	}
	gone := map[string]bool{}
	for _, want := range list {
		if _, err := externalSubnets(tx, want); err != nil {
			return nil, err
		}
		w, err := match(old, want)
		if err == nil && w == nil {
			err = unmatched(old)
		}
		if err != nil {
			return nil, err
		}
		gone[w.port] = true
	}
	r := weft.Clone(old)
	if err := s.removeGateways(tx, r, gone); err != nil {
		return nil, err
	}
	return r, s.saveGateways(tx, old, r)
}

// removeGateways takes the gateways of ports away, the first after the others.
func (s *Service) removeGateways(tx *store.Tx, r *weft.Router, gone map[string]bool) error {
	for _, w := range further(r) {
		if !gone[w.port] {
			continue
		}
		if err := s.closeFurther(tx, r, w); err != nil {
			return err
		}
	}
	if !gone[r.GatewayPortID] {
		return nil
	}
	err := s.closeGateway(tx, r)
	promote(r)
	return err
}

func (s *Service) closeFurther(tx *store.Tx, r *weft.Router, w way) error {
	other := func(o way) bool { return o.port == w.port }
	if err := needless(tx, r, w.NetworkID, slices.DeleteFunc(ways(r), other)); err != nil {
		return err
	}
	showGateways(r, slices.DeleteFunc(further(r), other))
	p, err := store.Ports.Get(tx, w.port)
	if err != nil {
		return err
	}
	return s.ports.DeletePort(tx, p)
}

// closeGateways takes all gateways of a router away.
func (s *Service) closeGateways(tx *store.Tx, r *weft.Router) error {
	for _, w := range further(r) {
		if err := s.closeFurther(tx, r, w); err != nil {
			return err
		}
	}
	return s.closeGateway(tx, r)
}

// LeaveNetwork takes away the gateways that a router has on a network.
func (s *Service) LeaveNetwork(tx *store.Tx, old *weft.Router, networkID string) error {
	r, gone := weft.Clone(old), map[string]bool{}
	for _, w := range ways(r) {
		gone[w.port] = w.NetworkID == networkID
	}
	if err := s.removeGateways(tx, r, gone); err != nil {
		return err
	}
	return s.saveGateways(tx, old, r)
}

// UpdateGateways makes the gateways of a router those of a list, in which the first is
// the first. One that is matched, as in RemoveGateways, stays and has its addresses
// changed; what the list lacks goes. Errors: those of AddGateways and RemoveGateways.
func (s *Service) UpdateGateways(tx *store.Tx, old *weft.Router, list []*weft.Gateway) (*weft.Router, error) {
	r := weft.Clone(old)
	update := s.updateGateways
	if len(list) == 0 {
		update = func(tx *store.Tx, r *weft.Router, _ []*weft.Gateway) error { return s.closeGateways(tx, r) }
	}
	if err := update(tx, r, list); err != nil {
		return nil, err
	}
	return r, s.saveGateways(tx, old, r)
}

func (s *Service) updateGateways(tx *store.Tx, r *weft.Router, list []*weft.Gateway) error {
	for _, want := range list {
		if _, err := externalSubnets(tx, want); err != nil {
			return err
		}
	}
	if err := s.updateFirst(tx, r, list[0]); err != nil {
		return err
	}
	keep, fresh := map[string]bool{r.GatewayPortID: true}, []*weft.Gateway{}
	for _, want := range list[1:] {
		w, err := match(r, want)
		switch {
		case err != nil:
			return err
		case w == nil:
			fresh = append(fresh, want)
			continue
		}
		keep[w.port] = true
		if err := s.updateFurther(tx, r, w, want); err != nil {
			return err
		}
	}
	gone := map[string]bool{}
	for _, w := range further(r) {
		gone[w.port] = !keep[w.port]
	}
	if err := s.removeGateways(tx, r, gone); err != nil {
		return err
	}
	return s.addGateways(tx, r, fresh)
}

// updateFirst makes the gateway that is matched the first, or else changes the first.
func (s *Service) updateFirst(tx *store.Tx, r *weft.Router, want *weft.Gateway) error {
	w, err := match(r, want)
	if err != nil {
		return err
	}
	if w != nil && w.port != r.GatewayPortID {
		makeFirst(r, *w, slices.DeleteFunc(ways(r), func(o way) bool { return o.port == w.port }))
	}
	want = copied(want)
	if r.Gateway != nil {
		want.QoSPolicyID = r.Gateway.QoSPolicyID
	}
	return s.changeGateway(tx, r, want)
}

func (s *Service) updateFurther(tx *store.Tx, r *weft.Router, w *way, want *weft.Gateway) error {
	if w.port == r.GatewayPortID || !differs(w.ExternalFixedIPs, want.ExternalFixedIPs) {
		return nil
	}
	held, err := s.readdress(tx, w.port, want.ExternalFixedIPs)
	if err != nil {
		return err
	}
	all := further(r)
	for i := range all {
		if all[i].port == w.port {
			all[i].ExternalFixedIPs = held
		}
	}
	showGateways(r, all)
	return nil
}

// match finds the gateway that a request means: one with an address that it names, or
// if it names none the only one on its network. Nil is that there is none; the error
// is UnableToMatchGateways when it names no address and there are several.
func match(r *weft.Router, want *weft.Gateway) (*way, error) {
	on := slices.DeleteFunc(ways(r), func(w way) bool { return w.NetworkID != want.NetworkID })
	named := addressesOf(want.ExternalFixedIPs)
	switch {
	case len(on) == 0:
		return nil, nil
	case len(named) > 0:
		i := slices.IndexFunc(on, func(w way) bool { return meet(addressesOf(w.ExternalFixedIPs), named) })
		if i < 0 {
			return nil, nil
		}
		return &on[i], nil
	case len(on) > 1:
		return nil, unmatched(r)
	}
	return &on[0], nil
}

func meet(a, b map[netip.Addr]bool) bool {
	for x := range maps.Keys(a) {
		if b[x] {
			return true
		}
	}
	return false
}

func unmatched(r *weft.Router) error {
	return weft.Errorf(weft.BadRequest, "UnableToMatchGateways",
		"Unable to match a requested gateway port to existing gateway ports for router %s", r.ID)
}

// saveGateways stores a router whose gateways have changed.
func (s *Service) saveGateways(tx *store.Tx, old, r *weft.Router) error {
	if err := checkRoutes(tx, r); err != nil {
		return err
	}
	given := weft.Given{givenGateway: old.GatewayPortID != r.GatewayPortID}
	return s.update(tx, old, r, given)
}
