package main

import (
	"log/slog"
	"time"

	"github.com/weftnet/weft/internal/agent"
	"github.com/weftnet/weft/internal/agent/firewall"
	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// audit is how often the agent looks at what nothing tells it of.
const audit = 30 * time.Second

// drifts is how the agent notices what others do to the host.
func drifts(fw *firewall.Firewall, log *slog.Logger) []agent.Drift {
	filters := func(*host.State) bool {
		changed, err := fw.Changed()
		if err != nil {
			log.Warn("looking whether nftables have changed", "error", err)
		}
		return changed || err != nil
	}
	return []agent.Drift{agent.Namespaces(), {Name: "nftables", Watch: nft.Watch, Seen: filters}}
}
