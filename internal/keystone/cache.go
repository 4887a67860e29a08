package keystone

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/weftnet/weft/internal/authtoken"
)

// entry is what Keystone has said of a token.
type entry struct {
	subject *authtoken.Subject // nil: it is good for nothing
	asked   time.Time
	tried   time.Time // when Keystone was last asked in vain
}

func (e entry) answer() (*authtoken.Subject, error) {
	if e.subject == nil {
		return nil, authtoken.Unauthorized()
	}
	return e.subject, nil
}

// cache remembers what Keystone has said. Good tokens and others are kept apart, so
// that a flood of made-up tokens displaces nothing but itself.
type cache struct {
	recheck, keep time.Duration

	mu   sync.Mutex
	good shelf
	bad  shelf
}

// shelf has room for a number of entries.
type shelf struct {
	limit   int
	entries map[[sha256.Size]byte]entry
	swept   time.Time
}

func newCache(recheck, keep time.Duration, limit int) *cache {
	shelf := func(limit int) shelf { return shelf{limit: limit, entries: map[[sha256.Size]byte]entry{}} }
	return &cache{recheck: recheck, keep: max(keep, recheck), good: shelf(limit), bad: shelf(max(1, limit/4))}
}

// get is what needs no asking: an answer that is young, or one that was not to be
// had anew a moment ago.
func (c *cache) get(key [sha256.Size]byte, now time.Time) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.good.entries[key]; ok {
		young := now.Sub(e.asked) < c.recheck
		return e, young || c.usable(e, now) && now.Sub(e.tried) < c.recheck/5
	}
	e, ok := c.bad.entries[key]
	return e, ok && now.Sub(e.asked) < c.recheck
}

// usable reports whether an answer is better than none.
func (c *cache) usable(e entry, now time.Time) bool { return now.Sub(e.asked) < c.keep }

// fall is what there is to fall back on when Keystone does not answer. It is taken
// for some requests without asking, so that not each of them waits in vain.
func (c *cache) fall(key [sha256.Size]byte, now time.Time) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.good.entries[key]
	if !ok || !c.usable(e, now) {
		return entry{}, false
	}
	e.tried = now
	c.good.entries[key] = e
	return e, true
}

func (c *cache) put(key [sha256.Size]byte, e entry, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.good.entries, key)
	delete(c.bad.entries, key)
	if e.subject == nil {
		c.bad.put(key, e, now, c.recheck)
		return
	}
	c.good.put(key, e, now, c.keep)
}

// put makes room if there is none: what is too old goes, and if that is not enough,
// an arbitrary part of the rest, so that this is rare.
func (s *shelf) put(key [sha256.Size]byte, e entry, now time.Time, keep time.Duration) {
	full := func() bool { return len(s.entries) >= s.limit }
	if full() || now.Sub(s.swept) > keep {
		s.swept = now
		for k, old := range s.entries {
			if now.Sub(old.asked) >= keep {
				delete(s.entries, k)
			}
		}
	}
	if full() {
		for k := range s.entries {
			if len(s.entries) <= s.limit*3/4 {
				break
			}
			delete(s.entries, k)
		}
	}
	s.entries[key] = e
}
