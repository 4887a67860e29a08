package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// works are what the others do, in the order of the table.
var works = []string{"health", "list", "show", "create", "login"}

// probe is others at work.
type probe struct {
	mu     sync.Mutex
	took   map[string][]time.Duration
	faults []string
	end    chan struct{}
	wg     sync.WaitGroup
}

// startProbe begins the work of the tenants, each kind of work on a connection of its
// own.
func startProbe(tenants []tenant, every time.Duration) *probe {
	p := &probe{took: map[string][]time.Duration{}, end: make(chan struct{})}
	p.repeat("health", newCaller("127.0.0.1", ""), every, func(c *caller) (int, error) {
		status, _, err := c.do(http.MethodGet, "/healthz", nil)
		return status, err
	})
	for _, t := range tenants {
		for name, do := range t.work() {
			pause := every
			if name == "login" {
				pause = 10 * every // a password costs processor time by design
			}
			c := newCaller("127.0.0.1", "")
			if _, err := c.login(t.member(), t.member(), t.Name); err != nil {
				p.fault("login", 0, err)
			}
			p.repeat(name, c, pause, do)
		}
	}
	return p
}

func (t tenant) work() map[string]func(*caller) (int, error) {
	get := func(path string) func(*caller) (int, error) {
		return func(c *caller) (int, error) {
			status, _, err := c.do(http.MethodGet, path, nil)
			return status, err
		}
	}
	return map[string]func(*caller) (int, error){
		"list":  get("/v2.0/ports"),
		"show":  get("/v2.0/ports/" + t.Own["port"]),
		"login": func(c *caller) (int, error) { return c.login(t.member(), t.member(), t.Name) },
		"create": func(c *caller) (int, error) {
			id, err := c.create("/v2.0/ports", "port", map[string]any{"network_id": t.Own["network"], "name": "ordinary"})
			if err != nil {
				return 0, err
			}
			status, _, err := c.do(http.MethodDelete, "/v2.0/ports/"+id, nil)
			return status, err
		},
	}
}

// repeat does a work until the probe ends.
func (p *probe) repeat(name string, c *caller, pause time.Duration, do func(*caller) (int, error)) {
	p.wg.Go(func() {
		defer c.http.CloseIdleConnections()
		for {
			begin := time.Now()
			status, err := do(c)
			took := time.Since(begin)
			if name == "create" {
				took /= 2 // it deletes, too
			}
			if err != nil || status >= 300 {
				p.fault(name, status, err)
			}
			p.mu.Lock()
			p.took[name] = append(p.took[name], took)
			p.mu.Unlock()
			select {
			case <-p.end:
				return
			case <-time.After(pause):
			}
		}
	})
}

func (p *probe) fault(name string, status int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, fmt.Sprintf("%s: %d %v", name, status, err))
}

// stop ends the work and returns how long requests took, sorted, by work.
func (p *probe) stop() map[string][]time.Duration {
	close(p.end)
	p.wg.Wait()
	for _, all := range p.took {
		slices.Sort(all)
	}
	return p.took
}

// quantiles are the median, what one in a hundred exceeds, and the most.
func quantiles(sorted []time.Duration) (p50, p99, most time.Duration) {
	if len(sorted) == 0 {
		return 0, 0, 0
	}
	return sorted[len(sorted)/2], sorted[len(sorted)*99/100], sorted[len(sorted)-1]
}
