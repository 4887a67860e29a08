package firewall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/dataplane/link"
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
	tracker  tracker // nil: not probed yet

	last  *host.State       // in force; nil: not known, as after a start
	zones map[string]uint16 // in force; nil: not known
	cut   bool              // there may be connections with cutMark
}

// New makes a Firewall for hosts whose physical networks are behind the given
// interfaces. It does nothing before Converge.
func New(log *slog.Logger, physnets map[string]string) *Firewall {
	return &Firewall{log: log, physnets: physnets, nft: nft.Open(0), tracked: conntrack.Open(0), cut: true}
}

// Converge puts the rules of a State in force and then ends the connections that
// were admitted by rules before and are not by those of this State; the first call
// looks at all. The caller must not change s afterwards. After an error some of it
// may be in force; the next Converge does the rest.
func (f *Firewall) Converge(ctx context.Context, s *host.State) error {
	at, err := f.look(ctx, s)
	if err != nil {
		return fmt.Errorf("firewall: %w", err)
	}
	for _, t := range plan(s, at, f.tracker) {
		ops, err := f.nft.Converge(ctx, t)
		if err != nil {
			return fmt.Errorf("firewall: %w", err)
		}
		if len(ops) > 0 {
			f.log.DebugContext(ctx, "firewall changed", "table", t.Name, "operations", len(ops), "first", ops[0])
		}
	}
	if err := f.endConnections(ctx, s, at.zones); err != nil {
		return fmt.Errorf("firewall: ending connections: %w", err)
	}
	f.last, f.zones = s, at.zones
	return nil
}

// Tables is the connection to nftables of the host. Who changes another table of
// the same namespace does it by this, so that it is not taken for somebody else.
func (f *Firewall) Tables() *nft.Conn { return f.nft }

// Changed reports whether anybody else has changed nftables since Converge.
func (f *Firewall) Changed() (bool, error) { return f.nft.Changed() }

// Cleanup takes the firewall away: every packet passes.
func (f *Firewall) Cleanup(ctx context.Context) error {
	f.last, f.zones = nil, nil
	return errors.Join(ctx.Err(),
		f.nft.Delete(nft.Table{Family: nft.Bridge, Name: filterTable}),
		f.nft.Delete(nft.Table{Family: nft.Inet, Name: trackTable}))
}

// look learns from the host what a plan needs.
func (f *Firewall) look(ctx context.Context, s *host.State) (site, error) {
	h, err := link.Open()
	if err != nil {
		return site{}, err
	}
	defer h.Close()
	if f.tracker == nil {
		if f.tracker, err = probe(ctx, f.nft); err != nil {
			f.tracker = nil
			return site{}, err
		}
	}
	before := f.zones
	if before == nil {
		marks, err := f.nft.Marks(nft.Table{Family: nft.Bridge, Name: filterTable}, "zones")
		if err != nil {
			return site{}, err
		}
		before = zonesInForce(marks, devices(s, f.physnets))
	}
	return site{f.physnets, zones(s.Networks, before), bridges(h, s)}, nil
}

// bridges is the MACs of the bridges on which the host may have addresses or be a
// router: those of networks that do not belong to tenants alone. A bridge that is
// not there has none.
func bridges(h *link.Handle, s *host.State) map[string]weft.MAC {
	out := map[string]weft.MAC{}
	for i := range s.Networks {
		n := &s.Networks[i]
		if !hostMayBeOn(n.Segment) {
			continue
		}
		if l, err := h.ByName(host.BridgeName(n.ID)); err == nil {
			out[n.ID] = l.MAC
		}
	}
	return out
}

// endConnections judges the connections of ports for which something was closed.
func (f *Firewall) endConnections(ctx context.Context, s *host.State, zones map[string]uint16) error {
	c := changes(f.last, s)
	// A rule that is back, or another, may admit what was cut.
	revive := f.cut && (f.last == nil || !sameRules(f.last, s))
	if c.empty() && !revive {
		return nil
	}
	j := newJudge(s, c, zones, f.zones)
	j.revive = revive
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
