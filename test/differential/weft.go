package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weftnet/weft/internal/client"
)

// configuration is what the Neutron is configured with as well (docs/testing.md).
const configuration = `[DEFAULT]
dns_domain = nz.example.
[ml2_type_vlan]
network_vlan_ranges = physnet1:100:999
[ml2_type_vxlan]
vni_ranges = 1:20000
[ml2_type_gre]
tunnel_id_ranges = 1:1000
`

// patience is how long weft may take to answer at all.
const patience = 30 * time.Second

// server is a weft of our own, without an agent: it touches nothing on this host.
type server struct {
	cmd      *exec.Cmd
	dir      string
	endpoint *endpoint
}

func launch(ctx context.Context, program string) (*server, error) {
	dir, err := os.MkdirTemp("", "weft-differential-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	if err := s.start(ctx, program); err != nil {
		s.stop()
		return nil, fmt.Errorf("starting weft: %w", err)
	}
	return s, nil
}

func (s *server) start(ctx context.Context, program string) error {
	conf := filepath.Join(s.dir, "weft.conf")
	if err := os.WriteFile(conf, []byte(configuration), 0o600); err != nil {
		return err
	}
	network, identity, err := freePorts()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(program, "up", "--no-agent", "--config", conf, "--state-dir", filepath.Join(s.dir, "state"),
		"--network-port", fmt.Sprint(network), "--identity-port", fmt.Sprint(identity))
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	return s.connect(ctx, fmt.Sprintf("http://127.0.0.1:%d", network))
}

// connect waits until weft gives tokens.
func (s *server) connect(ctx context.Context, network string) error {
	var last error
	for begin := time.Now(); time.Since(begin) < patience && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		clouds, err := client.ReadClouds(filepath.Join(s.dir, "state", "clouds.yaml"))
		if err != nil {
			last = err
			continue
		}
		a := clouds.Clouds["weft"].Auth
		s.endpoint = newEndpoint(a.AuthURL, network, login{a.Username, a.Password, a.ProjectName})
		if _, last = s.endpoint.token(ctx, s.endpoint.admin); last == nil {
			return nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return fmt.Errorf("it does not answer: %w\n%s", errors.Join(last, ctx.Err()), log)
}

func (s *server) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Signal(os.Interrupt)
		s.cmd.Wait()
	}
	os.RemoveAll(s.dir)
}

func freePorts() (network, identity int, err error) {
	for _, p := range []*int{&network, &identity} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, err
		}
		defer l.Close()
		*p = l.Addr().(*net.TCPAddr).Port
	}
	return network, identity, nil
}
