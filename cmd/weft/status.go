package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/client"
)

func statusCommand() *cobra.Command {
	dir := defaultStateDir()
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether weft runs, where, and which of its ports are not up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := dir.running()
			if err != nil {
				return err
			}
			how := "as root"
			if w.rootless {
				how = "rootless, in namespaces of its own (weft shell enters them)"
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "weft runs as process %d, %s\nstate directory %s\n", w.pid, how, dir)
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			return status(ctx, out, dir)
		},
	}
	dir.register(cmd, "folder of the running weft")
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Second, "how long to wait for answers")
	return cmd
}

// mostShown bounds the ports that status names.
const mostShown = 20

// status asks the running weft as any client would.
func status(ctx context.Context, out io.Writer, dir stateDir) error {
	c, err := client.Connect(ctx, dir.clouds(), "weft")
	if err != nil {
		return fmt.Errorf("it does not answer: %w", err)
	}
	type agent struct {
		weft.Agent
		Alive bool `json:"alive"`
	}
	agents, err := client.List[agent](ctx, c, "agents", "")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Networking API at %s\n", c.Network())
	for _, a := range agents {
		state := "alive"
		if !a.Alive {
			state = "not heard of since " + a.Heartbeat
		}
		fmt.Fprintf(out, "%s on %s: %s\n", a.AgentType, a.Host, state)
	}
	down, err := client.List[weft.Port](ctx, c, "ports", fmt.Sprintf("status=%s&admin_state_up=true&limit=1000", weft.StatusDown))
	if err != nil {
		return err
	}
	waiting := 0
	for _, p := range down {
		if p.HostID == "" {
			continue
		}
		if waiting++; waiting <= mostShown {
			fmt.Fprintf(out, "port %s is DOWN on %s\n", p.ID, p.HostID)
		}
	}
	if waiting == 0 {
		fmt.Fprintln(out, "every port that is bound to a host is up")
	} else if waiting > mostShown {
		fmt.Fprintf(out, "and %d more\n", waiting-mostShown)
	}
	return nil
}
