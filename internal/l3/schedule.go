package l3

import (
	"encoding/json"
	"fmt"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// place gives a router without a host one, and binds its ports there. If no L3
// agent is alive the router stays without; see PlaceRouters. The router is not
// yet stored.
func (s *Service) place(tx *store.Tx, r *weft.Router, ports []*weft.Port) error {
	if r.HostID != "" {
		return nil
	}
	agents, err := s.candidates(tx, r)
	if err != nil || len(agents) == 0 {
		return err
	}
	return s.move(tx, r, agents[0].Host, ports)
}

// move has a host carry a router and its ports; "" is nobody. The router is not
// yet stored.
func (s *Service) move(tx *store.Tx, r *weft.Router, host string, ports []*weft.Port) error {
	r.HostID = host
	for _, old := range ports {
		p := weft.Clone(old)
		p.HostID = host
		if err := s.ports.UpdatePort(tx, old, p, weft.Given{"binding:host_id": true}); err != nil {
			return err
		}
		*old = *p // the caller's view of the port goes on to be used
	}
	return nil
}

// candidates are the agents that could carry a router, those with the fewest routers
// first: alive, switched on, in a zone that the router asks for, and fit for it.
func (s *Service) candidates(tx *store.Tx, r *weft.Router) (agents []*weft.Agent, err error) {
	text, args := "SELECT t.doc FROM agents t WHERE t.agent_type = ? AND t.admin_state_up = 1 AND t.heartbeat > ?",
		[]any{weft.AgentL3, tx.Now().Add(-s.cfg.AgentDownTime).Unix()}
	if zones := r.AvailabilityZoneHints; len(zones) > 0 {
		in := store.In("availability_zone", store.Strings(zones)...)
		text, args = text+" AND "+in.SQL, append(args, in.Args...)
	}
	text += " ORDER BY (SELECT COUNT(*) FROM routers r WHERE r.host_id = t.host), t.host"
	err = tx.Query(text, args, func(scan func(...any) error) error {
		var doc []byte
		if err := scan(&doc); err != nil {
			return err
		}
		a := new(weft.Agent)
		if err := json.Unmarshal(doc, a); err != nil {
			return fmt.Errorf("decoding an agent: %w", err)
		}
		if fit(a, r) {
			agents = append(agents, a)
		}
		return nil
	})
	return agents, err
}

// fit reports whether an agent's mode lets it carry a router.
func fit(a *weft.Agent, r *weft.Router) bool {
	if internal, ok := a.Configurations["handle_internal_only_routers"].(bool); ok && !internal && r.Gateway == nil {
		return false
	}
	return a.Mode() == weft.ModeDVRSNAT || a.Mode() == weft.ModeLegacy && !r.Distributed
}

// PlaceRouters gives a host to every router that needs one and has none: to be
// called when an L3 agent comes up.
func (s *Service) PlaceRouters(tx *store.Tx) error {
	routers, err := store.Routers.Find(tx, store.Where(`t.host_id = '' AND (t.gw_port_id <> '' OR EXISTS
		(SELECT 1 FROM ports p WHERE p.device_id = t.id AND p.device_owner IN (`+interfaceOwners+`)))`))
	if err != nil {
		return err
	}
	for _, r := range routers {
		a, err := attachmentsOf(tx, r)
		if err != nil {
			return err
		}
		if err := s.place(tx, r, a.all()); err != nil {
			return err
		}
		if err := s.settle(tx, nil, r); err != nil {
			return err
		}
		if err := store.Routers.Update(tx, r); err != nil {
			return err
		}
	}
	return nil
}

// FailOver is to be called now and then: highly available routers whose agent is dead
// or switched off move to a host that stands ready for them, and where the operator
// wants that other routers of dead agents to any host that can carry them.
func (s *Service) FailOver(tx *store.Tx) error {
	routers, err := store.Routers.Find(tx, store.Where(`t.host_id <> '' AND (t.ha = 1 OR ? = 1) AND t.host_id IN (SELECT a.host FROM agents a
		WHERE a.agent_type = ? AND (a.heartbeat <= ? OR a.admin_state_up = 0 AND t.ha = 1))`,
		map[bool]int{true: 1}[s.cfg.Failover], weft.AgentL3, tx.Now().Add(-s.cfg.AgentDownTime).Unix()))
	if err != nil {
		return err
	}
	for _, r := range routers {
		host, err := s.successor(tx, r)
		if err != nil {
			return err
		}
		if host == "" {
			continue
		}
		if err := s.rehost(tx, r, host); err != nil {
			return err
		}
	}
	return nil
}

// successor is the host to carry a router when its own cannot; "" if there is none.
func (s *Service) successor(tx *store.Tx, r *weft.Router) (string, error) {
	if r.HA {
		hosts, err := s.standbys(tx, r)
		return append(hosts, "")[0], err
	}
	agents, err := s.candidates(tx, r)
	if err != nil || len(agents) == 0 {
		return "", err
	}
	return agents[0].Host, nil
}

// rehost moves a stored router.
func (s *Service) rehost(tx *store.Tx, r *weft.Router, host string) error {
	if err := s.moveAll(tx, r, host); err != nil {
		return err
	}
	return store.Routers.Update(tx, r)
}

// AddRouterToL3Agent has an agent carry a router; that it does already is no error.
// Errors: RouterNotFound, InvalidL3Agent, DVRL3CannotAssignToDvrAgent,
// RouterL3AgentMismatch, RouterHostedByL3Agent.
func (s *Service) AddRouterToL3Agent(tx *store.Tx, a *weft.Agent, routerID string) error {
	r, err := store.Routers.Get(tx, routerID)
	if err != nil {
		return err
	}
	if err := assignable(a, r); err != nil {
		return err
	}
	if r.HA {
		return s.addStandby(tx, r, a.Host)
	}
	switch r.HostID {
	case a.Host:
		return nil
	case "":
		return s.rehost(tx, r, a.Host)
	}
	host, err := store.Agents.First(tx, store.Eq("agent_type", weft.AgentL3), store.Eq("host", r.HostID))
	if err != nil {
		return err
	}
	if host == nil { // whoever carried it is gone
		return s.rehost(tx, r, a.Host)
	}
	return weft.Errorf(weft.Conflict, "RouterHostedByL3Agent", "The router %s has been already hosted by the L3 Agent %s.", r.ID, host.ID)
}

// assignable refuses agents that cannot carry a router.
func assignable(a *weft.Agent, r *weft.Router) error {
	invalid := weft.Errorf(weft.NotFound, "InvalidL3Agent", "Agent %s is not a L3 Agent or has been disabled.", a.ID)
	switch {
	case a.AgentType != weft.AgentL3:
		return invalid
	case a.Mode() == weft.ModeDVR || a.Mode() == weft.ModeDVRNoExternal:
		return weft.Errorf(weft.Conflict, "DVRL3CannotAssignToDvrAgent", "Not allowed to manually assign a router to an agent in 'dvr' mode.")
	case a.Mode() == weft.ModeLegacy && r.Distributed:
		return weft.Errorf(weft.Conflict, "RouterL3AgentMismatch", "Cannot host distributed router %s on legacy L3 agent %s.", r.ID, a.ID)
	case !a.AdminStateUp || !fit(a, r):
		return invalid
	}
	return nil
}

// RemoveRouterFromL3Agent ends that; that the agent does not carry the router is no
// error. The router stays without a host until it changes or an agent comes up.
// Errors: RouterNotFound, DVRL3CannotRemoveFromDvrAgent.
func (s *Service) RemoveRouterFromL3Agent(tx *store.Tx, a *weft.Agent, routerID string) error {
	if a.Mode() == weft.ModeDVR || a.Mode() == weft.ModeDVRNoExternal {
		return weft.Errorf(weft.Conflict, "DVRL3CannotRemoveFromDvrAgent", "Not allowed to manually remove a router from an agent in 'dvr' mode.")
	}
	r, err := store.Routers.Get(tx, routerID)
	if err != nil || a.AgentType != weft.AgentL3 {
		return err
	}
	return s.leave(tx, r, a.Host)
}

// addStandby has one more host stand ready for a highly available router.
func (s *Service) addStandby(tx *store.Tx, r *weft.Router, host string) error {
	ports, err := store.Ports.Find(tx, store.Eq("device_id", r.ID), store.Eq("device_owner", weft.OwnerHAPort), store.Eq("host_id", host))
	if err != nil || len(ports) > 0 {
		return err
	}
	network, err := s.haNetwork(tx, r)
	if err != nil {
		return err
	}
	if err := s.standBy(tx, r, network, host); err != nil || r.HostID != "" {
		return err
	}
	return s.rehost(tx, r, host)
}

// leave takes a router off a host. One that is highly available goes on elsewhere.
func (s *Service) leave(tx *store.Tx, r *weft.Router, host string) error {
	ports, err := store.Ports.Find(tx, store.Eq("device_id", r.ID), store.Eq("device_owner", weft.OwnerHAPort), store.Eq("host_id", host))
	if err != nil {
		return err
	}
	for _, p := range ports {
		if err := s.ports.DeletePort(tx, p); err != nil {
			return err
		}
	}
	if r.HostID != host {
		return nil
	}
	next := ""
	if r.HA {
		if next, err = s.successor(tx, r); err != nil {
			return err
		}
	}
	return s.rehost(tx, r, next)
}

// RemoveL3Agent takes the routers off an agent that is deleted.
func (s *Service) RemoveL3Agent(tx *store.Tx, a *weft.Agent) error {
	routers, err := store.Routers.Find(tx, store.RoutersOf(a))
	if err != nil {
		return err
	}
	for _, r := range routers {
		if err := s.leave(tx, r, a.Host); err != nil {
			return err
		}
	}
	return nil
}

// interfaceOwners are the device owners of routers' interfaces, in SQL.
const interfaceOwners = `'network:router_interface', 'network:router_interface_distributed', 'network:ha_router_replicated_interface'`
