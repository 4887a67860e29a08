// Command weft is cloud networking in one binary: it speaks the OpenStack
// Networking API v2.0 and builds the networks itself on Linux.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "weft:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "weft",
		Short:         "Cloud networking in one binary: the OpenStack Networking API, and the networks themselves",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(upCommand(), policyCommand(), plugCommand(), unplugCommand(), demoCommand(), shellCommand(), statusCommand(),
		stopCommand(), backupCommand(), insideCommand())
	return root
}
