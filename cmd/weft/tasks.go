package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/weftnet/weft/internal/run"
)

// tasks are what `weft up` does at the same time.
func (m *machine) tasks() []run.Task {
	tasks := []run.Task{
		always("identity", m.follow),
		always("heartbeat", m.beat.run),
	}
	if m.agent != nil {
		tasks = append(tasks, always("agent", m.agent.Run))
	}
	for name, h := range m.handlers() {
		tasks = append(tasks, serve(name+" API", m.listeners[name], h))
		if l := m.listeners[name+insideToo]; l != nil {
			tasks = append(tasks, serve(name+" API inside", l, h))
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

// serve is an HTTP server on a listener. When it is told to stop it lets requests
// under way finish.
func serve(name string, l net.Listener, h http.Handler) run.Task {
	return always(name, func(ctx context.Context) error {
		s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			<-ctx.Done()
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.Shutdown(grace)
		}()
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		<-stopped
		return nil
	})
}
