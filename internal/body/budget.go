package body

import (
	"context"
	"sync"
)

// budget is something that requests share, such as memory. Each has a share of it
// only, by whose behalf it is, so that one cannot take it from all others.
type budget struct {
	total, share int64

	mu      sync.Mutex
	used    int64
	by      map[string]int64
	waiting []*claim
}

type claim struct {
	who     string
	n       int64
	granted chan struct{}
}

func newBudget(total, share int64) *budget {
	return &budget{total: total, share: share, by: map[string]int64{}}
}

// take waits for n, at most a share, until ctx ends. What it gives is to be given
// back once.
func (b *budget) take(ctx context.Context, who string, n int64) (giveBack func(), err error) {
	c := &claim{who, min(n, b.share), make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, c)
	b.grant()
	b.mu.Unlock()
	select {
	case <-c.granted:
		return func() { b.release(c) }, nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, w := range b.waiting {
		if w == c {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			return nil, ctx.Err()
		}
	}
	return func() { b.release(c) }, nil // granted meanwhile
}

// grant gives those who wait what there is, in their order: who has a share already is
// passed over, but nobody passes whom the total is too small for.
func (b *budget) grant() {
	rest := b.waiting[:0]
	for i, c := range b.waiting {
		if b.used+c.n > b.total {
			rest = append(rest, b.waiting[i:]...)
			break
		}
		if b.by[c.who]+c.n > b.share {
			rest = append(rest, c)
			continue
		}
		b.used += c.n
		b.by[c.who] += c.n
		close(c.granted)
	}
	clear(b.waiting[len(rest):])
	b.waiting = rest
}

func (b *budget) release(c *claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= c.n
	if b.by[c.who] -= c.n; b.by[c.who] == 0 {
		delete(b.by, c.who)
	}
	b.grant()
}
