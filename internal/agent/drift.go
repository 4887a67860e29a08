package agent

import (
	"context"
	"slices"

	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

// Drift is how the agent learns that somebody else has undone what it did, where
// events of the host's interfaces do not tell.
type Drift struct {
	Name  string
	Watch func(context.Context) (<-chan struct{}, error) // that it is time to look
	Seen  func(*host.State) bool                         // whether something is amiss; called by the agent's goroutine
}

// watchDrifts starts the watching. One that cannot be watched is left to the audit.
func (a *Agent) watchDrifts(ctx context.Context) <-chan *Drift {
	out := make(chan *Drift)
	for i := range a.Drifts {
		d := &a.Drifts[i]
		signals, err := d.Watch(ctx)
		if err != nil {
			a.Log.Warn("changes by others will be noticed late", "of", d.Name, "error", err)
			continue
		}
		go func() {
			for range signals {
				select {
				case out <- d:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	return out
}

// drifted reports whether a signal is a reason to look at everything.
func (a *Agent) drifted(d *Drift) bool {
	if a.state == nil || !d.Seen(a.state) {
		return false
	}
	a.Log.Debug("somebody else was at work on the host", "on", d.Name)
	return true
}

// Namespaces notices that a namespace which a State needs has lost its name. While
// the agent has a socket in there the kernel keeps what is in it, so that no
// interface tells.
func Namespaces() Drift {
	return Drift{Name: "network namespaces", Watch: netns.Watch, Seen: func(s *host.State) bool {
		return slices.ContainsFunc(namespaces(s), func(name string) bool { return !netns.Exists(name) })
	}}
}

// namespaces is those that a State needs.
func namespaces(s *host.State) []string {
	var names []string
	for i := range s.Networks {
		if n := &s.Networks[i]; n.DHCP != nil {
			names = append(names, host.DHCPNamespace(n.ID))
		}
	}
	for i := range s.Routers {
		names = append(names, host.RouterNamespace(s.Routers[i].ID))
	}
	return names
}
