// Package cloud wires the services of a cloud to each other and to the Networking
// API. It is the one list of what there is, for the binary and for the tests that
// need the whole.
package cloud

import (
	"context"
	"fmt"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/address"
	"github.com/weftnet/weft/internal/api"
	"github.com/weftnet/weft/internal/cascade"
	"github.com/weftnet/weft/internal/core"
	"github.com/weftnet/weft/internal/flavor"
	"github.com/weftnet/weft/internal/l3"
	"github.com/weftnet/weft/internal/localip"
	"github.com/weftnet/weft/internal/logging"
	"github.com/weftnet/weft/internal/metering"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/nat"
	"github.com/weftnet/weft/internal/qos"
	"github.com/weftnet/weft/internal/quota"
	"github.com/weftnet/weft/internal/secgroup"
	"github.com/weftnet/weft/internal/segment"
	"github.com/weftnet/weft/internal/sharing"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/topology"
	"github.com/weftnet/weft/internal/trunk"
)

// Config is what an operator may choose about the services.
type Config struct {
	Core          core.Config
	L3            l3.Config
	Quotas        map[string]int // default limits by noun; -1 is none
	AgentDownTime time.Duration  // after the last heartbeat
}

// Defaults are Neutron's.
func Defaults() Config {
	return Config{Core: core.Defaults(), L3: l3.Config{HAAgents: 3}, AgentDownTime: 75 * time.Second,
		Quotas: map[string]int{"network": 100, "subnet": 100, "port": 500, "subnetpool": -1,
			"router": 10, "floatingip": 50, "security_group": 10, "security_group_rule": 100, "rbac_policy": 10, "trunk": -1}}
}

// Cloud is the services, wired to each other.
type Cloud struct {
	Core     *core.Service
	L3       *l3.Service
	Groups   *secgroup.Service
	Quota    *quota.Service
	QoS      *qos.Service
	NAT      *nat.Service
	Local    *localip.Service
	Logs     logging.Service
	Meters   metering.Service
	Segments *segment.Service
	Trunks   *trunk.Service
	Cascade  *cascade.Service
	Flavors  *flavor.Service
	cfg      Config
}

// New wires the services. Who reacts to what is all here: the hooks of core are
// called in the order they are listed.
func New(cfg Config, drivers *ml2.Manager) *Cloud {
	c := &Cloud{cfg: cfg, Quota: quota.New(cfg.Quotas)}
	c.Groups = secgroup.New(c.Quota)
	cfg.Core.AgentDownTime, cfg.L3.AgentDownTime = cfg.AgentDownTime, cfg.AgentDownTime
	c.Core = core.New(cfg.Core, drivers)
	c.L3 = l3.New(c.Core, cfg.L3)
	c.L3.Networks = networkMaker{c.Core}
	c.Flavors = flavor.New(flavor.Providers())
	c.L3.KindOf = func(tx *store.Tx, id string) (l3.Kind, error) {
		p, err := c.Flavors.Provider(tx, id)
		return l3.Kind{Provider: p.Name, Distributed: p.Distributed, HA: p.HA}, err
	}
	c.Core.DefaultGroup, c.Core.CheckGroups = c.Groups.DefaultGroup, c.Groups.CheckGroups
	c.Trunks = trunk.New(c.Core)
	c.Core.PortDeleting = append(c.Core.PortDeleting, c.Trunks.PortDeleting)
	c.Core.PortUpdating = append(c.Core.PortUpdating, c.Trunks.PortUpdating)
	c.Core.PortsReported = append(c.Core.PortsReported, c.Trunks.PortsReported)
	c.Core.React(c.L3)
	c.Segments = segment.New(drivers)
	c.QoS = qos.New(drivers.QoSMechanisms())
	c.L3.CheckQoS = c.QoS.Check
	c.Core.NetworkCreating = append(c.Core.NetworkCreating, c.QoS.NetworkCreating)
	c.Core.NetworkUpdating = append(c.Core.NetworkUpdating, c.QoS.NetworkUpdating)
	c.Core.PortCreating = append(c.Core.PortCreating, c.QoS.PortCreating)
	c.Core.PortUpdating = append(c.Core.PortUpdating, c.QoS.PortUpdating)
	c.Cascade = cascade.New(c.Core, c.L3)
	c.Local = localip.New(c.Core)
	c.wireNAT()
	c.Core.PortDeleting = append(c.Core.PortDeleting, c.Local.PortDeleting, c.Logs.PortDeleting)
	c.Core.PortUpdating = append(c.Core.PortUpdating, c.Local.PortUpdating)
	c.Groups.Deleting = append(c.Groups.Deleting, c.Logs.GroupDeleting)
	c.Cascade.PortLeaving = append(c.Cascade.PortLeaving, c.Trunks.Leave, c.Local.Leave)
	// The last: others are asked for it when nobody else refuses the change.
	c.Core.PortUpdating = append(c.Core.PortUpdating, c.QoS.PortReallocating)
	c.Core.NetworkUpdating = append(c.Core.NetworkUpdating, c.QoS.NetworkReallocating)
	return c
}

