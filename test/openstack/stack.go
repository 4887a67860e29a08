package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/ownhost"
)

// Where the services listen.
const (
	keystoneURL  = "http://127.0.0.1:5000/v3"
	placementURL = "http://127.0.0.1:8778"
	glanceURL    = "http://127.0.0.1:9292"
	novaURL      = "http://127.0.0.1:8774/v2.1"
	networkURL   = "http://127.0.0.1:9696"
	heatURL      = "http://127.0.0.1:8004/v1"
	horizonURL   = "http://127.0.0.1:8080"
)

// Compute drivers of Nova.
const (
	fake    = "fake.FakeDriver"
	libvirt = "libvirt.LibvirtDriver"
)

// stack is the OpenStack around a weft.
type stack struct {
	daemons
	options
	dir    string
	driver string // of nova-compute
	admin  *caller
	demo   *caller // a member of project demo
}

func newStack(o options, dir string) *stack {
	return &stack{options: o, dir: dir, driver: fake, daemons: daemons{dir, []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=" + filepath.Join(dir, "home"), "TMPDIR=" +
			filepath.Join(dir, "tmp")}}}
}

// play brings the stack up in the namespaces of this process, plays the scenarios,
// and ends everything.
func play(ctx context.Context, o options) error {
	mounts, err := namespaceOf(os.Getpid())
	if err != nil {
		return err
	}
	s := newStack(o, os.Getenv(inside))
	err = s.play(ctx)
	if err != nil {
		fmt.Println("WRONG:", err)
	}
	if o.hold && ctx.Err() == nil {
		fmt.Println("the stack stays up until it is interrupted; its namespaces are those of process", os.Getpid())
		<-ctx.Done()
	}
	began := time.Now()
	err = errors.Join(err, sweep(mounts))
	fmt.Printf("all processes ended in %.1f s\n", time.Since(began).Seconds())
	return err
}

func (s *stack) play(ctx context.Context) error {
	if err := s.furnish(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := s.up(ctx); err != nil {
		return fmt.Errorf("bringing the stack up: %w", err)
	}
	fmt.Printf("the stack is up after %.1f s\n", time.Since(began).Seconds())
	return s.playAll(ctx)
}

// attach plays scenarios in a stack that another process holds.
func attach(ctx context.Context, o options) error {
	s := newStack(o, o.dir)
	driver, err := os.ReadFile(filepath.Join(s.dir, "run", "driver"))
	if err != nil {
		return err
	}
	s.driver = string(driver)
	if err := s.login(ctx); err != nil {
		return err
	}
	return s.playAll(ctx)
}

// furnish makes the namespaces a machine's, and the folder one for the services.
func (s *stack) furnish(ctx context.Context) error {
	if err := ownhost.Furnish(); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(hostName)); err != nil {
		return err
	}
	for _, d := range []string{"etc", "run", "log", "tmp", "home", "glance", "mysql", "rabbit", "nova/instances", "neutron",
		"keystone/fernet",
		"keystone/credential", "weft"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.pidFile("stack"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return err
	}
	if err := s.hosts(); err != nil {
		return err
	}
	return s.outside(ctx)
}

// hosts makes the name of the machine known to itself, and asks nobody else's DNS.
func (s *stack) hosts() error {
	for name, text := range map[string]string{"hosts": "127.0.0.1 localhost\n127.0.1.1 " + hostName + "\n", "resolv.conf": ""} {
		path := s.conf(name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(path, "/etc/"+name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", name, err)
		}
	}
	return nil
}

// The external network, and who is out there.
const (
	outsideRange   = "172.24.4.0/24"
	outsideAddress = "172.24.4.1"
)

// outside makes the physical networks: ext0 is this machine's interface on the one on
// which a namespace is everybody else; on that of lan0 there is nobody.
func (s *stack) outside(ctx context.Context) error {
	for _, args := range [][]string{
		{"link", "add", "ext0", "type", "veth", "peer", "name", "ext1"},
		{"link", "set", "ext0", "up"},
		{"link", "add", "lan0", "type", "veth", "peer", "name", "lan1"},
		{"link", "set", "lan0", "up"},
		{"link", "set", "lan1", "up"},
		{"netns", "add", "outside"},
		{"link", "set", "ext1", "netns", "outside"},
		{"-n", "outside", "link", "set", "ext1", "up"},
		{"-n", "outside", "addr", "add", outsideAddress + "/24", "dev", "ext1"},
	} {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	return nil
}

// up starts everything. What does not need each other starts side by side, since
// most of the time is that of Python programs to load.
func (s *stack) up(ctx context.Context) error {
	if err := s.configure(); err != nil {
		return err
	}
	if err := s.lay(ctx); err != nil {
		return err
	}
	if err := s.startServices(ctx); err != nil {
		return err
	}
	return s.startCompute(ctx)
}

// lay starts what the services stand on, and makes the tables of their databases.
func (s *stack) lay(ctx context.Context) error {
	databases := make(chan struct{})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.startRabbit(ctx) })
	group.Go(func() error {
		if err := s.startDatabases(ctx); err != nil {
			return err
		}
		close(databases)
		if err := s.startKeystone(ctx); err != nil {
			return err
		}
		return s.login(ctx)
	})
	group.Go(func() error {
		select {
		case <-databases:
			return s.makeTables(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return group.Wait()
}

// startServices starts those whose users Keystone knows and whose tables are there.
func (s *stack) startServices(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, start := range []func(context.Context) error{s.startPlacement, s.startGlance, s.startNova, s.startNetwork} {
		group.Go(func() error { return start(ctx) })
	}
	return group.Wait()
}

// answers is whether anybody answers requests to a URL, whatever it is.
func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode < 500
}

// serve starts a service and waits until it answers.
func (s *stack) serve(ctx context.Context, name, url string, env []string, program string, args ...string) error {
	if err := s.start(name, env, program, args...); err != nil {
		return err
	}
	return s.ready(ctx, name, func(ctx context.Context) bool { return answers(ctx, url) })
}

// wsgi starts a service that brings no server of its own.
func (s *stack) wsgi(ctx context.Context, name, url string, port int, file string, env ...string) error {
	return s.serve(ctx, name, url, env, "uwsgi_python3", "--plugins", "python3", "--master", "--lazy-apps", "--need-app",
		"--http-socket", "127.0.0.1:"+strconv.Itoa(port), "--processes", "2", "--threads", "4", "--enable-threads", "--buffer-size",
		"65535",
		"--die-on-term", "--no-orphans", "--rem-header", "Content-Length", "--add-header", "Connection: close", "--wsgi-file", file)
}
