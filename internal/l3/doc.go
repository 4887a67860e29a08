// Package l3 decides about what joins networks: routers with their interfaces,
// gateways and routes, and floating IPs. It says which host carries a router; what
// is then done there is the agent's.
//
// A router's interfaces and gateway and the address of a floating IP are ports,
// which internal/core makes and keeps. Reactions in the other direction (a port
// that goes takes its floating IP off) are the methods that internal/cloud hands to
// core as hooks: PortUpdating, PortDeleting, SubnetCreated, SubnetDeleting,
// NetworkUpdating, NetworkDeleting. They run for every change, whoever makes it.
// What only users may not do (delete a router's
// port by itself) is refused by GuardPortDelete and GuardPortUpdate, which the API
// calls before it calls core; l3 itself calls core directly.
package l3

import (
	"fmt"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Ports is what l3 needs of core. The ports given are complete but for what core
// computes; given names the attributes that are explicit.
type Ports interface {
	CreatePort(tx *store.Tx, p *weft.Port, given weft.Given) error
	UpdatePort(tx *store.Tx, old, p *weft.Port, given weft.Given) error
	DeletePort(tx *store.Tx, p *weft.Port) error
}

// Service is the rules about routers and floating IPs. All its methods run inside
// the transaction they are given.
type Service struct {
	ports Ports
	cfg   Config

	// Networks is set before the first highly available router.
	Networks Networks

	// KindOf is the kind of router that a flavor stands for. Nil knows no flavors.
	KindOf func(tx *store.Tx, flavorID string) (Kind, error)

	// CheckQoS refuses that the caller replaces a QoS policy by another; either may
	// be "". Nil allows all.
	CheckQoS func(tx *store.Tx, old, policy weft.ID) error

	// Hooks of services that rest on routers and floating IPs. Set them before the
	// first request.
	RouterSaving      []func(tx *store.Tx, old, r *weft.Router, given weft.Given) error // its gateway is settled; old is nil for a new one
	RouterDeleting    []func(tx *store.Tx, r *weft.Router) error
	GatewayChanging   []func(tx *store.Tx, r *weft.Router, want *weft.Gateway) error // on its network; want is nil when it goes
	InterfaceRemoving []func(tx *store.Tx, r *weft.Router, sub *weft.Subnet) error
	PortAssociating   []func(tx *store.Tx, p *weft.Port) error       // that a floating IP is to lead to
	FloatingIPLeading []func(tx *store.Tx, f *weft.FloatingIP) error // one that there is, to a port or away
}

// Config is what an operator may choose.
type Config struct {
	AgentDownTime time.Duration // after its last heartbeat an L3 agent counts as dead
	Failover      bool          // the routers of dead agents move, also those that are not highly available
	Distributed   bool          // routers are distributed unless the request says otherwise
	HA            bool          // the same of highly available
	HAAgents      int           // how many hosts stand ready for a highly available router; 0 is all
}

// New makes a service.
func New(ports Ports, cfg Config) *Service { return &Service{ports: ports, cfg: cfg} }

// badRouter is Neutron's BadRequest about a router; the message ends itself.
func badRouter(format string, args ...any) error { return bad("router", format, args...) }

func bad(resource, format string, args ...any) error {
	return weft.Errorf(weft.BadRequest, "BadRequest", "Bad %s request: %s.", resource, fmt.Sprintf(format, args...))
}

func (s *Service) checkQoS(tx *store.Tx, old, policy weft.ID) error {
	if s.CheckQoS == nil {
		return nil
	}
	return s.CheckQoS(tx, old, policy)
}
