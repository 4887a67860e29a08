package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/weftnet/weft/internal/client"
)

const (
	networking = "http://127.0.0.1:9696"
	identity   = "http://127.0.0.1:5000/v3"
)

// server is the weft under attack.
type server struct {
	cmd   *exec.Cmd
	dir   string
	admin client.Auth
}

// startWeft starts weft with as many descriptors as a service has that nobody gave
// more, and returns when it is ready.
func startWeft(ctx context.Context, o options) (*server, error) {
	dir, err := os.MkdirTemp("", "weft-hostile-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	if err := s.start(ctx, o); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) start(ctx context.Context, o options) error {
	conf := filepath.Join(s.dir, "weft.conf")
	lines := ""
	if o.database != "" {
		lines = "[database]\nconnection = " + o.database + "\n"
	}
	if err := os.WriteFile(conf, []byte(lines), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	state := filepath.Join(s.dir, "state")
	s.cmd = exec.Command("prlimit", "--nofile=1024", o.weft, "up", "--no-agent", "--config", conf, "--state-dir", state)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); !healthy(ctx); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("weft does not answer:\n%s", said)
		}
	}
	clouds, err := client.ReadClouds(filepath.Join(state, "clouds.yaml"))
	s.admin = clouds.Clouds["weft"].Auth
	return err
}

func healthy(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, networking+"/healthz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func (s *server) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Signal(os.Interrupt)
		s.cmd.Wait()
	}
	os.RemoveAll(s.dir)
}

// forgetPeak makes peak begin anew.
func (s *server) forgetPeak() error {
	return os.WriteFile(s.proc("clear_refs"), []byte("5"), 0)
}

// peak is the most memory that was resident since forgetPeak, in MiB.
func (s *server) peak() (float64, error) {
	kb, err := s.status("VmHWM")
	return float64(kb) / 1024, err
}

func (s *server) threads() (int, error) { return s.status("Threads") }

func (s *server) status(name string) (int, error) {
	data, err := os.ReadFile(s.proc("status"))
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+)`).FindSubmatch(data)
	if m == nil {
		return 0, fmt.Errorf("no %s in status", name)
	}
	return strconv.Atoi(string(m[1]))
}

// descriptors is how many weft has open.
func (s *server) descriptors() (int, error) {
	all, err := os.ReadDir(s.proc("fd"))
	return len(all), err
}

func (s *server) proc(file string) string {
	return fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, file)
}
