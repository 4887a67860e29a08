package identity

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// login is on whose behalf a secret is checked: somebody at an address who says that
// he is a user.
type login struct{ from, user string }

// origin is the address that an attempt comes from; of IPv6, where one customer has
// many, the network.
func origin(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().String()
	}
	return a.String()
}

// guesses remembers who has been wrong. After a few failures in a row the same user is
// refused to the same address for a while, which doubles with every further failure:
// whoever else tries, from elsewhere or as somebody else, is not concerned.
type guesses struct {
	free  int // failures that cost nothing; 0: all
	limit int // logins remembered
	now   func() time.Time

	mu   sync.Mutex
	seen map[login]failures
}

type failures struct {
	n      int
	until  time.Time // refused so long
	proven bool      // has been right, once
}

const longestRefusal = time.Minute

func newGuesses(free int, now func() time.Time) *guesses {
	return &guesses{free: free, limit: 16384, now: now, seen: map[login]failures{}}
}

// refused reports whether a login is refused whatever secret it shows.
func (g *guesses) refused(l login) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now().Before(g.seen[l].until)
}

// tell remembers how an attempt has ended.
func (g *guesses) tell(l login, right bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, known := g.seen[l]
	if !known && len(g.seen) >= g.limit {
		g.evictLocked()
	}
	f.n++
	f.until = g.now()
	switch {
	case right:
		f = failures{proven: true}
	case g.free > 0 && f.n >= g.free:
		f.until = f.until.Add(min(longestRefusal, time.Second<<min(f.n-g.free, 10)))
	}
	g.seen[l] = f
}

// proven reports whether a login has been right before.
func (g *guesses) proven(l login) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen[l].proven
}

// evictLocked forgets those who are not refused any more, or else a part of all.
func (g *guesses) evictLocked() {
	now := g.now()
	for l, f := range g.seen {
		if !f.proven && !now.Before(f.until) {
			delete(g.seen, l)
		}
	}
	for l := range g.seen {
		if len(g.seen) <= g.limit*3/4 {
			return
		}
		delete(g.seen, l)
	}
}