// wireNAT has port forwardings, helpers and NDP proxies follow what they rest on.
func (c *Cloud) wireNAT() {
	c.NAT = nat.New(c.L3)
	c.L3.RouterSaving = append(c.L3.RouterSaving, c.NAT.RouterSaving)
	c.L3.RouterDeleting = append(c.L3.RouterDeleting, c.NAT.RouterDeleting)
	c.L3.GatewayChanging = append(c.L3.GatewayChanging, c.NAT.GatewayChanging)
	c.L3.InterfaceRemoving = append(c.L3.InterfaceRemoving, c.NAT.InterfaceRemoving)
	c.L3.PortAssociating = append(c.L3.PortAssociating, c.NAT.PortAssociating)
	c.L3.FloatingIPLeading = append(c.L3.FloatingIPLeading, c.NAT.FloatingIPLeading)
	c.Core.PortUpdating = append(c.Core.PortUpdating, c.NAT.PortUpdating)
	c.Core.PortDeleting = append(c.Core.PortDeleting, c.NAT.PortDeleting)
	c.Cascade.AddressLeaving = append(c.Cascade.AddressLeaving, c.NAT.LeaveFloatingIP)
	c.Cascade.RouterLeaving = append(c.Cascade.RouterLeaving, c.NAT.LeaveRouter)
}

// Prepare brings the database in line with the configuration. Call it once, before
// serving.
func (c *Cloud) Prepare(ctx context.Context, db *store.DB) error {
	if err := db.Update(ctx, weft.SystemCaller("start"), c.Segments.SyncDefaults); err != nil {
		return fmt.Errorf("keeping the configured segment ranges: %w", err)
	}
	return nil
}

