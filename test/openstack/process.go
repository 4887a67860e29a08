package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a service may take to start, or to end.
const patience = 3 * time.Minute

// daemons are the processes of a stack, known by name and by the file that has the
// process id, so that another process may go on with them.
type daemons struct {
	dir string
	env []string
}

func (d daemons) pidFile(name string) string { return filepath.Join(d.dir, "run", name+".pid") }

// log is what a process printed, and for most services what they logged.
func (d daemons) log(name string) string { return filepath.Join(d.dir, "log", name+".log") }

// start starts a process that is not running.
func (d daemons) start(name string, env []string, program string, args ...string) error {
	if d.running(name) {
		return nil
	}
	out, err := os.OpenFile(d.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Dir = append(append([]string{}, d.env...), env...), filepath.Join(d.dir, "tmp")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	go cmd.Wait()
	return os.WriteFile(d.pidFile(name), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644)
}

// pid is that of a process which was started.
func (d daemons) pid(name string) (int, error) {
	data, err := os.ReadFile(d.pidFile(name))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(data))
}

func (d daemons) running(name string) bool {
	pid, err := d.pid(name)
	return err == nil && alive(pid)
}

// stop asks a process to end, and makes it end when it has not after a while.
func (d daemons) stop(name string) error {
	pid, err := d.pid(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	syscall.Kill(pid, syscall.SIGTERM)
	if err := gone(pid, 20*time.Second); err != nil {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	os.Remove(d.pidFile(name))
	return gone(pid, 10*time.Second)
}

// kill ends a process without warning.
func (d daemons) kill(name string) error {
	pid, err := d.pid(name)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	return gone(pid, 10*time.Second)
}

// ready waits until a process is of use; one that has ended is not waited for.
func (d daemons) ready(ctx context.Context, name string, ok func(context.Context) bool) error {
	err := eventually(ctx, patience, func(ctx context.Context) (bool, error) {
		if !d.running(name) {
			return false, fmt.Errorf("%s ended", name)
		}
		return ok(ctx), nil
	})
	if err != nil {
		return fmt.Errorf("%s does not become ready: %w\n%s", name, err, tail(d.log(name), 2000))
	}
	return nil
}

// tool runs a program to its end; its output is part of the error if it fails.
func (d daemons) tool(ctx context.Context, env []string, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir = append(append([]string{}, d.env...), env...), filepath.Join(d.dir, "tmp")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, last(string(out), 3000))
	}
	return string(out), nil
}

// alive is whether a process runs: not one that only waits for its parent.
func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, found := strings.Cut(string(data), ") ")
	return found && rest[0] != 'Z'
}

func gone(pid int, within time.Duration) error {
	return eventually(context.Background(), within, func(context.Context) (bool, error) { return !alive(pid), nil })
}

// eventually asks again and again until the answer is yes, an error, or time is up.
func eventually(ctx context.Context, within time.Duration, ask func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not within %v", within))
	defer cancel()
	for {
		if yes, err := ask(ctx); yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// tail is the end of a file.
func tail(path string, most int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return last(string(data), most)
}

func last(s string, most int) string { return s[max(0, len(s)-most):] }

// namespaceOf is the mount namespace of a process, which tells those of this stack
// from all others.
func namespaceOf(pid int) (string, error) { return os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid)) }

// sweep ends all processes in a mount namespace but this one: politely, then by force.
func sweep(mounts string) error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		err := eventually(context.Background(), 10*time.Second, func(context.Context) (bool, error) {
			left := inNamespace(mounts)
			for _, pid := range left {
				syscall.Kill(pid, signal)
			}
			return len(left) == 0, nil
		})
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("processes %v do not end", inNamespace(mounts))
}

func inNamespace(mounts string) []int {
	all, _ := os.ReadDir("/proc")
	var in []int
	for _, e := range all {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !alive(pid) {
			continue
		}
		if of, err := namespaceOf(pid); err == nil && of == mounts {
			in = append(in, pid)
		}
	}
	return in
}
