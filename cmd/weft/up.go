package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/dataplane/ownhost"
	"github.com/weftnet/weft/internal/run"
	"github.com/weftnet/weft/internal/store"
)

func upCommand() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run identity, the Networking API and the agent of this machine in one process",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.config(cmd.Flags().Changed)
			if err != nil {
				return err
			}
			if len(f.clouds) > 0 && !f.cleanup {
				return errors.New("--cloud says what --cleanup removes, and needs it")
			}
			if f.cleanup {
				return cleanUp(cmd.Context(), c, f.clouds)
			}
			return up(cmd.Context(), c, upMode{agent: !f.noAgent, adopt: f.adopt})
		},
	}
	f.register(cmd)
	return cmd
}

// upFlags are the flags of `weft up`.
type upFlags struct {
	stateDir     stateDir
	listen       string
	networkPort  uint16
	identityPort uint16
	physnets     []string
	file         string
	host         string
	verbose      bool
	cleanup      bool
	clouds       []string
	adopt        []string
	noAgent      bool
	waitForLinks bool
	newPasswords bool
}

// upMode is how weft runs this time.
type upMode struct {
	agent bool     // for this host; else only the APIs
	adopt []string // ids of clouds whose things on this host become this cloud's
}

func (f *upFlags) register(cmd *cobra.Command) {
	s := cmd.Flags()
	f.stateDir = defaultStateDir()
	f.stateDir.register(cmd, "folder for the database and clouds.yaml")
	s.StringVar(&f.listen, "listen", "127.0.0.1", "address the APIs listen on")
	s.Uint16Var(&f.networkPort, "network-port", 9696, "TCP port of the Networking API")
	s.Uint16Var(&f.identityPort, "identity-port", 5000, "TCP port of the identity API")
	s.StringArrayVar(&f.physnets, "physnet", nil, "physical network and its interface, as NAME:INTERFACE (repeatable)")
	s.BoolVar(&f.waitForLinks, "wait-for-interfaces", false,
		"start without interfaces of --physnet that are not there, and wait for them")
	s.StringVar(&f.file, "config", "", "configuration file; etc/weft.conf shows every option")
	s.StringVar(&f.host, "host", hostname(), "name of this host, as in binding:host_id")
	s.BoolVarP(&f.verbose, "verbose", "v", false, "log what is done in detail")
	s.BoolVar(&f.noAgent, "no-agent", false, "serve the APIs only: register no agents, touch nothing of this host's network")
	s.BoolVar(&f.newPasswords, "new-passwords", false, "give users admin and demo new passwords, and write them to clouds.yaml")
	s.BoolVar(&f.cleanup, "cleanup", false, "remove what this cloud has on this host's network, and end")
	s.StringArrayVar(&f.clouds, "cloud", nil, "with --cleanup: id of the cloud to remove, "+
		"in the place of the database's (repeatable); all, or none for what has no id")
	s.StringArrayVar(&f.adopt, "adopt", nil, "id of a cloud whose things on this host are to be this cloud's "+
		"(repeatable); none for what has no id")
}

// config is the configuration file, or the defaults, under the flags that were
// given.
func (f *upFlags) config(given func(flag string) bool) (config.Config, error) {
	root := os.Geteuid() == 0 && !inside()
	c := config.Default(root)
	var err error
	if f.file != "" {
		if c, err = config.Load(f.file, root); err != nil {
			return c, err
		}
	}
	if given("state-dir") {
		c.StateDir = string(f.stateDir)
	}
	if given("listen") {
		if c.Listen, err = netip.ParseAddr(f.listen); err != nil {
			return c, fmt.Errorf("--listen %q is not an IP address", f.listen)
		}
	}
	if given("network-port") {
		c.NetworkPort = f.networkPort
	}
	if given("identity-port") {
		c.IdentityPort = f.identityPort
	}
	if given("host") {
		c.Host = f.host
	}
	c.WaitForLinks = c.WaitForLinks || f.waitForLinks
	c.NewPasswords = f.newPasswords
	if f.verbose {
		c.Log.Level = slog.LevelDebug
	}
	if given("physnet") {
		if c.Physnets, err = parsePhysnets(f.physnets); err != nil {
			return c, err
		}
	}
	return c, c.Validate()
}

func parsePhysnets(list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range list {
		name, dev, ok := strings.Cut(s, ":")
		if !ok || name == "" || dev == "" {
			return nil, fmt.Errorf("--physnet %q is not NAME:INTERFACE", s)
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("--physnet %s is given twice", name)
		}
		out[name] = dev
	}
	return out, nil
}

// listeners opens the APIs' sockets, or takes over those that were opened outside
// the namespaces of a rootless weft.
func listeners(c config.Config) (map[string]net.Listener, error) {
	if inside() {
		return inherited()
	}
	out := map[string]net.Listener{}
	ports := map[string]uint16{"network": c.NetworkPort}
	if c.Keystone.URL == "" {
		ports["identity"] = c.IdentityPort
	}
	for name, port := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(c.Listen.String(), strconv.Itoa(int(port))))
		if err != nil {
			return nil, fmt.Errorf("opening the %s API's socket: %w", name, err)
		}
		out[name] = l
	}
	return out, nil
}

