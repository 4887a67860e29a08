package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weftnet/weft/internal/host"
)

// pass brings the host to the present State and reports. If ports are named it
// is only about their taps, which have changed since the last full pass; what else
// that pass found still stands. What fails is left to the timer.
func (a *Agent) pass(ctx context.Context, ports []string, retry *time.Timer) {
	start := time.Now()
	p := &progress{agent: a, ctx: ctx, ok: true}
	if ports == nil {
		a.last = start
		p.everything()
	} else {
		p.some(ports)
	}
	if ctx.Err() != nil {
		return // half a pass says nothing about the host
	}
	ok := a.send(ctx) && p.ok
	a.Log.Debug("converged", "revision", a.state.Revision, "ports", len(ports), "ok", ok, "took", time.Since(start))
	switch {
	case !ok && (ports == nil || !a.failing):
		a.failing = true
		retry.Reset(a.backoff.next())
	case ok && ports == nil:
		a.failing = false
		a.backoff.reset()
		retry.Stop()
	}
}

// progress is one pass.
type progress struct {
	agent *Agent
	ctx   context.Context
	ok    bool
}

// everything asks all modules.
func (p *progress) everything() {
	a, s := p.agent, p.agent.state
	fresh := a.stirred
	a.stirred = false
	p.check("networks", a.L2.Prepare(p.ctx, s, fresh))
	a.hold = nil
	if a.Firewall != nil {
		a.hold = a.Firewall(p.ctx, s)
		p.check("firewall", a.hold)
	}
	wired, err := a.L2.Wire(p.ctx, s, a.holding())
	p.check("ports", err)
	before := a.now
	a.now = report{revision: s.Revision, ports: make(map[string]host.PortReport, len(s.Ports)), floatingIPs: map[string]string{}}
	for i := range s.Ports {
		a.wired(&s.Ports[i], wired, err, before)
	}
	p.modules()
	p.check("networks to delete", a.L2.Prune(p.ctx, s))
}

// some wires the ports whose taps have changed. Their rules are there since the
// last full pass, or that could not make them and they must wait.
func (p *progress) some(ports []string) {
	a := p.agent
	wired, err := a.L2.Rewire(p.ctx, a.state, a.holding(), ports)
	p.note("ports", err, false)
	before := a.now
	a.now.ports = maps.Clone(before.ports)
	changed := map[string]bool{}
	for _, id := range ports {
		changed[id] = true
	}
	for id := range wired { // also subports of a parent whose tap has changed
		changed[id] = true
	}
	for i := range a.state.Ports {
		if port := &a.state.Ports[i]; changed[port.ID] {
			a.wired(port, wired, err, before)
		}
	}
}

// holding is the reason to connect nothing new: a guest must not send before its
// rules are there.
func (a *Agent) holding() string {
	if a.hold == nil {
		return ""
	}
	return "security groups could not be applied: " + a.hold.Error()
}

// wired notes what has become of an instance's port. One that was filtered before
// still is if the firewall fails, by older rules.
func (a *Agent) wired(p *host.Port, reasons map[string]string, err error, before report) {
	reason, ok := reasons[p.ID]
	if !ok {
		reason = fmt.Sprint(err)
	}
	was := before.ports[p.ID]
	if reason == "" && !(was.Up && was.Revision == p.Revision) {
		reason = a.holding()
	}
	a.now.ports[p.ID] = portReport(p.ID, p.Revision, reason)
}

func (p *progress) modules() {
	a := p.agent
	revisions := served(a.state)
	for _, m := range a.Modules {
		r, err := m.Converge(p.ctx, a.state)
		p.check(m.Name, err)
		for id, reason := range r.Ports {
			if rev, ok := revisions[id]; ok {
				a.now.ports[id] = portReport(id, rev, reason)
			}
		}
		maps.Copy(a.now.floatingIPs, r.FloatingIPs)
	}
}

// check notes what became of a part: whether it is to be tried again.
func (p *progress) check(what string, err error) { p.note(what, err, true) }

func (p *progress) note(what string, err error, whole bool) {
	if p.ctx.Err() != nil {
		return // what fails then says nothing
	}
	p.ok = p.ok && err == nil
	p.agent.faults.note(what, err, whole)
}

// report is what can be said of the host.
type report struct {
	revision    int64
	ports       map[string]host.PortReport
	floatingIPs map[string]string
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
		for _, g := range s.Routers[i].Gateways() {
			ports[g.PortID] = g.Revision
		}
	}
	return ports
}

// send tells the server what it does not know yet. It is false if that failed.
func (a *Agent) send(ctx context.Context) bool {
	r := a.now
	changed := a.changed(r)
	if len(changed) == 0 && r.revision == a.sent.revision && maps.Equal(r.floatingIPs, a.sent.floatingIPs) && a.sent.ports != nil {
		return true
	}
	err := a.Reporter.Report(ctx, host.Report{Host: a.Host, Revision: r.revision, Ports: changed, FloatingIPs: r.floatingIPs})
	if ctx.Err() == nil {
		a.faults.note("report", err, true)
	}
	if err != nil {
		return false
	}
	a.tell(changed)
	a.sent = r
	return true
}

// changed is the reports that differ from what the server has, by id.
func (a *Agent) changed(r report) []host.PortReport {
	var out []host.PortReport
	for id, p := range r.ports {
		if before, ok := a.sent.ports[id]; !ok || before != p {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b host.PortReport) int { return strings.Compare(a.ID, b.ID) })
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
