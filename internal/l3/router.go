package l3

import (
	"strings"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// The members of external_gateway_info that a request named are themselves in
// given, spelled as the policy rules spell them.
const (
	givenECMP     = "enable_default_route_ecmp"
	givenGateway  = "external_gateway_info"
	givenSNAT     = givenGateway + ":enable_snat"
	givenFixedIPs = givenGateway + ":external_fixed_ips"
	givenQoS      = givenGateway + ":qos_policy_id"
)

// CreateRouter stores a new router, with a port for its gateway if it has one. Of
// the gateway only what given names counts: enable_snat is true unless
// "external_gateway_info:enable_snat" is given, addresses are chosen unless
// "external_gateway_info:external_fixed_ips" is. Errors: those of a gateway, see
// openGateway; AvailabilityZoneNotFound, FlavorNotFound.
func (s *Service) CreateRouter(tx *store.Tx, r *weft.Router, given weft.Given) error {
	if err := checkHints(tx, r); err != nil {
		return err
	}
	if err := s.checkFlavor(tx, r, given); err != nil {
		return err
	}
	if r.ID == "" {
		r.ID = uuid.NewString() // the gateway's port names it
	}
	s.chooseKind(r, given)
	want := asked(r.Gateway, given)
	r.Status, r.Routes, r.Gateway, r.GatewayPortID, r.HostID = weft.StatusActive, nil, nil, "", ""
	r.ExternalGateways, r.FurtherGatewayPorts = nil, nil
	if want != nil {
		if err := s.checkQoS(tx, "", want.QoSPolicyID); err != nil {
			return err
		}
		if err := s.openGateway(tx, r, want); err != nil {
			return err
		}
	}
	if err := s.saving(tx, nil, r, given); err != nil {
		return err
	}
	if err := s.settle(tx, nil, r); err != nil {
		return err
	}
	return store.Routers.Insert(tx, r)
}

// checkHints refuses zones in which there is no L3 agent.
func checkHints(tx *store.Tx, r *weft.Router) error {
	for _, zone := range r.AvailabilityZoneHints {
		n, err := store.Agents.Count(tx, store.Eq("agent_type", weft.AgentL3), store.Eq("availability_zone", zone))
		if err != nil {
			return err
		}
		if n == 0 {
			return weft.Errorf(weft.NotFound, "AvailabilityZoneNotFound", "AvailabilityZone %s could not be found.", zone)
		}
	}
	return nil
}

// UpdateRouter stores a changed router. An external_gateway_info that is given
// replaces the first gateway, as in CreateRouter; nil takes it away, and a further one
// becomes the first. Routes are checked
// against the router as it will be. Errors: those of openGateway and closeGateway,
// InvalidRoutes, RoutesExhausted, BadRequest when the kind of the router is to change
// while it is up.
func (s *Service) UpdateRouter(tx *store.Tx, old, r *weft.Router, given weft.Given) error {
	if err := s.keepFlavor(tx, old, r, given); err != nil {
		return err
	}
	if err := changeKind(old, r, given); err != nil {
		return err
	}
	if !given[givenECMP] {
		r.EnableDefaultRouteECMP = old.EnableDefaultRouteECMP
	}
	want := asked(r.Gateway, given)
	if want != nil && !given[givenQoS] && old.Gateway != nil {
		want.QoSPolicyID = old.Gateway.QoSPolicyID
	}
	r.HostID, r.GatewayPortID, r.Gateway = old.HostID, old.GatewayPortID, copied(old.Gateway)
	if given[givenGateway] {
		if err := s.changeGateway(tx, r, want); err != nil {
			return err
		}
	}
	if given["routes"] || given[givenGateway] && len(r.Routes) > 0 {
		if err := checkRoutes(tx, r); err != nil {
			return err
		}
	}
	return s.update(tx, old, r, given)
}

// update stores a changed router that has been found to be right.
func (s *Service) update(tx *store.Tx, old, r *weft.Router, given weft.Given) error {
	if err := s.saving(tx, old, r, given); err != nil {
		return err
	}
	if err := s.settle(tx, old, r); err != nil {
		return err
	}
	return store.Routers.Update(tx, r)
}

func (s *Service) saving(tx *store.Tx, old, r *weft.Router, given weft.Given) error {
	for _, hook := range s.RouterSaving {
		if err := hook(tx, old, r, given); err != nil {
			return err
		}
	}
	return nil
}

// DeleteRouter removes a router and its gateways. Errors: RouterInUse while it has
// interfaces, RouterExternalGatewayInUseByFloatingIp.
func (s *Service) DeleteRouter(tx *store.Tx, r *weft.Router) error {
	a, err := attachmentsOf(tx, r)
	if err != nil {
		return err
	}
	if len(a.interfaces) > 0 {
		var ids []string
		for _, p := range a.interfaces {
			ids = append(ids, p.ID)
		}
		return weft.Errorf(weft.Conflict, "RouterInUse", "Router %s has ports still attached: %s", r.ID, strings.Join(ids, ", ")).BlockedBy("port", ids...)
	}
	if err := s.closeGateways(tx, r); err != nil {
		return err
	}
	kind := weft.Clone(r)
	kind.HA, kind.Distributed = false, false
	if err := s.settle(tx, r, kind); err != nil {
		return err
	}
	for _, hook := range s.RouterDeleting {
		if err := hook(tx, r); err != nil {
			return err
		}
	}
	return store.Routers.Delete(tx, r)
}
