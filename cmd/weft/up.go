package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/weftnet/weft/internal/store"
)

// upOptions is what the flags of `weft up` say.
type upOptions struct {
	dir          stateDir
	listen       string
	networkPort  int
	identityPort int
	physnets     map[string]string
	config       string
	host         string
	verbose      bool
	cleanup      bool
}

func upCommand() *cobra.Command {
	o := upOptions{}
	var dir string
	var physnets []string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run identity, the Networking API and the agent of this machine in one process",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.dir = stateDir(dir)
			var err error
			if o.physnets, err = parsePhysnets(physnets); err != nil {
				return err
			}
			if o.cleanup {
				return cleanUp(cmd.Context(), o)
			}
			return up(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "state-dir", defaultStateDir(), "folder for the database and clouds.yaml")
	f.StringVar(&o.listen, "listen", "127.0.0.1", "address the APIs listen on")
	f.IntVar(&o.networkPort, "network-port", 9696, "TCP port of the Networking API")
	f.IntVar(&o.identityPort, "identity-port", 5000, "TCP port of the identity API")
	f.StringArrayVar(&physnets, "physnet", nil, "physical network and its interface, as NAME:INTERFACE (repeatable)")
	f.StringVar(&o.config, "config", "", "configuration file (see etc/weft.conf)")
	f.StringVar(&o.host, "host", hostname(), "name of this host, as in binding:host_id")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log what is done in detail")
	f.BoolVar(&o.cleanup, "cleanup", false, "remove every trace of weft from this host's network, and end")
	return cmd
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
func (o upOptions) listeners() (map[string]net.Listener, error) {
	if inside() {
		return inherited()
	}
	out := map[string]net.Listener{}
	for name, port := range map[string]int{"network": o.networkPort, "identity": o.identityPort} {
		l, err := net.Listen("tcp", net.JoinHostPort(o.listen, strconv.Itoa(port)))
		if err != nil {
			return nil, fmt.Errorf("opening the %s API's socket: %w", name, err)
		}
		out[name] = l
	}
	return out, nil
}

// say tells the user what is going on while weft starts.
func say(format string, args ...any) { fmt.Printf("weft: "+format+"\n", args...) }

func up(ctx context.Context, o upOptions) error {
	listeners, err := o.listeners()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(o.dir), 0o700); err != nil {
		return fmt.Errorf("making the state directory: %w", err)
	}
	if os.Geteuid() != 0 && !inside() {
		say("not root: building the networks in a user, network and mount namespace of its own")
		return enterRootless(listeners)
	}
	if inside() {
		if err := settleRootless(); err != nil {
			return err
		}
	}
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))

	unlock, err := o.dir.lock()
	if err != nil {
		return err
	}
	defer unlock()
	say("opening the database %s", o.dir.database())
	db, err := store.Open(ctx, "sqlite:"+o.dir.database(), store.Options{Log: log})
	if err != nil {
		return err
	}
	defer db.Close()
	m, err := newMachine(ctx, o, log, db, listeners)
	if err != nil {
		return err
	}
	return m.run(ctx)
}

// run runs the parts of the machine until ctx ends or one of them fails. What it
// has built on the host stays: packets flow on.
func (m *machine) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, t := range m.tasks() {
		g.Go(func() error {
			err := t.run(ctx)
			if err != nil && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			return nil
		})
	}
	pid, err := outerPID()
	if err != nil {
		return err
	}
	if err := m.o.dir.writePID(pid); err != nil {
		return err
	}
	defer os.Remove(m.o.dir.pid())
	defer m.close()
	m.announce()
	err = g.Wait()
	say("stopped; the networks stay as they are (weft up --cleanup removes them)")
	return err
}

// outerPID is this process as the rest of the machine knows it. There is no pid
// namespace of its own, so it is simply the process id.
func outerPID() (int, error) { return os.Getpid(), nil }
