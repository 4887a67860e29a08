package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/link"
)

// rootlessEnv marks the process inside the namespaces, and lists the files it was
// given, listeners and the lock, as NAME=FD pairs.
const rootlessEnv = "WEFT_ROOTLESS"

// inside reports whether this process is the one in the namespaces of a rootless weft.
func inside() bool { return os.Getenv(rootlessEnv) != "" }

// enterRootless runs this very command again in a user, network and mount
// namespace of its own, and waits for it. The listeners are opened here, outside,
// where clients are; sockets stay in the namespace that made them. The lock of the
// state directory is both processes': it ends with the last.
func enterRootless(listeners map[string]net.Listener, lock *dirLock) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	var pairs []string
	pass := func(name string, f *os.File) {
		pairs = append(pairs, name+"="+strconv.Itoa(3+len(cmd.ExtraFiles)))
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	pass(lockName, lock.file)
	for name, l := range listeners {
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			return fmt.Errorf("passing on the %s listener: %w", name, err)
		}
		pass(name, f)
	}
	cmd.Env = append(os.Environ(), rootlessEnv+"="+strings.Join(append(pairs, "1=0"), ","))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGTERM,
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("entering a user namespace (are unprivileged user namespaces allowed here?): %w", err)
	}
	go func() {
		for s := range signals {
			cmd.Process.Signal(s)
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	return err
}

// lockName is the lock's among the files that enterRootless passes on.
const lockName = "lock"

// inheritedFiles is the descriptors that enterRootless passed on, by name.
func inheritedFiles() map[string]int {
	out := map[string]int{}
	for _, pair := range strings.Split(os.Getenv(rootlessEnv), ",") {
		name, fd, _ := strings.Cut(pair, "=")
		if n, err := strconv.Atoi(fd); err == nil && n >= 3 {
			out[name] = n
		}
	}
	return out
}

// inheritedLock is the lock that enterRootless passed on.
func inheritedLock() (*dirLock, error) {
	fd, ok := inheritedFiles()[lockName]
	if !ok {
		return nil, errors.New("weft up cannot be run inside the namespaces of a rootless weft")
	}
	unix.CloseOnExec(fd)
	return &dirLock{os.NewFile(uintptr(fd), lockName)}, nil
}

// inherited is the listeners that enterRootless passed on.
func inherited() (map[string]net.Listener, error) {
	out := map[string]net.Listener{}
	for name, fd := range inheritedFiles() {
		if name == lockName {
			continue
		}
		f := os.NewFile(uintptr(fd), name)
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("taking over the %s listener: %w", name, err)
		}
		out[name] = l
	}
	return out, nil
}

// insideToo marks the second listeners of a rootless weft.
const insideToo = " inside"

// listenInside opens the APIs' sockets a second time, at the same addresses in the
// namespaces of a rootless weft: what runs in there (plug, demo, the user's shell)
// does not reach those outside, and goes by the same clouds.yaml.
func listenInside(sockets map[string]net.Listener) error {
	h, err := link.Open()
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.ByName("lo")
	if err == nil {
		err = h.Set(lo.Index, link.Up(true))
	}
	if err != nil {
		return fmt.Errorf("bringing up lo: %w", err)
	}
	for _, name := range slices.Collect(maps.Keys(sockets)) {
		at := sockets[name].Addr().(*net.TCPAddr).AddrPort()
		if a := at.Addr().Unmap(); !a.IsLoopback() && !a.IsUnspecified() {
			if err := h.AddAddr(lo.Index, netip.PrefixFrom(a, a.BitLen())); err != nil && !errors.Is(err, unix.EEXIST) {
				return err
			}
		}
		if sockets[name+insideToo], err = net.Listen("tcp", at.String()); err != nil {
			return fmt.Errorf("opening the %s API's socket inside: %w", name, err)
		}
	}
	return nil
}

// joinRootless runs a command of weft (or the user's shell) in the namespaces of a
// rootless weft. nsenter is part of util-linux, which is essential on every
// distribution; a Go process cannot join a user namespace itself, having several
// threads. Entering a mount namespace loses the working directory: weft itself goes
// back to it before the command runs.
func joinRootless(pid int, argv []string) error {
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return fmt.Errorf("entering the namespaces of weft needs nsenter: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	wd, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("finding out where this is: %w", err)
	}
	args := []string{"nsenter", "--target", strconv.Itoa(pid), "--user", "--net", "--mount", "--preserve-credentials", "--",
		self, insideCommandName, "--", wd}
	return syscall.Exec(nsenter, append(args, argv...), append(os.Environ(), rootlessEnv+"=1=0"))
}

// insideCommandName is the command that nsenter starts: it is for weft alone.
const insideCommandName = "inside"

// insideCommand goes to a folder and becomes a command.
func insideCommand() *cobra.Command {
	return &cobra.Command{
		Use:    insideCommandName + " FOLDER COMMAND...",
		Hidden: true,
		Args:   cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.Chdir(args[0]); err != nil {
				return fmt.Errorf("going back to the working directory: %w", err)
			}
			return become(args[1:])
		},
	}
}

// become runs a command in the place of this process.
func become(argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, argv, os.Environ())
}

// writePID records the running process as the rest of the machine knows it.
func (d stateDir) writePID(pid int) error {
	text := strconv.Itoa(pid)
	if inside() {
		text += " rootless"
	}
	return writePrivate(d.pid(), []byte(text+"\n"))
}

func shellCommand() *cobra.Command {
	dir := defaultStateDir()
	cmd := &cobra.Command{
		Use:   "shell [COMMAND...]",
		Short: "Go where the networks of the running weft are, with a shell or one command",
		Long: "Go where the networks of the running weft are, with a shell or one command: into the\n" +
			"namespaces of a rootless weft. Those of a weft that runs as root are here already.",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"/bin/sh"}
				if sh := os.Getenv("SHELL"); sh != "" {
					args = []string{sh}
				}
			}
			if err := attend(dir, args); err != nil {
				return err
			}
			return become(args)
		},
	}
	dir.register(cmd, "folder of the running weft")
	cmd.Flags().SetInterspersed(false)
	return cmd
}
