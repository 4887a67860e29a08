// Package fair shares a few places among many who want one. Whoever brings many
// requests waits behind his own: free places go round among owners, and among those
// who ask in one owner's name.
package fair

import (
	"context"
	"errors"
	"sync"
)

// ErrFull is the refusal of somebody whose owner has too many waiting already.
var ErrFull = errors.New("too many are waiting")

// Gate has a number of places. Make it with New.
type Gate struct {
	share int // places that one owner may hold at once
	queue int // requests of one owner that may wait

	mu     sync.Mutex
	free   int
	inside map[string]int // places that an owner holds; none with 0
	line   Line[*waiter]
}

type waiter struct {
	of       string
	admitted chan struct{} // closed under mu
	in       bool
}

// New is a gate with places, of which one owner has at most share, and whose owners
// may each have queue requests waiting.
func New(places, share, queue int) *Gate {
	return &Gate{share: max(1, share), queue: queue, free: max(1, places), inside: map[string]int{}}
}

// Enter waits for a place, which the caller gives back with leave, once. The error is
// ErrFull or that of ctx.
func (g *Gate) Enter(ctx context.Context, of, who string) (leave func(), err error) {
	leave = func() { g.leave(of) }
	w, err := g.enterOrWait(of, who)
	if w == nil {
		return leave, err
	}
	select {
	case <-w.admitted:
		return leave, nil
	case <-ctx.Done():
		g.giveUp(who, w)
		return nil, ctx.Err()
	}
}

// enterOrWait takes a free place or else, with a waiter, one in the line.
func (g *Gate) enterOrWait(of, who string) (*waiter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.free > 0 && g.mayEnter(of): // then nobody waits who could enter
		g.admitLocked(of)
		return nil, nil
	case g.line.Waiting(of) >= g.queue:
		return nil, ErrFull
	}
	w := &waiter{of: of, admitted: make(chan struct{})}
	g.line.Add(of, who, w)
	return w, nil
}

// State is how many have a place, and how many wait for one.
func (g *Gate) State() (inside, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range g.inside {
		inside += n
	}
	return inside, g.line.Len()
}

func (g *Gate) mayEnter(of string) bool { return g.inside[of] < g.share }

func (g *Gate) admitLocked(of string) {
	g.free--
	g.inside[of]++
}

// leave gives a place back, and free places to those whose turn it is.
func (g *Gate) leave(of string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free++
	if g.inside[of]--; g.inside[of] == 0 {
		delete(g.inside, of)
	}
	for g.free > 0 {
		w, ok := g.line.Next(g.mayEnter)
		if !ok {
			return
		}
		g.admitLocked(w.of)
		w.in = true
		close(w.admitted)
	}
}

// giveUp takes a request out of the line, or passes on the place that it was given
// meanwhile.
func (g *Gate) giveUp(who string, w *waiter) {
	g.mu.Lock()
	in := w.in
	if !in {
		g.line.Remove(w.of, who, func(x *waiter) bool { return x == w })
	}
	g.mu.Unlock()
	if in {
		g.leave(w.of)
	}
}
