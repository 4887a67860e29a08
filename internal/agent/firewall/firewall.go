package firewall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// Firewall keeps the filter of the process's namespace as a State says. It is not
// safe for concurrent use.
type Firewall struct {
	log      *slog.Logger
	physnets map[string]string // physical network -> interface
	nft      *nft.Conn
	tracked  *conntrack.Conn

	last *host.State // in force; nil: not known, as after a start
	cut  bool        // there may be connections with cutMark
}

// New makes a Firewall for hosts whose physical networks are behind the given
// interfaces. It does nothing before Converge.
func New(log *slog.Logger, physnets map[string]string) *Firewall {
	return &Firewall{log: log, physnets: physnets, nft: nft.Open(0), tracked: conntrack.Open(0), cut: true}
}

// Converge puts the rules of a State in force and then ends the connections that
// were admitted by rules of the State before and are not by those of this one. The
// caller must not change s afterwards. After an error some of it may be in force;
// the next Converge does the rest.
func (f *Firewall) Converge(ctx context.Context, s *host.State) error {
	track, filter := plan(s, f.physnets)
	for _, t := range []nft.Table{track, filter} {
		ops, err := f.nft.Converge(ctx, t)
		if err != nil {
			return fmt.Errorf("firewall: %w", err)
		}
		if len(ops) > 0 {
			f.log.DebugContext(ctx, "firewall changed", "table", t.Name, "operations", len(ops), "first", ops[0])
		}
	}
	if err := f.endConnections(ctx, s); err != nil {
		return fmt.Errorf("firewall: ending connections: %w", err)
	}
	f.last = s
	return nil
}

// Cleanup takes the firewall away: every packet passes.
func (f *Firewall) Cleanup(ctx context.Context) error {
	f.last = nil
	return errors.Join(ctx.Err(),
		f.nft.Delete(nft.Table{Family: nft.Bridge, Name: filterTable}),
		f.nft.Delete(nft.Table{Family: nft.Inet, Name: trackTable}))
}

// endConnections judges the connections of ports for which something was closed.
func (f *Firewall) endConnections(ctx context.Context, s *host.State) error {
	j := judge{compiler: newCompiler(s), watched: closed(f.last, s)}
	if f.cut && (f.last == nil || !sameRules(f.last, s)) {
		// A rule that is back, or another, may admit what was cut.
		j.revive = everyPort(s)
	}
	if len(j.watched) == 0 && j.revive == nil {
		return nil
	}
	remain := 0
	n, err := f.tracked.Change(func(flow conntrack.Flow) conntrack.Action {
		a := j.decide(&flow)
		if a.Mark != nil || flow.Mark == cutMark && !a.Delete {
			remain++
		}
		return a
	})
	if err != nil {
		return err
	}
	f.cut = remain > 0
	f.log.DebugContext(ctx, "connections ended or revived", "count", n)
	return nil
}
