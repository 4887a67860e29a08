package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func stopCommand() *cobra.Command {
	dir := defaultStateDir()
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the running weft; packets flow on, unless it is rootless",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			return stop(ctx, dir)
		},
	}
	dir.register(cmd, "folder of the running weft")
	cmd.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for its end")
	return cmd
}

// stop asks the running weft to end, and waits until it has let go of its folder.
func stop(ctx context.Context, dir stateDir) error {
	w, err := dir.running()
	if err != nil {
		return err
	}
	if err := syscall.Kill(w.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stopping process %d: %w", w.pid, err)
	}
	for {
		if free, err := dir.lockIsFree(); err != nil || free {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d has not ended yet", w.pid)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
