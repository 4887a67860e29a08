package main

import (
	"github.com/weftnet/weft/internal/api"
	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/core"
	"github.com/weftnet/weft/internal/identity"
	"github.com/weftnet/weft/internal/l3"
	"github.com/weftnet/weft/internal/policy"
	"github.com/weftnet/weft/internal/quota"
	"github.com/weftnet/weft/internal/secgroup"
	"github.com/weftnet/weft/internal/store"
	"log/slog"
)

// services are the rules of the cloud, wired to each other.
type services struct {
	core   *core.Service
	l3     *l3.Service
	groups *secgroup.Service
	quota  *quota.Service
}

// newServices wires the services. Who reacts to what is all here: the hooks of
// core are called in the order they are listed.
func newServices(cfg config.Config) services {
	q := quota.New(cfg.Quotas)
	groups := secgroup.New(q)
	c := core.New(core.Config{BaseMAC: cfg.BaseMAC, DNSDomain: cfg.DNSDomain, MaxDNSServers: cfg.MaxDNSServers,
		MaxHostRoutes: cfg.MaxHostRoutes, MaxAddressPairs: cfg.MaxAddressPairs}, drivers(cfg))
	r := l3.New(c, cfg.AgentDownTime)
	c.DefaultGroup, c.CheckGroups = groups.DefaultGroup, groups.CheckGroups
	c.React(r)
	return services{core: c, l3: r, groups: groups, quota: q}
}

// networkAPI is the Networking API with every resource there is.
func networkAPI(cfg config.Config, log *slog.Logger, db *store.DB, sv services, id *identity.Service, authURL string) (*api.Server, error) {
	rules, err := loadPolicy(cfg, log)
	if err != nil {
		return nil, err
	}
	s := api.NewServer(api.Config{Log: log, DB: db, Policy: rules, Quota: sv.quota, Auth: id.Authenticate, AuthURL: authURL, MaxLimit: cfg.PageLimit})
	api.Register(s, api.Networks(sv.core))
	api.Register(s, api.Subnets(sv.core))
	api.Register(s, api.SubnetPools(sv.core))
	api.Register(s, api.Ports(sv.core, sv.l3))
	api.Register(s, api.AddressScopes(sv.core))
	api.Register(s, api.SecurityGroups(sv.groups))
	api.Register(s, api.SecurityGroupRules(sv.groups))
	api.Register(s, api.Routers(sv.l3, api.RouterActions(sv.l3)))
	api.Register(s, api.FloatingIPs(sv.l3))
	api.Register(s, api.RBACPolicies(sv.core))
	api.Register(s, api.Agents(cfg.AgentDownTime))
	s.Special("quotas", api.Quotas(sv.quota))
	s.Special("availability_zones", api.AvailabilityZones)
	s.Special("service-providers", api.ServiceProviders)
	return s, nil
}

// loadPolicy is the built-in rules, or those of the operator in their place. What
// is odd about the operator's is logged.
func loadPolicy(cfg config.Config, log *slog.Logger) (*policy.Enforcer, error) {
	if cfg.PolicyFile == "" {
		return policy.New(nil)
	}
	rules, err := policy.Load(cfg.PolicyFile)
	if err != nil {
		return nil, err
	}
	for _, p := range rules.Problems() {
		log.Warn("policy", "file", cfg.PolicyFile, "problem", p)
	}
	return rules, nil
}
