package main

import (
	"cmp"
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weftnet/weft/internal/agent/outside"
	"github.com/weftnet/weft/internal/client"
	"github.com/weftnet/weft/internal/demo"
	"github.com/weftnet/weft/internal/plug"
)

func demoCommand() *cobra.Command {
	dir := defaultStateDir()
	var host, physnet string
	var remove bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Build a small cloud on a running weft, and prove with real traffic that it works",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := attend(dir, nil); err != nil {
				return err
			}
			d, err := newDemo(cmd.Context(), dir, dir.hostName(host), physnet)
			if err != nil {
				return err
			}
			if remove {
				return d.Delete(cmd.Context())
			}
			return d.Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	dir.register(cmd, "folder of the running weft")
	f.StringVar(&host, "host", "", "name of this host, as in binding:host_id (default: that of the running weft)")
	f.StringVar(&physnet, "physnet", standInPhysnet, "physical network of the external network")
	f.BoolVar(&remove, "delete", false, "take everything away again")
	return cmd
}

func newDemo(ctx context.Context, dir stateDir, host, physnet string) (*demo.Demo, error) {
	admin, err := client.Connect(ctx, dir.clouds(), "weft")
	if err != nil {
		return nil, err
	}
	member, err := client.Connect(ctx, dir.clouds(), "weft-demo")
	if err != nil {
		return nil, err
	}
	r, err := dir.record()
	if err != nil {
		return nil, err
	}
	world := cmp.Or(r.Outside, outside.Namespace)
	tag := strings.TrimPrefix(world, outside.Namespace) // of a weft that shares /run/netns with another
	if tag != "" {
		tag = tag[1:] + "-"
	}
	return demo.New(demo.Config{
		Out: os.Stdout, Admin: admin, Member: member, Outside: world, Physnet: physnet, Tag: tag,
		Plug: func(ctx context.Context, port, ns string) (plug.Lease, error) {
			if _, err := plugPort(ctx, admin, port, host, plug.Spec{Cloud: r.Cloud, Namespace: ns}); err != nil {
				return plug.Lease{}, err
			}
			return plug.DHCP(ctx, ns, "eth0")
		},
		Unplug: func(ctx context.Context, port, ns string) error {
			return plug.Detach(ctx, plug.Spec{Cloud: r.Cloud, PortID: port, Namespace: ns})
		},
	}), nil
}
