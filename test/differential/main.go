package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Exit statuses beside 0.
const (
	differs = 1
	broken  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	faults, err := run(ctx)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "differential:", err)
		os.Exit(broken)
	case faults > 0:
		os.Exit(differs)
	}
}

// options are the flags.
type options struct {
	weft    string // program
	dir     string // of requests and explained
	network string // base URL of Neutron; "" is what its catalogue says
	report  string
	save    string // file for Neutron's answers
	against string // file with Neutron's answers, in place of Neutron
	verbose bool
	nouns   []string
}

func parse() (options, error) {
	var o options
	f := flag.NewFlagSet("differential", flag.ContinueOnError)
	f.StringVar(&o.weft, "weft", "bin/weft", "the program")
	f.StringVar(&o.dir, "dir", "test/differential", "folder of requests and explanations")
	f.StringVar(&o.network, "neutron", os.Getenv("WEFT_NEUTRON_URL"), "base URL of the Neutron; empty: as its Keystone's catalogue says")
	f.StringVar(&o.report, "report", "", "write the differences to this file too")
	f.StringVar(&o.save, "save", "", "keep the Neutron's answers in this file")
	f.StringVar(&o.against, "against", "", "compare with the answers in this file, without a Neutron")
	f.BoolVar(&o.verbose, "v", false, "show every answer")
	err := f.Parse(os.Args[1:])
	o.nouns = f.Args()
	return o, err
}

// run returns the number of differences that nobody has explained, and of
// explanations of differences that are gone.
func run(ctx context.Context) (int, error) {
	o, err := parse()
	if err != nil {
		return 0, err
	}
	files, err := readAll(filepath.Join(o.dir, "requests"), o.nouns)
	if err != nil {
		return 0, err
	}
	known, err := readExplained(filepath.Join(o.dir, "explained"))
	if err != nil {
		return 0, err
	}
	w, err := launch(ctx, o.weft)
	if err != nil {
		return 0, err
	}
	defer w.stop()
	neutron, rec, err := reference(ctx, o)
	if err != nil {
		return 0, err
	}
	sides := []*side{{name: "weft", endpoint: w.endpoint}}
	if neutron != nil {
		sides = append(sides, &side{name: "neutron", endpoint: neutron})
	}
	defer leave(sides)
	for _, s := range sides {
		if err := s.populate(ctx, runName()); err != nil {
			return 0, fmt.Errorf("making users at %s: %w", s.name, err)
		}
	}
	rep := &report{known: known, verbose: o.verbose}
	for _, f := range files {
		rep.begin(f.noun)
		if err := play(ctx, sides, f, rec, rep); err != nil {
			return 0, err
		}
		if err := rec.write(o.save); err != nil {
			return 0, err
		}
	}
	return rep.finish(o.report, len(o.nouns) == 0)
}

// reference is the Neutron, or its answers of another time.
func reference(ctx context.Context, o options) (*endpoint, record, error) {
	if o.against != "" {
		rec, err := readRecord(o.against)
		return nil, rec, err
	}
	e, err := connectNeutron(ctx, o.network)
	return e, record{}, err
}

// runName is what the names of this run have in common. It does not look like
// anything that is normalised.
func runName() string { return fmt.Sprintf("weftdiff%d", os.Getpid()) }

// readAll reads the request files of those nouns, or all.
func readAll(dir string, nouns []string) ([]file, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("there are no requests in %s", dir)
	}
	var out []file
	for _, path := range paths {
		noun := strings.TrimSuffix(filepath.Base(path), ".txt")
		if len(nouns) > 0 && !slices.Contains(nouns, noun) {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		requests, err := parseRequests(string(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, file{noun, requests})
	}
	return out, nil
}
