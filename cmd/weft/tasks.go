package main

import (
	"context"
	"net"
	"net/http"

	"github.com/weftnet/weft/internal/run"
)

// tasks are what `weft up` does at the same time.
func (m *machine) tasks() []run.Task {
	tasks := []run.Task{
		always("identity", m.follow),
		always("heartbeat", m.beat.run),
	}
	if m.placement != nil {
		tasks = append(tasks, always("placement", m.placement.Run))
	}
	if m.nova != nil {
		tasks = append(tasks, always("nova", m.nova.Run))
	}
	if m.agent != nil {
		tasks = append(tasks, always("agent", m.agent.Run))
	}
	for name, h := range m.handlers() {
		tasks = append(tasks, m.serve(name+" API", m.listeners[name], h))
		if l := m.listeners[name+insideToo]; l != nil {
			tasks = append(tasks, m.serve(name+" API inside", l, h))
		}
	}
	return tasks
}

// handlers are the APIs that are served, by the name of their listeners.
func (m *machine) handlers() map[string]http.Handler {
	out := map[string]http.Handler{"network": m.network}
	if m.identity != nil {
		out["identity"] = m.identity.Handler()
	}
	return out
}

// always is a task that is ready as soon as it runs.
func always(name string, do func(context.Context) error) run.Task {
	return run.New(name, func(ctx context.Context, ready func()) error {
		ready()
		return do(ctx)
	})
}

// serve is an HTTP server on a listener.
func (m *machine) serve(name string, l net.Listener, h http.Handler) run.Task {
	return always(name, func(ctx context.Context) error { return m.door.Serve(ctx, l, h) })
}
