package qos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// Limiter keeps the limits of the ports of a host. It is not safe for concurrent
// use.
type Limiter struct {
	log   *slog.Logger
	nft   *nft.Conn
	empty bool // there is no table
}

// New makes a Limiter that works by the connection given, of the namespace in which
// the taps are. It does nothing before Converge.
func New(log *slog.Logger, conn *nft.Conn) *Limiter { return &Limiter{log: log, nft: conn} }

// Converge puts the limits of a State in force. What is right already is not
// touched, so that no bucket is filled anew. Limits of gateways and floating IPs are
// those of their routers: see Limit.
func (l *Limiter) Converge(ctx context.Context, s *host.State) error {
	t, limited := ports(s)
	if !limited {
		if l.empty {
			return nil
		}
		if err := l.Cleanup(ctx); err != nil {
			return err
		}
		l.empty = true
		return nil
	}
	l.empty = false
	ops, err := l.nft.Converge(ctx, t)
	if err != nil {
		return fmt.Errorf("limiting ports: %w", err)
	}
	if len(ops) > 0 {
		l.log.DebugContext(ctx, "limits changed", "operations", len(ops), "first", ops[0])
	}
	return nil
}

// Cleanup takes all limits of ports away.
func (l *Limiter) Cleanup(ctx context.Context) error {
	return errors.Join(ctx.Err(), l.nft.Delete(nft.Table{Family: nft.Bridge, Name: tableName}))
}
