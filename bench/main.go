// Command bench measures a weft that it starts itself, in network and mount
// namespaces of its own, through its API and with real packets, and prints what was
// reached beside what the database alone commits and what was aimed at
// (docs/performance.md).
//
//	go run ./bench [-ports 10000] [-seconds 2] [-weft bin/weft] [-api] [-json FILE]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/weftnet/weft/internal/dataplane/ownhost"
)

// inside marks the process that is in its own namespaces.
const inside = "WEFT_BENCH"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	var o options
	flag.IntVar(&o.ports, "ports", 10000, "ports to list")
	flag.DurationVar(&o.span, "span", 2*time.Second, "how long to repeat what can be repeated")
	flag.StringVar(&o.weft, "weft", "bin/weft", "the program")
	flag.BoolVar(&o.apiOnly, "api", false, "only what the API costs, no packets")
	flag.StringVar(&o.json, "json", "", "write the results to this file too")
	flag.Parse()
	if os.Getenv(inside) == "" {
		return again()
	}
	if err := ownhost.Furnish(); err != nil {
		return fmt.Errorf("making namespaces for the benchmark: %w", err)
	}
	b := &bench{options: o}
	if err := b.all(context.Background()); err != nil {
		return err
	}
	b.print()
	return b.save()
}

type options struct {
	ports   int
	span    time.Duration
	weft    string
	apiOnly bool
	json    string
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

// bench is one run.
type bench struct {
	options
	dir     string
	server  *server
	results []result
	plugs   []string // ports plugged so far
}

// result is a line of the table. Value is in Unit; Target and Neutron are 0 where
// there is none.
type result struct {
	What    string        `json:"what"`
	Value   float64       `json:"value"`
	Unit    string        `json:"unit"` // "/s" is better when larger, "ms" and "MiB" when smaller
	P50     time.Duration `json:"p50,omitempty"`
	P99     time.Duration `json:"p99,omitempty"`
	CPU     time.Duration `json:"cpu,omitempty"` // of the server per request, which other work on the machine hardly changes
	Target  float64       `json:"target,omitempty"`
	Neutron float64       `json:"neutron,omitempty"`
}

func (b *bench) add(r result) {
	b.results = append(b.results, r)
	fmt.Fprintf(os.Stderr, "%-46s %10.1f %-4s %s\n", r.What, r.Value, r.Unit, dur(r.CPU))
}

// short reports whether a result misses its target.
func (r result) short() bool {
	if r.Target == 0 {
		return false
	}
	if r.Unit == "/s" {
		return r.Value < r.Target
	}
	return r.Value > r.Target
}

func (r result) ratio() string {
	if r.Neutron == 0 {
		return ""
	}
	x := r.Neutron / r.Value
	if r.Unit == "/s" {
		x = r.Value / r.Neutron
	}
	return fmt.Sprintf("%.0fx", x)
}

func (b *bench) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\nwhat\tweft\t\tp50\tp99\tCPU\ttarget\tNeutron\tratio\t")
	for _, r := range b.results {
		verdict := ""
		if r.short() {
			verdict = "short"
		}
		fmt.Fprintf(w, "%s\t%.1f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.What, r.Value, r.Unit, dur(r.P50), dur(r.P99), dur(r.CPU), num(r.Target), num(r.Neutron), r.ratio(), verdict)
	}
	w.Flush()
}

func dur(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.Round(time.Microsecond).String()
}

func num(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.4g", x)
}

func (b *bench) save() error {
	if b.json == "" {
		return nil
	}
	data, err := json.MarshalIndent(b.results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(b.json, append(data, '\n'), 0o644)
}

func (b *bench) all(ctx context.Context) error {
	dir, err := os.MkdirTemp(".", ".bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if b.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	defer func() {
		if b.server != nil {
			b.server.stop()
		}
	}()
	steps := []func(context.Context) error{b.commits, b.start, b.firstPackets, b.api, b.lists, b.memory, b.packets, b.sharing, b.commits}
	if b.apiOnly {
		steps = []func(context.Context) error{b.start, b.api, b.lists, b.memory, b.sharing}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}
