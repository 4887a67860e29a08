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
		serve("identity API", m.listeners["identity"], m.identity.Handler()),
		serve("networking API", m.listeners["network"], m.network),
		always("identity", m.identity.Run),
		always("agent", m.agent.Run),
		always("heartbeat", m.beat.run),
	}
	if l := m.listeners["identity"+insideToo]; l != nil {
		tasks = append(tasks, serve("identity API inside", l, m.identity.Handler()))
	}
	if l := m.listeners["network"+insideToo]; l != nil {
		tasks = append(tasks, serve("networking API inside", l, m.network))
	}
	return tasks
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