// say tells the user what is going on while weft starts.
func say(format string, args ...any) { fmt.Printf("weft: "+format+"\n", args...) }

// up runs weft. The locks come first: who is second has touched nothing.
func up(ctx context.Context, c config.Config, mode upMode) error {
	lock, err := takeLock(c)
	if err != nil {
		return err
	}
	defer lock.close()
	if mode.agent && os.Geteuid() != 0 && !inside() {
		return upRootless(c, lock)
	}
	if inside() {
		if err := ownhost.Furnish(); err != nil {
			return err
		}
	}
	if mode.agent {
		unlock, err := lockHost(stateDir(c.StateDir))
		if err != nil {
			return err
		}
		defer unlock()
		if err := checkPhysnets(c); err != nil {
			return err
		}
	}
	sockets, err := listeners(c)
	if err != nil {
		return err
	}
	if inside() {
		if err := listenInside(sockets); err != nil {
			return err
		}
	}
	return serveCloud(ctx, c, lock, sockets, mode)
}

// takeLock takes the lock of the state directory, or takes it over from the process
// outside of a rootless weft's namespaces, and writes down who has it.
func takeLock(c config.Config) (*dirLock, error) {
	take := stateDir(c.StateDir).lock
	if inside() {
		take = inheritedLock
	}
	lock, err := take()
	if err != nil {
		return nil, err
	}
	return lock, lock.tell(record{PID: os.Getpid(), Host: c.Host})
}

// alone refuses a configuration with services that a rootless weft cannot reach.
func alone(c config.Config) error {
	for _, option := range []struct{ name, url string }{{"[identity] url", c.Keystone.URL},
		{"[nova] auth_url", c.Nova.AuthURL}, {"[placement] auth_url", c.Placement.AuthURL}} {
		if option.url != "" {
			return fmt.Errorf("without root weft runs in a network namespace of its own, from which it cannot reach what %s is about",
				option.name)
		}
	}
	return nil
}

// upRootless opens the sockets where clients are, and runs the rest in namespaces.
func upRootless(c config.Config, lock *dirLock) error {
	if err := alone(c); err != nil {
		return err
	}
	sockets, err := listeners(c)
	if err != nil {
		return err
	}
	say("not root: building the networks in a user, network and mount namespace of its own")
	return enterRootless(sockets, lock)
}

// serveCloud opens the database and runs the cloud in it.
func serveCloud(ctx context.Context, c config.Config, lock *dirLock, sockets map[string]net.Listener, mode upMode) error {
	log := newLog(c.Log)
	db, err := openDatabase(ctx, c, log)
	if err != nil {
		return err
	}
	defer db.Close()
	cloud, err := db.CloudID(ctx)
	if err != nil {
		return err
	}
	if mode.agent {
		if err := claim(ctx, db, cloud, mode.adopt); err != nil {
			return err
		}
	}
	m, err := newMachine(ctx, c, log, db, cloud, sockets, mode.agent)
	if err != nil {
		return err
	}
	defer m.close()
	if err := lock.tell(record{PID: os.Getpid(), Host: c.Host, Cloud: cloud, Outside: m.outside}); err != nil {
		return err
	}
	return m.run(ctx)
}

func newLog(c config.Log) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.Level}
	if c.JSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

func openDatabase(ctx context.Context, c config.Config, log *slog.Logger) (*store.DB, error) {
	url, what := c.Database, "the configured database"
	if url == "" {
		what = stateDir(c.StateDir).database()
		url = "sqlite:" + what
	}
	say("opening %s", what)
	return store.Open(ctx, url, store.Options{Log: log, Wait: c.DatabaseTime.Start, Patience: c.DatabaseTime.Answer})
}

// run runs the parts of the machine until a signal, the end of ctx or the failure
// of one of them. What it has built on the host stays: packets flow on.
func (m *machine) run(ctx context.Context) error {
	group := run.NewGroup(m.log, append(m.tasks(), run.Signals(syscall.SIGINT, syscall.SIGTERM))...)
	if err := m.dir.writePID(os.Getpid()); err != nil {
		return fmt.Errorf("recording the process id: %w", err)
	}
	defer os.Remove(m.dir.pid())
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-group.Ready():
			m.announce()
		case <-ended:
		}
	}()
	err := group.Run(ctx)
	if err == nil || errors.Is(err, context.Canceled) {
		say("%s", whatStays())
		return nil
	}
	return err
}

// whatStays is what the user has to know of the networks when weft has stopped.
func whatStays() string {
	if inside() {
		return "stopped; the networks are gone with its namespaces, and the next start builds them anew"
	}
	return "stopped; the networks stay as they are (weft up --cleanup removes them)"
}
