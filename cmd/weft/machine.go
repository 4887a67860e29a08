package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"

	"github.com/weftnet/weft/internal/agent"
	"github.com/weftnet/weft/internal/agent/dhcp"
	"github.com/weftnet/weft/internal/agent/firewall"
	"github.com/weftnet/weft/internal/agent/l2"
	"github.com/weftnet/weft/internal/agent/l3"
	"github.com/weftnet/weft/internal/agent/metadata"
	"github.com/weftnet/weft/internal/agent/neighbours"
	"github.com/weftnet/weft/internal/agent/outside"
	"github.com/weftnet/weft/internal/agent/qos"
	"github.com/weftnet/weft/internal/api"
	"github.com/weftnet/weft/internal/authtoken"
	"github.com/weftnet/weft/internal/body"
	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/feed"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/identity"
	"github.com/weftnet/weft/internal/nova"
	"github.com/weftnet/weft/internal/placement"
	"github.com/weftnet/weft/internal/serve"
	"github.com/weftnet/weft/internal/store"
)

// What stands for the outside world where the machine has no interface to spare:
// a physical network of this name behind a veth into a namespace of its own.
const (
	standInPhysnet = "provider"
	standInDevice  = "weft-provider"
)

// machine is everything that `weft up` runs.
type machine struct {
	cfg       config.Config
	cloud     string // its id
	outside   string // namespace that stands for the outside world, if one does
	dir       stateDir
	log       *slog.Logger
	db        *store.DB
	listeners map[string]net.Listener
	identity  *identity.Service               // nil if a Keystone is asked
	follow    func(ctx context.Context) error // keeps the source of tokens up to date
	gate      *authtoken.Gate
	network   *api.Server
	door      *serve.Door
	agent     *agent.Agent // nil: the APIs only
	beat      *heartbeat
	placement *placement.Syncer // nil: there is no Placement
	nova      *nova.Notifier    // nil: there is none
	closers   []func()
	authURL   string
	bodies    *body.Reader // of all APIs
}

// newMachine makes everything; with an agent it is the host's, which is the cloud's.
func newMachine(ctx context.Context, cfg config.Config, log *slog.Logger, db *store.DB, cloud string,
	listeners map[string]net.Listener, withAgent bool) (*machine, error) {
	m := &machine{cfg: cfg, cloud: cloud, dir: stateDir(cfg.StateDir), log: log, db: db, listeners: listeners,
		bodies: body.NewReader(body.Limits{Bytes: int64(cfg.MaxBody), Items: cfg.MaxBulk}),
		door:   serve.New(log, serve.Limits(cfg.Clients))}
	if err := m.identify(ctx); err != nil {
		return nil, err
	}
	m.cfg.Physnets = interfaces(cfg)
	parts := drivers(m.cfg)
	c := newCloud(m.cfg, parts)
	if err := c.Prepare(ctx, db); err != nil {
		return nil, err
	}
	err := m.place(c, parts)
	if err != nil {
		return nil, err
	}
	if err := m.tellNova(ctx); err != nil {
		return nil, err
	}
	if m.network, err = networkAPI(cfg, log, db, c, m.gate.Admit, m.authURL, m.bodies, m.peers); err != nil {
		return nil, err
	}
	m.beat = &heartbeat{log: log, db: db, cfg: m.cfg, agents: withAgent, place: c.L3.PlaceRouters, watch: c.Watch,
		rebind: c.Core.RetryBindings,
		offer:  resources(m.cfg, hypervisor(ctx, m.cfg))}
	if err := m.beat.beat(ctx); err != nil {
		return nil, fmt.Errorf("registering the agents: %w", err)
	}
	if !withAgent {
		return m, nil
	}
	f := feed.New(feed.Config{Log: log, DB: db, Cloud: cloud, Host: cfg.Host, Domain: strings.TrimSuffix(cfg.DNSDomain, "."),
		SetPorts: c.Core.SetPortStatuses, SetFloatingIPs: c.L3.SetFloatingIPStatuses})
	return m, m.assemble(ctx, f)
}

// reachable is a listener's address as clients can use it, also those elsewhere if
// it listens everywhere: then it is the first address of this host that is not
// local.
func reachable(l net.Listener) string {
	at := l.Addr().(*net.TCPAddr).AddrPort()
	if !at.Addr().Unmap().IsUnspecified() {
		return at.String()
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		addrs = nil
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return netip.AddrPortFrom(p.Addr(), at.Port()).String()
		}
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String()
}

// interfaces is the physical networks of this host, with a stand-in where there is
// none.
func interfaces(cfg config.Config) map[string]string {
	if len(cfg.Physnets) > 0 {
		return cfg.Physnets
	}
	return map[string]string{standInPhysnet: standInDevice}
}

// standsIn reports whether the outside world is a stand-in.
func standsIn(physnets map[string]string) bool { return physnets[standInPhysnet] == standInDevice }

