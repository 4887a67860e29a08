package dhcp

import (
	"net/netip"
	"sync"
)

// shares bounds how many of something are in use: in all, and by each guest, so that
// one leaves some for the others.
type shares struct {
	all, each int

	mu   sync.Mutex
	n    int
	used map[netip.Addr]int // who has some
}

func newShares(all, each int) *shares {
	return &shares{all: all, each: each, used: map[netip.Addr]int{}}
}

// take reports whether the guest may have one, which is to be given back.
func (s *shares) take(guest netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n >= s.all || s.used[guest] >= s.each {
		return false
	}
	s.n++
	s.used[guest]++
	return true
}

func (s *shares) giveBack(guest netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n--
	if s.used[guest]--; s.used[guest] == 0 {
		delete(s.used, guest)
	}
}
