package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/client"
)

// server is a weft under measurement.
type server struct {
	cmd      *exec.Cmd
	dir      string
	base     string // of the Networking API
	identity string // URL of the Identity API
	token    string
	project  string
	http     *http.Client
}

// launch starts weft and returns when the first request with a token has been
// answered, and how long that took from the start of the process.
func launch(ctx context.Context, program, dir string) (*server, time.Duration, error) {
	s := &server{dir: dir, base: "http://127.0.0.1:9696/v2.0/", http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	log, err := os.Create(dir + ".log")
	if err != nil {
		return nil, 0, err
	}
	s.cmd = exec.Command(program, "up", "--state-dir", dir, "--host", "bench")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, 0, err
	}
	for time.Since(begin) < 20*time.Second {
		if err = s.authenticate(ctx); err == nil {
			var out any
			if err = s.call("GET", "networks", nil, &out); err == nil {
				return s, time.Since(begin), nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	s.stop()
	return nil, 0, fmt.Errorf("weft does not answer (see its log): %w", err)
}

func (s *server) authenticate(ctx context.Context) error {
	clouds, err := client.ReadClouds(filepath.Join(s.dir, "clouds.yaml"))
	if err != nil {
		return err
	}
	a := clouds.Clouds["weft"].Auth
	s.identity = a.AuthURL
	t, err := s.login(a.Username, a.Password, a.ProjectName)
	s.token, s.project = t.id, t.project
	return err
}

// cloud is the id of the server's cloud: what is plugged into its ports is marked with it.
func (s *server) cloud() (string, error) {
	var lock struct{ Cloud string }
	data, err := os.ReadFile(filepath.Join(s.dir, "lock"))
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(data)).Decode(&lock)
	}
	return lock.Cloud, err
}

type token struct{ id, project string }

func (s *server) login(user, password, project string) (token, error) {
	domain := map[string]string{"name": "Default"}
	body := map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": map[string]any{
			"name": user, "password": password, "domain": domain}}},
		"scope": map[string]any{"project": map[string]any{"name": project, "domain": domain}}}}
	data, err := json.Marshal(body)
	if err != nil {
		return token{}, err
	}
	res, err := s.http.Post(s.identity+"/auth/tokens", "application/json", bytes.NewReader(data))
	if err != nil {
		return token{}, err
	}
	defer res.Body.Close()
	var t struct {
		Token struct{ Project struct{ ID string } }
	}
	if err := json.NewDecoder(res.Body).Decode(&t); err != nil {
		return token{}, err
	}
	id := res.Header.Get("X-Subject-Token")
	if id == "" {
		return token{}, errors.New("no token")
	}
	return token{id, t.Token.Project.ID}, nil
}

func (s *server) stop() {
	s.cmd.Process.Signal(os.Interrupt)
	s.cmd.Wait()
}

// send does a request and returns the body. A path with a slash in front is of the
// Identity API.
func (s *server) send(method, path string, body any) ([]byte, error) {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(data)
	}
	url := s.base + path
	if strings.HasPrefix(path, "/") {
		url = s.identity + path
	}
	req, err := http.NewRequest(method, url, in)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Auth-Token", s.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, data)
	}
	return data, err
}

func (s *server) call(method, path string, body, out any) error {
	data, err := s.send(method, path, body)
	if err != nil || len(data) == 0 {
		return err
	}
	return json.Unmarshal(data, out)
}

// create posts a noun and returns its id.
func (s *server) create(collection, noun string, in map[string]any) (string, error) {
	data, err := s.send("POST", collection, map[string]any{noun: in})
	if err != nil {
		return "", err
	}
	m := firstID.FindSubmatch(data)
	if m == nil {
		return "", fmt.Errorf("no id in %.200s", data)
	}
	return string(m[1]), nil
}

// firstID is cheaper than decoding, and would otherwise be half the load.
var firstID = regexp.MustCompile(`"id":"([0-9a-f-]{36})"`)

// load is requests done by clients side by side, until count are done or the span is
// over, whichever comes first.
func (b *bench) load(what string, clients, count int, do func(i int) error) (result, error) {
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	begin, spent := time.Now(), b.server.cpu()
	for range clients {
		wg.Go(func() {
			var mine []time.Duration
			for {
				i := int(next.Add(1)) - 1
				if i >= count || count == unlimited && time.Since(begin) > b.span {
					break
				}
				t := time.Now()
				if err := do(i); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					break
				}
				mine = append(mine, time.Since(t))
			}
			mu.Lock()
			all = append(all, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	if failed != nil {
		return result{}, fmt.Errorf("%s: %w", what, failed)
	}
	took := time.Since(begin)
	slices.Sort(all)
	return result{What: what + ", " + strconv.Itoa(clients) + " client" + map[bool]string{true: "s"}[clients > 1],
		Value: float64(len(all)) / took.Seconds(), Unit: "/s", P50: all[len(all)/2], P99: all[len(all)*99/100],
		CPU: (b.server.cpu() - spent) / time.Duration(len(all))}, nil
}

const unlimited = 1 << 40

// cpu is the processor time that the server has used; 0 if there is none.
func (s *server) cpu() time.Duration {
	if s == nil {
		return 0
	}
	var t unix.Timespec
	// The clock of another process: CPUCLOCK_SCHED of clock_getcpuclockid(3).
	if err := unix.ClockGettime(int32(^s.cmd.Process.Pid<<3|2), &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// pss is the memory of the process, its share of what it shares included, in MiB.
func (s *server) pss() (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^Pss:\s+(\d+) kB`).FindSubmatch(data)
	if m == nil {
		return 0, errors.New("no Pss in smaps_rollup")
	}
	kb, err := strconv.ParseFloat(string(m[1]), 64)
	return kb / 1024, err
}
