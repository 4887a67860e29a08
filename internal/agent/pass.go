package agent

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/weftnet/weft/internal/host"
)

// pass brings the host to the present State and reports. It is false if something
// is to be tried again. A pass that is not full leaves out what has nothing to do
// with the taps of instances; those modules' last results stand.
func (a *Agent) pass(ctx context.Context, full bool) bool {
	start := time.Now()
	p := &progress{agent: a, ctx: ctx, ok: true}
	p.run(full)
	if ctx.Err() != nil {
		return false // half a pass says nothing about the host
	}
	r := a.report(p)
	a.Log.Debug("converged", "revision", a.state.Revision, "full", full, "ok", p.ok, "took", time.Since(start))
	return a.send(ctx, r) && p.ok
}

// progress is one pass.
type progress struct {
	agent    *Agent
	ctx      context.Context
	ok       bool
	wired    map[string]string // of the ports of instances: why not connected
	firewall error
	results  map[string]Result // by module; nil: not asked in this pass
}

func (p *progress) run(full bool) {
	a := p.agent
	p.check("networks", a.L2.Prepare(p.ctx, a.state))
	var hold string
	if a.Firewall != nil {
		p.firewall = a.Firewall(p.ctx, a.state)
		p.check("firewall", p.firewall)
	}
	if p.firewall != nil {
		hold = unfiltered(p.firewall) // a guest must not send before its rules are there
	}
	wired, err := a.L2.Wire(p.ctx, a.state, hold)
	p.check("ports", err)
	p.wired = wired
	if wired == nil {
		p.wired = map[string]string{}
		for i := range a.state.Ports {
			p.wired[a.state.Ports[i].ID] = fmt.Sprint(err)
		}
	}
	if full {
		p.modules()
		p.check("networks to delete", a.L2.Prune(p.ctx, a.state))
	}
}

func (p *progress) modules() {
	p.results = map[string]Result{}
	for _, m := range p.agent.Modules {
		r, err := m.Converge(p.ctx, p.agent.state)
		p.check(m.Name, err)
		p.results[m.Name] = r
	}
}

// check notes a failure, and that it is to be tried again.
func (p *progress) check(what string, err error) {
	if err == nil || p.ctx.Err() != nil {
		return
	}
	p.ok = false
	p.agent.Log.Error("part of the host is not as it should be", "part", what, "revision", p.agent.state.Revision, "error", err)
}

func unfiltered(err error) string { return "security groups could not be applied: " + err.Error() }

// report is what the server is told, by port.
type report struct {
	revision    int64
	ports       map[string]host.PortReport
	floatingIPs map[string]string
}

// report makes of a pass what is to be said of the host.
func (a *Agent) report(p *progress) report {
	r := report{revision: a.state.Revision, ports: map[string]host.PortReport{}, floatingIPs: map[string]string{}}
	for i := range a.state.Ports {
		port := &a.state.Ports[i]
		reason := p.wired[port.ID]
		if before := a.sent.ports[port.ID]; reason == "" && p.firewall != nil && !(before.Up && before.Revision == port.Revision) {
			reason = unfiltered(p.firewall) // a port that was filtered before still is, if by older rules
		}
		r.ports[port.ID] = portReport(port.ID, port.Revision, reason)
	}
	if p.results == nil {
		a.keepServed(&r)
		return r
	}
	revisions := served(a.state)
	for _, m := range a.Modules {
		for id, reason := range p.results[m.Name].Ports {
			if rev, ok := revisions[id]; ok {
				r.ports[id] = portReport(id, rev, reason)
			}
		}
		maps.Copy(r.floatingIPs, p.results[m.Name].FloatingIPs)
	}
	return r
}

// keepServed repeats what was last said of the things of modules.
func (a *Agent) keepServed(r *report) {
	for id := range served(a.state) {
		if before, ok := a.sent.ports[id]; ok {
			r.ports[id] = before
		}
	}
	r.floatingIPs = a.sent.floatingIPs
}

func portReport(id string, revision int64, reason string) host.PortReport {
	return host.PortReport{ID: id, Revision: revision, Up: reason == "", Reason: reason}
}

// served is the ports of DHCP services and routers here, with their revisions.
func served(s *host.State) map[string]int64 {
	ports := map[string]int64{}
	for i := range s.Networks {
		if d := s.Networks[i].DHCP; d != nil {
			ports[d.PortID] = d.Revision
		}
	}
	for i := range s.Routers {
		for _, p := range s.Routers[i].Interfaces {
			ports[p.PortID] = p.Revision
		}
		if g := s.Routers[i].Gateway; g != nil {
			ports[g.PortID] = g.Revision
		}
	}
	return ports
}

// send tells the server what it does not know yet. It is false if that failed.
func (a *Agent) send(ctx context.Context, r report) bool {
	changed := a.changed(r)
	if len(changed) == 0 && r.revision == a.sent.revision && maps.Equal(r.floatingIPs, a.sent.floatingIPs) && a.sent.ports != nil {
		return true
	}
	err := a.Reporter.Report(ctx, host.Report{Host: a.Host, Revision: r.revision, Ports: changed, FloatingIPs: r.floatingIPs})
	if err != nil {
		if ctx.Err() == nil {
			a.Log.Warn("cannot report", "host", a.Host, "error", err)
		}
		return false
	}
	a.tell(changed)
	a.sent = r
	return true
}

// changed is the reports that differ from what the server has, by id.
func (a *Agent) changed(r report) []host.PortReport {
	var out []host.PortReport
	for _, id := range sortedKeys(r.ports) {
		if before, ok := a.sent.ports[id]; !ok || before != r.ports[id] {
			out = append(out, r.ports[id])
		}
	}
	return out
}

// tell logs what has become of ports.
func (a *Agent) tell(changed []host.PortReport) {
	for _, p := range changed {
		before, known := a.sent.ports[p.ID]
		switch {
		case p.Up && !(known && before.Up):
			a.Log.Info("port is up", "port", p.ID)
		case !p.Up && !(known && before.Reason == p.Reason):
			a.Log.Info("port is down", "port", p.ID, "reason", p.Reason)
		}
	}
}
