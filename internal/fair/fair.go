// Package fair shares a few places among many who want one. Whoever brings many
// requests waits behind his own: free places go round among owners, and among those
// who ask in one owner's name.
package fair

import (
	"context"
	"errors"
	"slices"
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
	owners map[string]*owner
	ring   []*owner // those with requests that wait, in the order of their turns
}

// owner is one of those who share. It is kept while anything of its is here.
type owner struct {
	name    string
	inside  int
	waiting int
	askers  []*asker // in the order of their turns
}

type asker struct {
	name    string
	waiters []*waiter
}

type waiter struct {
	admitted chan struct{} // closed under mu
	in       bool
}

// New is a gate with places, of which one owner has at most share, and whose owners
// may each have queue requests waiting.
func New(places, share, queue int) *Gate {
	return &Gate{share: max(1, share), queue: queue, free: max(1, places), owners: map[string]*owner{}}
}

// Enter waits for a place, which the caller gives back with leave, once. The error is
// ErrFull or that of ctx.
func (g *Gate) Enter(ctx context.Context, of, who string) (leave func(), err error) {
	g.mu.Lock()
	o := g.owners[of]
	if o == nil {
		o = &owner{name: of}
		g.owners[of] = o
	}
	leave = func() { g.leave(o) }
	switch {
	case g.free > 0 && o.inside < g.share: // then nobody waits who could enter
		g.admitLocked(o)
		g.mu.Unlock()
		return leave, nil
	case o.waiting >= g.queue:
		g.mu.Unlock()
		return nil, ErrFull
	}
	w := g.waitLocked(o, who)
	g.mu.Unlock()
	select {
	case <-w.admitted:
		return leave, nil
	case <-ctx.Done():
		g.giveUp(o, who, w)
		return nil, ctx.Err()
	}
}

// State is how many have a place, and how many wait for one.
func (g *Gate) State() (inside, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range g.owners {
		inside += o.inside
		waiting += o.waiting
	}
	return inside, waiting
}

func (g *Gate) admitLocked(o *owner) {
	g.free--
	o.inside++
}

func (g *Gate) waitLocked(o *owner, who string) *waiter {
	w := &waiter{admitted: make(chan struct{})}
	if o.waiting == 0 {
		g.ring = append(g.ring, o)
	}
	o.waiting++
	i := slices.IndexFunc(o.askers, func(a *asker) bool { return a.name == who })
	if i < 0 {
		i = len(o.askers)
		o.askers = append(o.askers, &asker{name: who})
	}
	o.askers[i].waiters = append(o.askers[i].waiters, w)
	return w
}

func (g *Gate) leave(o *owner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free++
	o.inside--
	g.callLocked()
	g.forgetLocked(o)
}

// callLocked gives free places to those whose turn it is.
func (g *Gate) callLocked() {
	for g.free > 0 {
		i := slices.IndexFunc(g.ring, func(o *owner) bool { return o.inside < g.share })
		if i < 0 {
			return
		}
		o := g.ring[i]
		g.ring = slices.Delete(g.ring, i, i+1)
		w := o.next()
		if o.waiting > 0 {
			g.ring = append(g.ring, o)
		}
		g.admitLocked(o)
		w.in = true
		close(w.admitted)
	}
}

// next is the request whose turn it is among those of an owner, who has some.
func (o *owner) next() *waiter {
	a := o.askers[0]
	o.askers = slices.Delete(o.askers, 0, 1)
	w := a.waiters[0]
	if a.waiters = a.waiters[1:]; len(a.waiters) > 0 {
		o.askers = append(o.askers, a)
	}
	o.waiting--
	return w
}

// giveUp takes a request out of the queue, or passes on the place that it was given
// meanwhile.
func (g *Gate) giveUp(o *owner, who string, w *waiter) {
	g.mu.Lock()
	in := w.in
	if !in {
		g.removeLocked(o, who, w)
	}
	g.mu.Unlock()
	if in {
		g.leave(o)
	}
}

func (g *Gate) removeLocked(o *owner, who string, w *waiter) {
	i := slices.IndexFunc(o.askers, func(a *asker) bool { return a.name == who })
	a := o.askers[i]
	a.waiters = slices.DeleteFunc(a.waiters, func(x *waiter) bool { return x == w })
	if len(a.waiters) == 0 {
		o.askers = slices.Delete(o.askers, i, i+1)
	}
	if o.waiting--; o.waiting == 0 {
		g.ring = slices.DeleteFunc(g.ring, func(x *owner) bool { return x == o })
	}
	g.forgetLocked(o)
}

func (g *Gate) forgetLocked(o *owner) {
	if o.inside == 0 && o.waiting == 0 {
		delete(g.owners, o.name)
	}
}
