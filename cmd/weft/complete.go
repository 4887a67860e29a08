package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/client"
)

// completePort completes the ids of ports, with their names beside them, by asking
// the running weft. A shell that waits for it is not to wait long.
func completePort(dir *stateDir) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), 2*time.Second)
		defer cancel()
		if _, err := dir.running(); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := client.Connect(ctx, dir.clouds(), "weft")
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ports, err := client.List[weft.Port](ctx, c, "ports", "fields=id&fields=name&limit=1000")
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []string
		for _, p := range ports {
			if strings.HasPrefix(p.ID, begun) {
				out = append(out, fmt.Sprintf("%s\t%s", p.ID, p.Name))
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}