// assemble makes the agent of this host. The order of its modules is the order in
// which a packet comes to need them.
func (m *machine) assemble(ctx context.Context, f *feed.Feed) error {
	root, err := link.Open()
	if err != nil {
		return fmt.Errorf("opening the host's interfaces: %w", err)
	}
	m.closers = append(m.closers, root.Close)
	physnets := m.cfg.Physnets
	meta, err := m.metadata()
	if err != nil {
		return err
	}
	if err := firewall.Load(ctx); err != nil {
		m.log.Warn("connection tracking on bridges", "error", err) // ports say so when their rules cannot be made
	}
	d := dhcp.New(m.log, m.dhcpSettings())
	r := l3.New(m.log, root)
	near := neighbours.New(m.log)
	fw := firewall.New(m.log, physnets)
	m.closers = append(m.closers, meta.Close, d.Close, r.Close)
	limits := qos.New(m.log, fw.Tables())
	modules := []agent.Module{
		{Name: "QoS", Converge: func(ctx context.Context, s *host.State) (agent.Result, error) {
			return agent.Result{}, limits.Converge(ctx, s)
		}},
		{Name: "dhcp", Converge: dhcpModule(d)},
		{Name: "routers", Converge: routerModule(r)},
		{Name: "neighbours", Converge: func(ctx context.Context, s *host.State) (agent.Result, error) {
			return agent.Result{}, near.Converge(ctx, s)
		}},
		{Name: "metadata", Converge: func(ctx context.Context, s *host.State) (agent.Result, error) {
			return agent.Result{}, meta.Converge(ctx, s)
		}},
	}
	l2cfg := l2.Config{Physnets: physnets, VTEP: m.cfg.VXLAN.LocalIP, VXLANPort: m.cfg.VXLAN.Port, ARPProxy: m.cfg.VXLAN.ARPResponder}
	if standsIn(physnets) {
		world, err := m.standIn(ctx, root, physnets)
		if err != nil {
			return err
		}
		modules = append(modules, world)
	}
	m.agent = agent.New(agent.Config{Host: m.cfg.Host, Source: f, Reporter: f, Events: root.Watch, L2: l2.New(root, l2cfg, m.log),
		Firewall: fw.Converge, Modules: modules, Drifts: drifts(fw, m.log), Audit: audit, Log: m.log})
	return nil
}

// dhcpSettings is what the operator has chosen for the guests of this host.
func (m *machine) dhcpSettings() dhcp.Settings {
	set := dhcp.Settings{LeaseTime: m.cfg.DHCP.Lease, Resolvers: m.cfg.DHCP.Resolvers}
	if m.cfg.DHCP.HostResolvers {
		set.ResolvConf = "/etc/resolv.conf"
	}
	return set
}

// metadata is the metadata proxy, with a secret made for the occasion unless the
// operator shares one with Nova.
func (m *machine) metadata() (*metadata.Agent, error) {
	secret := m.cfg.Metadata.Secret
	if secret == "" {
		var err error
		if secret, err = m.dir.metadataSecret(); err != nil {
			return nil, fmt.Errorf("keeping the metadata secret: %w", err)
		}
	}
	return metadata.New(m.log, metadata.Config{NovaURL: m.cfg.Metadata.NovaURL, Secret: secret})
}

// standIn makes the namespace that stands for the outside world.
func (m *machine) standIn(ctx context.Context, root *link.Handle, physnets map[string]string) (agent.Module, error) {
	world := outside.New(m.log, root, physnets)
	m.closers = append(m.closers, world.Close)
	if err := world.Prepare(ctx, m.cloud); err != nil {
		return agent.Module{}, err
	}
	m.outside = world.Name()
	say("no --physnet given: namespace %s stands for the outside world, as physical network %q", m.outside, standInPhysnet)
	return agent.Module{Name: "outside", Converge: func(ctx context.Context, s *host.State) (agent.Result, error) {
		_, err := world.Converge(ctx, s)
		return agent.Result{}, err
	}}, nil
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
		out := agent.Result{Ports: map[string]string{}, FloatingIPs: map[string]string{}}
		for _, r := range results {
			for _, p := range r.Ports {
				out.Ports[p.ID] = p.Reason
			}
			maps.Copy(out.FloatingIPs, r.FloatingIPs)
		}
		return out, err
	}
}

func (m *machine) close() {
	for _, f := range m.closers {
		f()
	}
}

// announce tells the user how to go on. What starting took is given back to the host:
// an idle weft would keep it until it has work.
func (m *machine) announce() {
	defer debug.FreeOSMemory()
	say("ready: network API at http://%s, identity at %s", reachable(m.listeners["network"]), m.authURL)
	if _, err := os.Stat(m.dir.clouds()); err != nil {
		return // a server that has joined others, and does not know their passwords
	}
	fmt.Printf("\n  export OS_CLIENT_CONFIG_FILE=%s OS_CLOUD=weft\n  openstack network list\n\n", m.dir.clouds())
}
