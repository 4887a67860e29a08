package identity

import (
	"sync"
	"sync/atomic"
	"time"
)

// cache remembers what tokens stand for. Every entry is of a generation; forget
// begins a new one, in which no older entry counts.
type cache struct {
	generation atomic.Uint64
	limit      int

	mu      sync.RWMutex
	entries map[string]entry
	swept   time.Time // when what is worthless was last thrown out
}

// sweepEvery is how long worthless entries may take up memory.
const sweepEvery = time.Minute

type entry struct {
	grant      *grant
	generation uint64
}

func newCache(limit int) *cache { return &cache{limit: limit, entries: map[string]entry{}} }

func (c *cache) forget() { c.generation.Add(1) }

// get is the grant of a token, or nil.
func (c *cache) get(token string, now time.Time) *grant {
	c.mu.RLock()
	e := c.entries[token]
	c.mu.RUnlock()
	if e.grant == nil || e.generation != c.generation.Load() || !now.Before(e.grant.expires) {
		return nil
	}
	return e.grant
}

// put remembers a grant that was looked up in the given generation: one read
// before looking, so that a change meanwhile makes the entry worthless.
func (c *cache) put(token string, g *grant, generation uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= c.limit || now.Sub(c.swept) > sweepEvery {
		c.evictLocked(now)
	}
	c.entries[token] = entry{g, generation}
}

// evictLocked makes room: what is worthless goes, and if that is not enough, an
// arbitrary part of the rest, so that eviction is rare.
func (c *cache) evictLocked(now time.Time) {
	c.swept = now
	current := c.generation.Load()
	for token, e := range c.entries {
		if e.generation != current || !now.Before(e.grant.expires) {
			delete(c.entries, token)
		}
	}
	if len(c.entries) < c.limit {
		return
	}
	for token := range c.entries {
		if len(c.entries) <= c.limit*3/4 {
			return
		}
		delete(c.entries, token)
	}
}
