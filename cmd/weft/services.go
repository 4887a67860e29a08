package main

import (
	"context"
	"log/slog"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/api"
	"github.com/weftnet/weft/internal/body"
	"github.com/weftnet/weft/internal/cloud"
	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/core"
	"github.com/weftnet/weft/internal/l3"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/policy"
	"github.com/weftnet/weft/internal/store"
)

// newCloud is the services as configured.
func newCloud(cfg config.Config, parts *ml2.Manager) *cloud.Cloud {
	return cloud.New(cloud.Config{
		Core: core.Config{BaseMAC: cfg.BaseMAC, DNSDomain: cfg.DNSDomain, MaxDNSServers: cfg.MaxDNSServers,
			MaxHostRoutes: cfg.MaxHostRoutes, MaxAddressPairs: cfg.MaxAddressPairs,
			DHCPAgents: cfg.Schedule.DHCPAgents, DHCPFailover: cfg.Schedule.DHCPFailover},
		L3:            l3.Config{Failover: cfg.Schedule.L3Failover, Distributed: cfg.Schedule.Distributed, HA: cfg.Schedule.HA, HAAgents: cfg.Schedule.HAAgents},
		Quotas:        cfg.Quotas,
		AgentDownTime: cfg.AgentDownTime,
	}, parts)
}

// admission says who sends a request.
type admission func(context.Context, weft.Credentials) (*weft.Caller, error)

// networkAPI is the Networking API with every resource there is.
func networkAPI(cfg config.Config, log *slog.Logger, db *store.DB, c *cloud.Cloud, admit admission, authURL string,
	bodies *body.Reader, peers func() map[string]any) (*api.Server, error) {
	rules, err := loadPolicy(cfg, log)
	if err != nil {
		return nil, err
	}
	s := api.NewServer(api.Config{Log: log, DB: db, Policy: rules, Quota: c.Quota, Auth: admit, AuthURL: authURL,
		MaxLimit: cfg.PageLimit, Bodies: bodies, Peers: peers, Projects: cfg.EnforceScope})
	c.Register(s)
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
