package api

import (
	"net/http"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// binding is what a noun is bound to of another resource, as the networks of a DHCP
// agent: GET lists them as their own resource would, POST adds one by its id, DELETE
// takes one away.
type binding struct {
	get, create, remove string // policy rules, which know no object
	key                 string // of the id in the body of a POST: "network_id"
	list                func(rq *httpRequest, id string) error
	add, drop           func(tx *store.Tx, id, other string) error // nil: not allowed
}

func (b binding) serve(rq *httpRequest, id string, rest []string) error {
	switch method := rq.r.Method; {
	case method == http.MethodGet && len(rest) == 0:
		if err := rq.allow(b.get); err != nil {
			return err
		}
		return b.list(rq, id)
	case method == http.MethodPost && len(rest) == 0 && b.add != nil:
		return b.bind(rq, id)
	case method == http.MethodDelete && len(rest) == 1 && b.drop != nil:
		return rq.unbind(b.remove, id, rest[0], b.drop)
	case len(rest) > 1:
		return notFound()
	}
	return notAllowed()
}

// bind answers as Neutron does, with null.
func (b binding) bind(rq *httpRequest, id string) error {
	if err := rq.allow(b.create); err != nil {
		return err
	}
	body, err := rq.readBody(b.create)
	if err != nil {
		return err
	}
	other, ok := body[b.key].(string)
	if !ok {
		return badRequest("Unable to find '%s' in request body", b.key)
	}
	if err := rq.update(func(tx *store.Tx) error { return b.add(tx, id, other) }); err != nil {
		return err
	}
	return rq.write(http.StatusCreated, []byte("null"))
}

// unbind takes one thing away from another, if the rule admits it.
func (rq *httpRequest) unbind(rule, id, other string, drop func(tx *store.Tx, id, other string) error) error {
	if err := rq.allow(rule); err != nil {
		return err
	}
	if err := rq.update(func(tx *store.Tx) error { return drop(tx, id, other) }); err != nil {
		return err
	}
	rq.w.WriteHeader(http.StatusNoContent)
	return nil
}

// allow checks a rule that is about no object.
func (rq *httpRequest) allow(rule string) error {
	if rq.s.Policy.Allow(rule, rq.caller, func(string) any { return nil }) {
		return nil
	}
	return disallowed("rule:" + rule)
}

// listAs lists rows as a resource does, whatever the request asks for.
func listAs[T any](rq *httpRequest, r *Resource[T], where ...store.Cond) error {
	sv := bind(rq.s, r)
	return sv.answer(rq, store.Query{Where: where}, &page{})
}

// Schedules says which agents carry what.
type Schedules struct {
	DHCP     DHCPScheduler
	L3       L3Scheduler
	Networks *Resource[weft.Network]
	Routers  *Resource[weft.Router]
}

// DHCPScheduler is what the API asks about DHCP agents.
type DHCPScheduler interface {
	AddNetworkToDHCPAgent(tx *store.Tx, a *weft.Agent, networkID string) error
	RemoveNetworkFromDHCPAgent(tx *store.Tx, a *weft.Agent, networkID string) error
	RemoveDHCPAgent(tx *store.Tx, a *weft.Agent) error
	PlaceNetworks(tx *store.Tx) error
}

// L3Scheduler is what the API asks about L3 agents.
type L3Scheduler interface {
	AddRouterToL3Agent(tx *store.Tx, a *weft.Agent, routerID string) error
	RemoveRouterFromL3Agent(tx *store.Tx, a *weft.Agent, routerID string) error
	RemoveL3Agent(tx *store.Tx, a *weft.Agent) error
	PlaceRouters(tx *store.Tx) error
}

// RegisterAgents adds the agents, and what they carry below them and the agents
// below what they carry.
func RegisterAgents(s *Server, agents *Resource[weft.Agent], with Schedules) {
	agents.Implements = append(agents.Implements, "dhcp_agent_scheduler", "l3_agent_scheduler")
	agents.Update = with.update
	agents.Delete = with.delete
	agents.Below = map[string]Handler{
		"dhcp-networks": binding{get: "get_dhcp-networks", create: "create_dhcp-network", remove: "delete_dhcp-network", key: "network_id",
			list: listCarried(with.Networks, store.DHCPNetworksOf),
			add: func(tx *store.Tx, id, network string) error {
				if _, err := store.Networks.Get(tx, network); err != nil { // Neutron looks for it first
					return err
				}
				return onAgent(tx, id, network, with.DHCP.AddNetworkToDHCPAgent)
			},
			drop: func(tx *store.Tx, id, network string) error {
				return onAgent(tx, id, network, with.DHCP.RemoveNetworkFromDHCPAgent)
			},
		}.serve,
		"l3-routers": binding{get: "get_l3-routers", create: "create_l3-router", remove: "delete_l3-router", key: "router_id",
			list: listCarried(with.Routers, store.RoutersOf),
			add: func(tx *store.Tx, id, router string) error {
				if _, err := store.Routers.Get(tx, router); err != nil {
					return err
				}
				return onAgent(tx, id, router, with.L3.AddRouterToL3Agent)
			},
			drop: func(tx *store.Tx, id, router string) error {
				return onAgent(tx, id, router, with.L3.RemoveRouterFromL3Agent)
			},
		}.serve,
	}
	Register(s, agents)
	below(with.Networks, "dhcp-agents", binding{get: "get_dhcp-agents", list: func(rq *httpRequest, id string) error {
		return listAs(rq, agents, store.DHCPAgentsOf(id)) // Neutron does not look whether there is such a network
	}})
	below(with.Routers, "l3-agents", binding{get: "get_l3-agents", list: func(rq *httpRequest, id string) error {
		r, err := store.Routers.Get(rq.read(), id)
		if err != nil {
			return err
		}
		shown := *agents
		shown.Table = store.AgentsOfRouter(agents.Table, r)
		shown.Attrs = append(table(agents.Attrs), row("ha_state", "V", Unset, anyType))
		return listAs(rq, &shown, store.L3AgentsOf(r))
	}})
}

func below[T any](r *Resource[T], name string, b binding) {
	if r.Below == nil {
		r.Below = map[string]Handler{}
	}
	r.Below[name] = b.serve
}

// listCarried lists what an agent carries.
func listCarried[T any](r *Resource[T], of func(*weft.Agent) store.Cond) func(*httpRequest, string) error {
	return func(rq *httpRequest, id string) error {
		a, err := store.Agents.Get(rq.read(), id)
		if err != nil {
			return err
		}
		return listAs(rq, r, of(a))
	}
}

func onAgent(tx *store.Tx, id, other string, do func(*store.Tx, *weft.Agent, string) error) error {
	a, err := store.Agents.Get(tx, id)
	if err != nil {
		return err
	}
	return do(tx, a, other)
}

// update lets what waits for an agent know that there is one more.
func (s Schedules) update(tx *store.Tx, old, a *weft.Agent, _ Request) error {
	if err := store.Agents.Update(tx, a); err != nil || old.AdminStateUp || !a.AdminStateUp {
		return err
	}
	if err := s.DHCP.PlaceNetworks(tx); err != nil {
		return err
	}
	return s.L3.PlaceRouters(tx)
}

func (s Schedules) delete(tx *store.Tx, a *weft.Agent) error {
	var err error
	switch a.AgentType {
	case weft.AgentDHCP:
		err = s.DHCP.RemoveDHCPAgent(tx, a)
	case weft.AgentL3:
		err = s.L3.RemoveL3Agent(tx, a)
	}
	if err != nil {
		return err
	}
	return store.Agents.Delete(tx, a)
}
