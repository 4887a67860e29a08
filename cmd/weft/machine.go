package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/weftnet/weft/internal/agent"
	"github.com/weftnet/weft/internal/agent/dhcp"
	"github.com/weftnet/weft/internal/agent/l2"
	"github.com/weftnet/weft/internal/agent/l3"
	"github.com/weftnet/weft/internal/agent/metadata"
	"github.com/weftnet/weft/internal/agent/outside"
	"github.com/weftnet/weft/internal/api"
	"github.com/weftnet/weft/internal/core"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/feed"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/identity"
	"github.com/weftnet/weft/internal/store"
)

// What stands for the outside world where the machine has no interface to spare:
// a physical network of this name behind a veth into a namespace of its own.
const (
	standInPhysnet   = "provider"
	standInDevice    = "weft-provider"
	outsideNamespace = "weft-outside"
)

// machine is everything that `weft up` runs.
type machine struct {
	o         upOptions
	log       *slog.Logger
	db        *store.DB
	listeners map[string]net.Listener
	identity  *identity.Service
	network   *api.Server
	agent     *agent.Agent
	beat      *heartbeat
	closers   []func()
	authURL   string
}

func newMachine(ctx context.Context, o upOptions, log *slog.Logger, db *store.DB, listeners map[string]net.Listener) (*machine, error) {
	m := &machine{o: o, log: log, db: db, listeners: listeners, authURL: "http://" + listeners["identity"].Addr().String() + "/v3"}
	if err := m.identify(ctx); err != nil {
		return nil, err
	}
	sv := newServices(o.interfaces())
	var err error
	if m.network, err = networkAPI(log, db, sv, m.identity, m.authURL); err != nil {
		return nil, err
	}
	m.beat = &heartbeat{log: log, db: db, host: o.host, physnets: o.interfaces(), place: sv.l3.PlaceRouters, rebind: sv.core.RetryBindings}
	if err := m.beat.beat(ctx); err != nil {
		return nil, fmt.Errorf("registering the agents: %w", err)
	}
	f := feed.New(feed.Config{Log: log, DB: db, Host: o.host, Domain: strings.TrimSuffix(core.DefaultDNSDomain, "."),
		SetPorts: sv.core.SetPortStatuses, SetFloatingIPs: sv.l3.SetFloatingIPStatuses})
	return m, m.assemble(ctx, f)
}

// identify opens the identity service and writes clouds.yaml.
func (m *machine) identify(ctx context.Context) error {
	say("identity: users, projects and the service catalogue")
	var err error
	if m.identity, err = identity.New(ctx, identity.Config{DB: m.db, Log: m.log}); err != nil {
		return err
	}
	passwords, err := m.o.dir.passwords()
	if err != nil {
		return err
	}
	// The file comes first: a password that only a lost process knew would lock
	// everybody out.
	if err := m.o.dir.writeClouds(m.authURL, passwords); err != nil {
		return fmt.Errorf("writing clouds.yaml: %w", err)
	}
	_, err = m.identity.Bootstrap(ctx, identity.Bootstrap{
		IdentityURL: m.authURL,
		NetworkURL:  "http://" + m.listeners["network"].Addr().String(),
		Passwords:   passwords,
	})
	return err
}

// interfaces is the physical networks of this host, with a stand-in where there is
// none.
func (o upOptions) interfaces() map[string]string {
	if len(o.physnets) > 0 {
		return o.physnets
	}
	return map[string]string{standInPhysnet: standInDevice}
}

// assemble makes the agent of this host. The order of its modules is the order in
// which a packet comes to need them.
func (m *machine) assemble(ctx context.Context, f *feed.Feed) error {
	root, err := link.Open()
	if err != nil {
		return fmt.Errorf("opening the host's interfaces: %w", err)
	}
	m.closers = append(m.closers, root.Close)
	physnets := m.o.interfaces()
	secret, err := m.o.dir.metadataSecret()
	if err != nil {
		return fmt.Errorf("keeping the metadata secret: %w", err)
	}
	meta, err := metadata.New(m.log, metadata.Config{Secret: secret})
	if err != nil {
		return err
	}
	d := dhcp.New(m.log, dhcp.Settings{})
	r := l3.New(m.log, root)
	m.closers = append(m.closers, meta.Close, d.Close, r.Close)
	modules := []agent.Module{
		{Name: "dhcp", Converge: dhcpModule(d)},
		{Name: "routers", Converge: routerModule(r)},
		{Name: "metadata", Converge: func(ctx context.Context, s *host.State) (agent.Result, error) {
			return agent.Result{}, meta.Converge(ctx, s)
		}},
	}
	l2cfg := l2.Config{Physnets: physnets}
	if len(m.o.physnets) == 0 {
		world, err := m.standIn(ctx, root, physnets)
		if err != nil {
			return err
		}
		modules = append(modules, world)
	}
	m.agent = agent.New(agent.Config{Host: m.o.host, Source: f, Reporter: f, Events: root.Watch, L2: l2.New(root, l2cfg, m.log),
		Modules: modules, Log: m.log})
	return nil
}

