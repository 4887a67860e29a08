package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/weftnet/weft/internal/dataplane/ownhost"
)

// inside marks the process that is in namespaces of its own; it is the folder that
// what the suites need was prepared in.
const inside = "WEFT_PEERS"

// errUnexpected is the result of a run that went otherwise than allowed; what
// exactly was printed.
var errUnexpected = errors.New("not as expected")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// options are the flags and arguments.
type options struct {
	weft     string
	log      string
	only     string // regular expression of the tests to run; "" is all
	optional bool   // a suite that cannot be had here is skipped
	atOnce   int    // suites
	suites   []suite
}

func parse() (options, error) {
	var o options
	flag.StringVar(&o.weft, "weft", "bin/weft", "the program")
	flag.StringVar(&o.log, "log", "bin/peers", "folder for what the suites and weft print")
	flag.StringVar(&o.only, "run", "", "only tests that match this regular expression; the lists are then not held to be complete")
	flag.BoolVar(&o.optional, "optional", false, "skip, and say so, the suites whose programs or modules cannot be had here")
	flag.IntVar(&o.atOnce, "at-once", 1, "how many suites to run side by side")
	flag.Parse()
	known := suites()
	for _, name := range flag.Args() {
		i := slices.IndexFunc(known, func(s suite) bool { return s.name() == name })
		if i < 0 {
			return o, fmt.Errorf("there is no suite %q", name)
		}
		o.suites = append(o.suites, known[i])
	}
	if len(o.suites) == 0 {
		return o, errors.New("which suite?")
	}
	var err error
	if o.weft, err = filepath.Abs(o.weft); err == nil {
		o.log, err = filepath.Abs(o.log)
	}
	return o, err
}

func run(ctx context.Context) error {
	o, err := parse()
	if err != nil {
		return err
	}
	if dir := os.Getenv(inside); dir != "" {
		return play(ctx, o, o.suites[0], dir)
	}
	if err := os.MkdirAll(o.log, 0o755); err != nil {
		return err
	}
	results := make([]error, len(o.suites))
	var group errgroup.Group
	group.SetLimit(max(1, o.atOnce))
	for i, s := range o.suites {
		group.Go(func() error {
			results[i] = playApart(ctx, o, s)
			return nil
		})
	}
	group.Wait()
	for i, s := range o.suites {
		if results[i] != nil {
			results[i] = fmt.Errorf("%s: %w", s.name(), results[i])
		}
	}
	return errors.Join(results...)
}

// playApart prepares a suite while there is a network to fetch things from, and
// plays it in namespaces of its own.
func playApart(ctx context.Context, o options, s suite) error {
	dir, err := os.MkdirTemp("", "weft-peers-")
	if err != nil {
		return err
	}
	defer remove(dir)
	if err := s.prepare(ctx, dir); err != nil && o.optional && ctx.Err() == nil {
		fmt.Printf("%s: skipped, all of it: %v\n", s.name(), err)
		return nil
	} else if err != nil {
		return fmt.Errorf("preparing: %w", err)
	}
	return again(ctx, dir, "-weft", o.weft, "-log", o.log, "-run", o.only, s.name())
}

// remove removes a folder in which some things may be read-only.
func remove(dir string) {
	filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(path, 0o755)
		}
		return nil
	})
	os.RemoveAll(dir)
}

// again runs this program on a host of its own. What it says is printed at once when it has ended.
func again(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), inside+"="+dir)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := ownhost.Run(cmd)
	os.Stdout.Write(said.Bytes())
	if err != nil {
		return errUnexpected
	}
	return nil
}

// play runs one suite in its folder and prints the verdict.
func play(ctx context.Context, o options, s suite, dir string) error {
	allowed, err := readAllowed(s.name())
	if err != nil {
		return err
	}
	if err := ownhost.Furnish(); err != nil {
		return fmt.Errorf("making namespaces: %w", err)
	}
	c, err := startCloud(ctx, o.weft, filepath.Join(dir, "cloud"), filepath.Join(o.log, s.name()+".weft.log"))
	if err != nil {
		return err
	}
	defer c.stop()
	log, err := os.Create(filepath.Join(o.log, s.name()+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	res := &results{}
	if err := s.play(ctx, c, work{dir: dir, log: log, only: o.only, results: res}); err != nil {
		return err
	}
	v := judge(res, allowed, o.only == "")
	v.complain(c.broken()...)
	v.print(os.Stdout, s.name(), res)
	if !v.good() {
		return errUnexpected
	}
	return nil
}
