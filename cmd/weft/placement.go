package main

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/weftnet/weft/internal/cloud"
	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/placement"
)

// place has the resources of hosts known to Placement, if there is one.
func (m *machine) place(c *cloud.Cloud, drivers *ml2.Manager) error {
	if m.cfg.Placement.AuthURL == "" {
		return nil
	}
	s, err := neighbour("placement", m.cfg.Placement.Peer)
	if err != nil {
		return err
	}
	api := placement.New(m.log, s)
	c.QoS.Allocator = api
	m.placement = placement.NewSyncer(placement.Config{Log: m.log, DB: m.db, API: api, Kinds: drivers.Placed(),
		Audit: m.cfg.Placement.Audit})
	return nil
}

// resources is what this host can guarantee, as the configurations of Neutron's agents
// have it. hypervisor is this host as Nova knows it.
func resources(c config.Config, hypervisor string) map[string]any {
	r := c.Resources
	hypervisors := map[string]any{}
	for _, dev := range c.Physnets {
		if !r.Any() {
			break // nobody asks, and the name may not be the right one
		}
		hypervisors[dev] = hypervisor
		if other := r.Hypervisors[dev]; other != "" {
			hypervisors[dev] = other
		}
	}
	return map[string]any{
		"resource_provider_bandwidths":                           directed(r.Bandwidths, hypervisor),
		"resource_provider_hypervisors":                          hypervisors,
		"resource_provider_packet_processing_with_direction":     directed(r.DirectedRates, hypervisor),
		"resource_provider_packet_processing_without_direction":  undirected(r.Rates, hypervisor),
		"resource_provider_inventory_defaults":                   numbers(r.BandwidthDefaults),
		"resource_provider_packet_processing_inventory_defaults": numbers(r.RateDefaults),
	}
}

func directed(amounts map[string]config.Amount, unnamed string) map[string]any {
	out := map[string]any{}
	for name, a := range amounts {
		if name == "" {
			name = unnamed
		}
		out[name] = map[string]any{"egress": a.Egress, "ingress": a.Ingress}
	}
	return out
}

func undirected(amounts map[string]config.Amount, unnamed string) map[string]any {
	out := map[string]any{}
	for name, a := range amounts {
		if name == "" {
			name = unnamed
		}
		out[name] = map[string]any{"any": a.Any}
	}
	return out
}

func numbers(i config.Inventory) map[string]any {
	out := map[string]any{}
	for name, n := range i {
		out[name] = n
	}
	return out
}

// lookup is how long it may take to find this host's canonical name.
const lookup = 2 * time.Second

// hypervisor is this host as libvirt, and so Nova, calls it: by its canonical name.
func hypervisor(ctx context.Context, c config.Config) string {
	if c.Resources.Hypervisor != "" {
		return c.Resources.Hypervisor
	}
	name, err := os.Hostname()
	if err != nil {
		return c.Host
	}
	if !c.Resources.Any() || strings.HasPrefix(name, "localhost") || strings.Contains(name, ".") {
		return name
	}
	ctx, cancel := context.WithTimeout(ctx, lookup)
	defer cancel()
	return canonical(ctx, net.DefaultResolver, name)
}

// resolver is what knows names.
type resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
}

// canonical is the first name of this host's line in /etc/hosts or, where it has none,
// its name in DNS; the name itself where neither knows more.
func canonical(ctx context.Context, r resolver, name string) string {
	addresses, err := r.LookupHost(ctx, name)
	if err != nil {
		return name
	}
	for _, a := range addresses {
		names, err := r.LookupAddr(ctx, a)
		long := func(n string) bool { return strings.HasPrefix(n, name+".") }
		if i := slices.IndexFunc(names, long); err == nil && i >= 0 {
			if n := strings.TrimSuffix(names[i], "."); n != name && !strings.HasPrefix(n, "localhost") {
				return n
			}
		}
	}
	if n, err := r.LookupCNAME(ctx, name); err == nil {
		if n = strings.TrimSuffix(n, "."); n != "" && !strings.HasPrefix(n, "localhost") {
			return n
		}
	}
	return name
}
