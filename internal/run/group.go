package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Group is tasks that run together. It is a Task itself.
type Group struct {
	log   *slog.Logger
	tasks []Task
	ready chan struct{}
}

// NewGroup makes a group. It does not start the tasks.
func NewGroup(log *slog.Logger, tasks ...Task) *Group {
	return &Group{log: log, tasks: tasks, ready: make(chan struct{})}
}

// Run runs all tasks until each has ended. The first that fails stops the others,
// and is the error, with the task's name; what the others return then is only
// logged. The result is nil if the tasks end by themselves, if one returns ErrStop,
// or if ctx ends.
func (g *Group) Run(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	up := make([]chan struct{}, len(g.tasks)) // closed when the task is ready or has ended well
	for i, t := range g.tasks {
		up[i] = make(chan struct{})
		tasks.Go(func() error { return g.run(ctx, t, sync.OnceFunc(func() { close(up[i]) })) })
	}
	if all(ctx, up) {
		close(g.ready)
	}
	if err := tasks.Wait(); !errors.Is(err, ErrStop) {
		return err
	}
	return nil
}

// all waits until every channel is closed; it reports false if ctx ends first.
func all(ctx context.Context, list []chan struct{}) bool {
	for _, c := range list {
		select {
		case <-c:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// run runs one task and logs its life.
func (g *Group) run(ctx context.Context, t Task, up func()) error {
	log := g.log.With("task", t.String())
	start := time.Now()
	log.DebugContext(ctx, "starting")
	ended := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-t.Ready():
			log.InfoContext(ctx, "ready", "took", time.Since(start))
			up()
		case <-ended:
		}
	})
	err := t.Run(ctx)
	close(ended)
	watch.Wait()
	if err = judge(ctx, log, t, err); err == nil {
		up()
	}
	return err
}

// judge says what the end of a task means for its group.
func judge(ctx context.Context, log *slog.Logger, t Task, err error) error {
	switch {
	case err == nil, ctx.Err() != nil && errors.Is(err, ctx.Err()):
		log.InfoContext(ctx, "stopped")
		return nil
	case errors.Is(err, ErrStop):
		log.InfoContext(ctx, "stopping all", "why", err)
		return err
	}
	log.ErrorContext(ctx, "failed", "error", err)
	return fmt.Errorf("%s: %w", t, err)
}

// Ready is closed when every task is ready or has ended well. It never is if a task
// fails before.
func (g *Group) Ready() <-chan struct{} { return g.ready }

// String names the tasks.
func (g *Group) String() string {
	names := make([]string, len(g.tasks))
	for i, t := range g.tasks {
		names[i] = t.String()
	}
	return strings.Join(names, "+")
}
