package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside marks the process that is in namespaces of its own.
const inside = "WEFT_OPENSTACK"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "openstack:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	weft    string
	network string // weft or neutron
	dir     string // "" is one that is made, and removed if all went well
	only    []string
	boots   int
	atOnce  int
	hold    bool
	attach  bool
	list    bool
}

func parse() (options, error) {
	var o options
	only := ""
	flag.StringVar(&o.weft, "weft", "bin/weft", "the program")
	flag.StringVar(&o.network, "network", "weft", "the network service: weft, or neutron to compare it with")
	flag.StringVar(&o.dir, "dir", "", "folder for everything; it must be empty, and is kept")
	flag.StringVar(&only, "only", "", "scenarios to play, as NAME,...; all but the comparison if empty")
	flag.IntVar(&o.boots, "boots", 20, "how many guests the boots start")
	flag.IntVar(&o.atOnce, "at-once", 2, "how many of them side by side")
	flag.BoolVar(&o.hold, "hold", false, "keep the stack up after the scenarios until interrupted")
	flag.BoolVar(&o.attach, "attach", false, "play in the stack of -dir that another process holds")
	flag.BoolVar(&o.list, "list", false, "print the names of the scenarios, and end")
	flag.Parse()
	if flag.NArg() > 0 {
		return o, fmt.Errorf("what is %q?", flag.Args())
	}
	if o.network != "weft" && o.network != "neutron" {
		return o, fmt.Errorf("what is network service %q?", o.network)
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	for _, name := range o.only {
		if !slices.ContainsFunc(scenarios(), func(s scenario) bool { return s.name == name }) {
			return o, fmt.Errorf("there is no scenario %q", name)
		}
	}
	var err error
	if o.weft, err = filepath.Abs(o.weft); err == nil && o.dir != "" {
		o.dir, err = filepath.Abs(o.dir)
	}
	return o, err
}

func run(ctx context.Context) error {
	o, err := parse()
	if err != nil {
		return err
	}
	switch {
	case o.list:
		for _, s := range scenarios() {
			fmt.Printf("%-12s %s\n", s.name, s.proves)
		}
		return nil
	case o.attach:
		return attach(ctx, o)
	case os.Getenv(inside) != "":
		return play(ctx, o)
	}
	if os.Getuid() != 0 {
		return errors.New("needs root: a hypervisor's host is brought up")
	}
	return playApart(ctx, o)
}

// playApart prepares what needs the machine's network, and plays in namespaces of
// its own.
func playApart(ctx context.Context, o options) error {
	made := o.dir == ""
	var err error
	if made {
		o.dir, err = os.MkdirTemp("", "weft-openstack-")
	} else {
		err = makeEmpty(o.dir)
	}
	if err != nil {
		return err
	}
	if err := fetchGuest(ctx, filepath.Join(o.dir, "guest")); err != nil {
		return fmt.Errorf("preparing the guest: %w", err)
	}
	if err := again(ctx, o.dir); err != nil {
		fmt.Println("what the services said is in", filepath.Join(o.dir, "log"))
		return errors.New("not all went well")
	}
	if made {
		return os.RemoveAll(o.dir)
	}
	return nil
}

// makeEmpty makes sure that a folder is there and has nothing in it.
func makeEmpty(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	in, err := os.ReadDir(dir)
	if err == nil && len(in) > 0 {
		err = fmt.Errorf("%s is not empty", dir)
	}
	return err
}

// again runs this program, with the same flags, in namespaces of its own. It is told
// to end, not killed, when this one ends, since it has processes to end itself; what
// it leaves all the same is ended here.
func again(ctx context.Context, dir string) error {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWUTS,
		Pdeathsig: syscall.SIGTERM}
	runtime.LockOSThread() // Pdeathsig is about the thread
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("making namespaces: %w", err)
	}
	mounts, err := namespaceOf(cmd.Process.Pid)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { cmd.Process.Signal(syscall.SIGTERM) })()
	err = cmd.Wait()
	return errors.Join(err, sweep(mounts))
}
