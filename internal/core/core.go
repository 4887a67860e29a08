package core

import (
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ipam"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/store"
)

// Config is what an operator may choose.
type Config struct {
	BaseMAC          weft.MAC      // the first three octets of generated addresses, four if the fourth is not 0
	DNSDomain        string        // dns_domain; "" is DefaultDNSDomain
	MaxDNSServers    int           // of a subnet
	MaxHostRoutes    int           // of a subnet
	MaxAddressPairs  int           // of a port
	PrefixDelegation bool          // ipv6_pd_enabled
	AgentDownTime    time.Duration // after its last heartbeat an agent counts as dead
	DHCPAgents       int           // how many hosts answer DHCP for a network; 0 is one
	DHCPFailover     bool          // the DHCP services of dead agents move
	Draw             ipam.Draw     // which free addresses ports get; nil: any
}

// DefaultDNSDomain is the domain of names while the operator has chosen none; as
// in Neutron it disables names given to ports.
const DefaultDNSDomain = "openstacklocal."

// Defaults are Neutron's.
func Defaults() Config {
	return Config{BaseMAC: weft.MAC{0xfa, 0x16, 0x3e}, DNSDomain: DefaultDNSDomain, MaxDNSServers: 5, MaxHostRoutes: 20, MaxAddressPairs: 10,
		AgentDownTime: 75 * time.Second, DHCPAgents: 1, DHCPFailover: true}
}

// Service carries out changes. The hooks are set once, before the first request;
// those that are nil or empty do nothing. A hook's error refuses the change.
type Service struct {
	cfg Config
	ml2 *ml2.Manager

	// DefaultGroup is the id of the project's default security group, which it
	// makes if there is none; "" is none.
	DefaultGroup func(tx *store.Tx, projectID string) (string, error)
	// CheckGroups refuses groups that a port of the project may not be in.
	CheckGroups func(tx *store.Tx, projectID string, ids []string) error

	NetworkCreating []func(tx *store.Tx, n *weft.Network) error      // when it is settled, before it is stored
	NetworkUpdating []func(tx *store.Tx, old, n *weft.Network) error // before it is stored
	NetworkDeleting []func(tx *store.Tx, n *weft.Network) error      // before anything of it goes
	SubnetCreated   []func(tx *store.Tx, sn *weft.Subnet) error
	SubnetDeleting  []func(tx *store.Tx, sn *weft.Subnet) error               // when nothing blocks it
	PortCreating    []func(tx *store.Tx, n *weft.Network, p *weft.Port) error // when it is settled, before it is stored
	PortUpdating    []func(tx *store.Tx, old, p *weft.Port) error             // when it is settled, before it is stored
	PortDeleting    []func(tx *store.Tx, p *weft.Port) error
	PortsReported   []func(tx *store.Tx, ids []any) error // when what an agent says of them is stored
}

// Reactor is a service that has a word in everything core does, as l3 has.
type Reactor interface {
	NetworkUpdating(tx *store.Tx, old, n *weft.Network) error
	NetworkDeleting(tx *store.Tx, n *weft.Network) error
	SubnetCreated(tx *store.Tx, sn *weft.Subnet) error
	SubnetDeleting(tx *store.Tx, sn *weft.Subnet) error
	PortUpdating(tx *store.Tx, old, p *weft.Port) error
	PortDeleting(tx *store.Tx, p *weft.Port) error
}

// React adds all hooks of a service, after those that are there.
func (s *Service) React(r Reactor) {
	s.NetworkUpdating = append(s.NetworkUpdating, r.NetworkUpdating)
	s.NetworkDeleting = append(s.NetworkDeleting, r.NetworkDeleting)
	s.SubnetCreated = append(s.SubnetCreated, r.SubnetCreated)
	s.SubnetDeleting = append(s.SubnetDeleting, r.SubnetDeleting)
	s.PortUpdating = append(s.PortUpdating, r.PortUpdating)
	s.PortDeleting = append(s.PortDeleting, r.PortDeleting)
}

// New makes a service without hooks.
func New(cfg Config, m *ml2.Manager) *Service {
	if cfg.DNSDomain == "" {
		cfg.DNSDomain = DefaultDNSDomain
	}
	return &Service{cfg: cfg, ml2: m}
}

func badRequest(resource, format string, args ...any) error {
	return weft.Errorf(weft.BadRequest, "BadRequest", "Bad "+resource+" request: "+format+".", args...)
}