// standIn makes the namespace that stands for the outside world.
func (m *machine) standIn(ctx context.Context, root *link.Handle, physnets map[string]string) (agent.Module, error) {
	say("no --physnet given: namespace %s stands for the outside world, as physical network %q", outsideNamespace, standInPhysnet)
	world := outside.New(m.log, root, physnets)
	m.closers = append(m.closers, world.Close)
	return agent.Module{Name: "outside", Converge: func(ctx context.Context, s *host.State) (agent.Result, error) {
		_, err := world.Converge(ctx, s)
		return agent.Result{}, err
	}}, world.Prepare(ctx)
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// dhcpModule tells of the DHCP ports.
func dhcpModule(d *dhcp.Agent) func(context.Context, *host.State) (agent.Result, error) {
	return func(ctx context.Context, s *host.State) (agent.Result, error) {
		results, err := d.Converge(ctx, s)
		failed := map[string]string{}
		for _, r := range results {
			failed[r.NetworkID] = reason(r.Err)
		}
		out := agent.Result{Ports: map[string]string{}}
		for i := range s.Networks {
			if n := &s.Networks[i]; n.DHCP != nil {
				out.Ports[n.DHCP.PortID] = failed[n.ID]
			}
		}
		return out, err
	}
}

// routerModule tells of the ports and floating IPs of routers.
func routerModule(a *l3.Agent) func(context.Context, *host.State) (agent.Result, error) {
	return func(ctx context.Context, s *host.State) (agent.Result, error) {
		results, err := a.Converge(ctx, s)
		failed := map[string]string{}
		for _, r := range results {
			failed[r.RouterID] = reason(r.Err)
		}
		out := agent.Result{Ports: map[string]string{}, FloatingIPs: map[string]string{}}
		for i := range s.Routers {
			r := &s.Routers[i]
			for _, p := range r.Interfaces {
				out.Ports[p.PortID] = failed[r.ID]
			}
			if r.Gateway != nil {
				out.Ports[r.Gateway.PortID] = failed[r.ID]
			}
			for _, f := range r.FloatingIPs {
				out.FloatingIPs[f.ID] = "ACTIVE"
				if failed[r.ID] != "" {
					out.FloatingIPs[f.ID] = "ERROR"
				}
			}
		}
		return out, err
	}
}

func (m *machine) tasks() []task {
	return []task{
		{"identity API", serve(m.listeners["identity"], m.identity.Handler())},
		{"networking API", serve(m.listeners["network"], m.network)},
		{"identity", m.identity.Run},
		{"agent", m.agent.Run},
		{"heartbeat", m.beat.run},
	}
}

func (m *machine) close() {
	for _, f := range m.closers {
		f()
	}
}

// announce tells the user how to go on.
func (m *machine) announce() {
	say("ready: network API at http://%s, identity at %s", m.listeners["network"].Addr(), m.authURL)
	fmt.Printf("\n  export OS_CLIENT_CONFIG_FILE=%s OS_CLOUD=weft\n  openstack network list\n\n", m.o.dir.clouds())
}

// cleanUp removes what weft has made on this host.
func cleanUp(ctx context.Context, o upOptions) error {
	if pid, _, err := o.dir.running(); err == nil {
		return fmt.Errorf("weft still runs as process %d: stop it first", pid)
	}
	root, err := link.Open()
	if err != nil {
		return err
	}
	defer root.Close()
	log := slog.New(slog.DiscardHandler)
	err = agent.Cleanup(ctx, l2.New(root, l2.Config{Physnets: o.interfaces()}, log))
	if err == nil {
		say("nothing of weft is left on this host's network")
	}
	return errors.Join(err)
}
