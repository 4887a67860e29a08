package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/weftnet/weft/internal/agent"
	"github.com/weftnet/weft/internal/agent/firewall"
	"github.com/weftnet/weft/internal/agent/l2"
	"github.com/weftnet/weft/internal/agent/qos"
	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/dataplane/hostlock"
	"github.com/weftnet/weft/internal/dataplane/link"
)

// cleanUp removes what clouds have on this host: those that the user names, or that
// of the database.
func cleanUp(ctx context.Context, cfg config.Config, clouds []string) error {
	unlock, err := lockHost(stateDir(cfg.StateDir))
	var held *hostlock.HeldError
	if errors.As(err, &held) && held.Holder.StateDir != "" { // else it need not be a weft
		return fmt.Errorf("weft still runs as process %d, with state directory %s: stop it first", held.Holder.PID,
			held.Holder.StateDir)
	}
	if err != nil {
		return err
	}
	defer unlock()
	root, err := link.Open()
	if err != nil {
		return err
	}
	defer root.Close()
	found, err := agent.Survey(root)
	if err != nil {
		return err
	}
	going, err := toClean(ctx, cfg, clouds, found)
	if err != nil {
		return err
	}
	return sweep(ctx, cfg, root, going)
}

// toClean is the ids of the clouds that are to go.
func toClean(ctx context.Context, cfg config.Config, clouds []string, found map[string]agent.Left) ([]string, error) {
	switch {
	case slices.Contains(clouds, allClouds):
		return slices.Sorted(maps.Keys(found)), nil
	case len(clouds) > 0:
		var ids []string
		for _, c := range clouds {
			if c == noCloud {
				c = ""
			}
			ids = append(ids, c)
		}
		return ids, nil
	case len(found) == 0:
		return nil, nil
	case cfg.Database == "":
		if _, err := os.Stat(stateDir(cfg.StateDir).database()); errors.Is(err, fs.ErrNotExist) {
			return nil, undecided(cfg, found)
		}
	}
	return cloudOf(ctx, cfg, found)
}

// cloudOf is the cloud of the database, with what was made before it had an id.
func cloudOf(ctx context.Context, cfg config.Config, found map[string]agent.Left) ([]string, error) {
	db, err := openDatabase(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, fmt.Errorf("finding out which cloud is to go (--cloud can say it): %w", err)
	}
	defer db.Close()
	cloud, err := db.CloudID(ctx)
	if err != nil {
		return nil, err
	}
	mine, err := knows(ctx, db, found[""].Networks)
	if mine {
		return []string{cloud, ""}, err
	}
	return []string{cloud}, err
}

// undecided is the refusal to choose where no database says which cloud is meant.
func undecided(cfg config.Config, found map[string]agent.Left) error {
	var b strings.Builder
	fmt.Fprintf(&b, "there is no database in %s that says which cloud is to go. There is:", cfg.StateDir)
	for _, cloud := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(&b, "\n  %s: weft up --cleanup --cloud %s", described(cloud, found[cloud]), named(cloud))
	}
	fmt.Fprintf(&b, "\n  all of it: weft up --cleanup --cloud %s", allClouds)
	return errors.New(b.String())
}

// sweep removes what some clouds have on the host. The filters are nobody's; they go
// when there is nothing left that they could protect.
func sweep(ctx context.Context, cfg config.Config, root *link.Handle, going []string) error {
	log, physnets := slog.New(slog.DiscardHandler), interfaces(cfg)
	var errs []error
	for _, cloud := range going {
		errs = append(errs, agent.Cleanup(ctx, l2.New(root, l2.Config{Physnets: physnets}, log), cloud))
	}
	left, err := agent.Survey(root)
	if err = errors.Join(append(errs, err)...); err != nil {
		return err
	}
	if len(left) > 0 {
		say("what was to go is gone")
		for _, cloud := range slices.Sorted(maps.Keys(left)) {
			say("%s stays (weft up --cleanup --cloud %s removes it)", described(cloud, left[cloud]), named(cloud))
		}
		return nil
	}
	fw := firewall.New(log, physnets)
	if err := errors.Join(fw.Cleanup(ctx), qos.New(log, fw.Tables()).Cleanup(ctx)); err != nil {
		return err
	}
	say("nothing of weft is left on this host's network")
	return nil
}
