package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/client"
	"github.com/weftnet/weft/internal/plug"
)

func plugCommand() *cobra.Command {
	dir := defaultStateDir()
	var port, ns, host, device string
	var tap, noDHCP bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "plug --port ID (--netns NAME | --tap)",
		Short: "Attach a network namespace, or a tap for a VM, to a port, as Nova does for an instance",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := attend(dir, nil); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			c, err := client.Connect(ctx, dir.clouds(), "weft")
			if err != nil {
				return err
			}
			p, err := plugPort(ctx, c, port, dir.hostName(host), plug.Spec{Cloud: dir.cloud(), Namespace: ns, Device: device, Tap: tap})
			if err != nil {
				return err
			}
			fmt.Printf("port %s is %s on %s\n", p.ID, p.Status, p.HostID)
			if tap || noDHCP {
				return nil
			}
			return takeAddress(ctx, ns, device)
		},
	}
	f := cmd.Flags()
	dir.register(cmd, "folder of the running weft")
	f.StringVar(&port, "port", "", "id of the port")
	f.StringVar(&ns, "netns", "", "network namespace that stands for the instance; made if missing")
	f.BoolVar(&tap, "tap", false, "make a tap device for a virtual machine instead")
	f.StringVar(&device, "device", "eth0", "name of the interface in the namespace")
	f.StringVar(&host, "host", "", "name of this host, as in binding:host_id (default: that of the running weft)")
	f.BoolVar(&noDHCP, "no-dhcp", false, "do not take an address")
	f.DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the port to be ACTIVE and for an address")
	cmd.MarkFlagRequired("port")
	cmd.RegisterFlagCompletionFunc("port", completePort(&dir))
	cmd.MarkFlagsOneRequired("netns", "tap")
	cmd.MarkFlagsMutuallyExclusive("netns", "tap")
	return cmd
}

// plugPort binds a port to the host, attaches the device and waits until the port
// is ACTIVE.
func plugPort(ctx context.Context, c *client.Client, id, host string, spec plug.Spec) (*weft.Port, error) {
	p, err := client.Get[weft.Port](ctx, c, "ports", "port", id)
	if err != nil {
		return nil, err
	}
	n, err := client.Get[weft.Network](ctx, c, "networks", "network", p.NetworkID)
	if err != nil {
		return nil, err
	}
	changes := map[string]any{}
	if p.HostID != host {
		changes["binding:host_id"] = host
	}
	if p.DeviceOwner == "" {
		changes["device_owner"] = "compute:weft"
	}
	if p.DeviceID == "" {
		changes["device_id"] = p.ID // the instance is as old as its port, and known by it
	}
	if len(changes) > 0 {
		if p, err = client.Update[weft.Port](ctx, c, "ports", "port", id, changes); err != nil {
			return nil, err
		}
	}
	if p.VIFType == weft.VIFFailed {
		return nil, fmt.Errorf("port %s could not be bound to host %s: its network cannot be realised there", id, host)
	}
	spec.PortID, spec.MAC, spec.MTU = p.ID, p.MAC, n.MTU
	if err := plug.Attach(ctx, spec); err != nil {
		return nil, err
	}
	return waitActive(ctx, c, id)
}

// waitActive waits until a port is ACTIVE. The API has no way to wait, so it asks
// again and again, more slowly each time.
func waitActive(ctx context.Context, c *client.Client, id string) (*weft.Port, error) {
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		p, err := client.Get[weft.Port](ctx, c, "ports", "port", id)
		if err != nil || p.Status == weft.StatusActive || !p.AdminStateUp {
			return p, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return p, fmt.Errorf("port %s is still %s: %w", id, p.Status, ctx.Err())
		}
	}
}

func takeAddress(ctx context.Context, ns, device string) error {
	l, err := plug.DHCP(ctx, ns, device)
	if err != nil {
		return err
	}
	fmt.Printf("%s in %s has %s, gateway %s, DNS %v, MTU %d, from DHCP server %s\n", device, ns, l.Address, l.Gateway, l.DNS, l.MTU, l.Server)
	return nil
}

func unplugCommand() *cobra.Command {
	dir := defaultStateDir()
	var port, ns string
	var tap bool
	cmd := &cobra.Command{
		Use:   "unplug --port ID [--netns NAME]",
		Short: "Detach what was plugged into a port, and unbind it from the host",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := attend(dir, nil); err != nil {
				return err
			}
			return unplug(cmd.Context(), dir, port, ns)
		},
	}
	f := cmd.Flags()
	dir.register(cmd, "folder of the running weft")
	f.StringVar(&port, "port", "", "id of the port")
	f.StringVar(&ns, "netns", "", "the instance's namespace; deleted if weft made it and nothing else is in it")
	f.BoolVar(&tap, "tap", false, "what was plugged is a tap")
	cmd.MarkFlagRequired("port")
	cmd.RegisterFlagCompletionFunc("port", completePort(&dir))
	return cmd
}

// unplug detaches a port's device and unbinds the port. A port that is gone may have
// left its device behind; one that never was has none, and is told.
func unplug(ctx context.Context, dir stateDir, port, ns string) error {
	c, err := client.Connect(ctx, dir.clouds(), "weft")
	if err != nil {
		return err
	}
	spec := plug.Spec{Cloud: dir.cloud(), PortID: port, Namespace: ns}
	attached, err := plug.Attached(spec)
	if err != nil {
		return err
	}
	if err := plug.Detach(ctx, spec); err != nil {
		return err
	}
	_, err = client.Update[weft.Port](ctx, c, "ports", "port", port, map[string]any{"binding:host_id": ""})
	if weft.IsKind(err, weft.NotFound) && attached {
		return nil
	}
	return err
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}
