// Command hostile starts a weft without an agent, in network and mount namespaces of
// its own, and lets a member of one project (and somebody without a token) try to stop
// it, one kind of attack after the other, while two other projects do ordinary work and
// /healthz is asked. It prints what they had to wait and what weft used, and fails where
// others noticed more than they should, or their things are not as they were.
//
// The attacker is a process of its own, from an address of its own, and nice (+10):
// where there are two processors its own work would otherwise be what the others wait
// for, and what is asked here is what weft does.
//
//	go run ./test/hostile [-weft bin/weft] [-database URL] [-only KIND,...] [-p99 100ms] [-span 10s]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/weftnet/weft/internal/dataplane/ownhost"
)

// inside marks the process that is in its own namespaces.
const inside = "WEFT_HOSTILE"

type options struct {
	weft     string
	database string
	only     string
	attack   string
	from     string
	p99      time.Duration
	every    time.Duration
	span     time.Duration
	memory   float64
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
}

func run() error {
	var o options
	flag.StringVar(&o.weft, "weft", "bin/weft", "the program")
	flag.StringVar(&o.database, "database", "", "URL of an empty PostgreSQL database; SQLite without")
	flag.StringVar(&o.only, "only", "", "these kinds only, with commas between them")
	flag.StringVar(&o.attack, "attack", "", "be the attacker of this kind (for this program itself)")
	flag.StringVar(&o.from, "from", "127.0.0.2",
		"address that the attacker's connections come from; that of the others is 127.0.0.1")
	flag.DurationVar(&o.p99, "p99", 100*time.Millisecond,
		"how long one in a hundred of the others' requests may take; "+
			"twice what they take without attacks is allowed, too")
	flag.DurationVar(&o.every, "every", 20*time.Millisecond, "pause between requests of the others, each on a connection of its own")
	flag.DurationVar(&o.span, "span", 10*time.Second, "how long an attack goes on that has no end of its own")
	flag.Float64Var(&o.memory, "memory", 300, "MiB that weft may use")
	flag.Parse()
	if o.attack != "" {
		return beAttacker(o)
	}
	if os.Getenv(inside) == "" {
		return again()
	}
	if err := ownhost.Furnish(); err != nil {
		return fmt.Errorf("making namespaces: %w", err)
	}
	return besiege(context.Background(), o)
}

// again runs this program on a host of its own, and ends as that does.
func again() error {
	err := ownhost.Again(inside)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	return err
}

// besiege runs every kind that is asked for against one weft.
func besiege(ctx context.Context, o options) error {
	w, err := startWeft(ctx, o)
	if err != nil {
		return err
	}
	defer w.stop()
	s, err := newSiege(o, w)
	if err != nil {
		return err
	}
	asked := strings.Split(o.only, ",")
	for _, k := range kinds {
		if o.only != "" && k.name != kinds[0].name && !slices.Contains(asked, k.name) {
			continue
		}
		if err := s.try(k); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	s.print()
	if s.failed {
		return errors.New("others noticed more than they should")
	}
	return nil
}