// Register makes the server serve every resource there is.
func (c *Cloud) Register(s *api.Server) {
	networks := api.Networks(c.Core, c.Cascade.DeleteNetwork)
	routers := api.Routers(c.L3, api.RouterActions(c.L3), c.Cascade.DeleteRouter)
	api.Register(s, networks)
	api.Register(s, api.Subnets(c.Core))
	api.Register(s, api.SubnetPools(c.Core))
	api.Register(s, api.Ports(c.Core, c.L3))
	api.Register(s, api.AddressScopes(c.Core))
	api.Register(s, api.AddressGroups(address.Groups{}))
	api.Register(s, api.SecurityGroups(c.Groups))
	api.Register(s, api.SecurityGroupRules(c.Groups))
	api.Register(s, api.DefaultSecurityGroupRules(c.Groups))
	api.Register(s, routers)
	api.Register(s, api.FloatingIPs(c.L3))
	api.Register(s, api.PortForwardings(c.NAT))
	api.Register(s, api.ConntrackHelpers(c.NAT))
	api.Register(s, api.NDPProxies(c.NAT))
	api.RegisterFloatingIPPools(s)
	api.RegisterQoS(s, c.QoS)
	api.Register(s, api.RBACPolicies(sharing.Policies{}))
	api.RegisterAgents(s, api.Agents(c.cfg.AgentDownTime), api.Schedules{DHCP: c.Core, L3: c.L3, Networks: networks, Routers: routers})
	api.Register(s, api.LocalIPs(c.Local))
	api.Register(s, api.LocalIPAssociations(c.Local))
	api.Register(s, api.Trunks(c.Trunks))
	api.Register(s, api.Logs(c.Logs))
	api.Register(s, api.Segments(c.Segments))
	api.Register(s, api.NetworkSegmentRanges(c.Segments))
	api.Register(s, api.MeteringLabels(c.Meters))
	api.Register(s, api.MeteringLabelRules(c.Meters))
	s.Special("log/loggable-resources", api.LoggableResources(c.Logs))
	s.Special("network-ip-availabilities", api.NetworkIPAvailabilities, "network-ip-availability")
	s.Special("auto-allocated-topology", api.AutoAllocatedTopology(topology.New(networkMaker{c.Core}, c.L3)), "auto-allocated-topology")
	s.Special("quotas", api.Quotas(c.Quota), "quotas", "quota_details", "quota-check-limit")
	s.Special("availability_zones", api.AvailabilityZones, "availability_zone", "availability_zone_filter")
	api.RegisterFlavors(s, c.Flavors)
	s.Describe("floatingip_pools", "The subnets that floating IPs come from.", "GET")
	s.Describe("extensions", "The extensions that this server has.", "GET")
	s.Describe("extensions/{alias}", "One of them.", "GET")
	s.Describe("ports/{port_id}/bindings", "The bindings of a port to hosts.", "GET", "POST")
	s.Describe("ports/{port_id}/bindings/{host}", "One of them.", "GET", "PUT", "DELETE")
	s.Describe("ports/{port_id}/bindings/{host}/activate", "Make it the active one.", "PUT")
	s.Describe("agents/{agent_id}/dhcp-networks", "The networks that a DHCP agent serves.", "GET", "POST")
	s.Describe("agents/{agent_id}/dhcp-networks/{network_id}", "One of them.", "DELETE")
	s.Describe("agents/{agent_id}/l3-routers", "The routers that an L3 agent carries.", "GET", "POST")
	s.Describe("agents/{agent_id}/l3-routers/{router_id}", "One of them.", "DELETE")
	s.Describe("networks/{network_id}/dhcp-agents", "The DHCP agents that serve a network.", "GET")
	s.Describe("routers/{router_id}/l3-agents", "The L3 agents that carry a router.", "GET")
	s.Describe("network-ip-availabilities", "How many addresses of each network are used.", "GET")
	s.Describe("network-ip-availabilities/{network_id}", "How many of one network.", "GET")
	s.Describe("log/loggable-resources", "The types of resources that can be logged.", "GET")
	s.Describe("network-ip-availabilities", "How many addresses networks have, and how many are taken.", "GET")
	s.Describe("network-ip-availabilities/{network_id}", "The same of one network.", "GET")
	s.Describe("auto-allocated-topology", "The caller's topology, made if there is none.", "GET", "DELETE")
	s.Describe("auto-allocated-topology/{project_id}", "The topology of a project.", "GET", "DELETE")
	s.Describe("qos/rule-types", "The types of rules that the drivers honour.", "GET")
	s.Describe("qos/rule-types/{type}", "Who honours one of them, and how.", "GET")
	s.Describe("quotas", "The projects that have quotas of their own.", "GET")
	s.Describe("quotas/{project_id}", "The quotas of a project.", "GET", "PUT", "DELETE")
	s.Describe("quotas/{project_id}/default", "The quotas of projects that have none of their own.", "GET")
	s.Describe("quotas/{project_id}/details", "The quotas of a project, and what it uses.", "GET")
	s.Describe("availability_zones", "The zones of the agents.", "GET")
}

// Watch is to be called now and then: it moves what dead agents leave behind, and
// finds agents for networks that have none.
func (c *Cloud) Watch(tx *store.Tx) error {
	if err := c.Core.PlaceNetworks(tx); err != nil {
		return err
	}
	return c.L3.FailOver(tx)
}

// networkMaker makes networks and subnets for other services.
type networkMaker struct{ *core.Service }

func (n networkMaker) CreateSubnet(tx *store.Tx, sn *weft.Subnet, given weft.Given) error {
	return n.Service.CreateSubnet(tx, sn, core.SubnetRequest{}, given)
}
