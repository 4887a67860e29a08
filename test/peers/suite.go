package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// suite is somebody's tests.
type suite interface {
	name() string
	// prepare fetches and builds what is needed, in a folder that it makes below dir,
	// with a network to fetch it from.
	prepare(ctx context.Context, dir string) error
	// play runs the tests without a network but that of the cloud, and notes their
	// outcomes. The error is for tests that could not be run at all.
	play(ctx context.Context, c *cloud, w work) error
}

func suites() []suite {
	return []suite{
		tempest{"tempest", `^tempest\.api\.network\.`},
		tempest{"neutron-tempest", `^neutron_tempest_plugin\.api\.`},
		gophercloud{},
		openstackclient(),
		openstacksdk(),
		neutronclient(),
		rally{},
		terraform{},
	}
}

// work is where a suite does its work.
type work struct {
	dir     string
	log     io.Writer // for all that it prints
	only    string
	results *results
}

// command is a program of the suite, in its folder, with nothing of the environment
// but what is given and where programs are. The distribution's programs go first:
// suites of Debian are for the Python of Debian.
func (w work) command(ctx context.Context, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = w.dir
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin:" + os.Getenv("PATH"), "HOME=" + w.dir, "LC_ALL=C.UTF-8", "TMPDIR=" + os.TempDir()}, env...)
	cmd.Stderr = w.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// has refuses a suite whose programs are not installed; scripts/test-packages
// installs them.
func has(programs ...string) error {
	for _, p := range programs {
		if _, err := exec.LookPath(filepath.Join("/usr/bin", p)); err != nil {
			return fmt.Errorf("needs Debian's %s (%w)", p, err)
		}
	}
	return nil
}
