// Package run runs the things that a process does at the same time: servers, the
// agent, the wait for a signal. Each is a Task; a Group of them starts together,
// tells when all are ready, and ends together, so that no caller has goroutines of
// its own to keep track of.
package run

import (
	"context"
	"errors"
	"sync"
)

// Task is something that runs until it is told to stop.
type Task interface {
	// Run blocks until the task has ended and has let go of all it holds. It ends
	// soon after ctx does, which is no error: the result is then nil or ctx's own
	// error. Run is called once.
	Run(ctx context.Context) error
	// Ready is closed when the task does what it is there for. It may never be, if
	// Run ends first.
	Ready() <-chan struct{}
	// String names the task in the log.
	String() string
}

// ErrStop is what a task returns that wants its group to end, in good order.
var ErrStop = errors.New("asked to stop")

// New makes a task of a function, which calls ready when it is; calling it again
// does nothing.
func New(name string, run func(ctx context.Context, ready func()) error) Task {
	t := &task{name: name, run: run, ready: make(chan struct{})}
	t.isReady = sync.OnceFunc(func() { close(t.ready) })
	return t
}

type task struct {
	name    string
	run     func(context.Context, func()) error
	ready   chan struct{}
	isReady func()
}

func (t *task) Run(ctx context.Context) error { return t.run(ctx, t.isReady) }
func (t *task) Ready() <-chan struct{}        { return t.ready }
func (t *task) String() string                { return t.name }
