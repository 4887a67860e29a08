// Package share bounds how many of something are in use: in all, and by each of those
// who use it, so that one leaves some for the others.
package share

import "sync"

// Shares is such a bound. Each K is somebody.
type Shares[K comparable] struct {
	all, each int

	mu   sync.Mutex
	n    int
	used map[K]int // who has some
}

// New makes Shares of which nobody has any.
func New[K comparable](all, each int) *Shares[K] {
	return &Shares[K]{all: all, each: each, used: map[K]int{}}
}

// Take reports whether somebody may have one, which is to be given back.
func (s *Shares[K]) Take(who K) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n >= s.all || s.used[who] >= s.each {
		return false
	}
	s.n++
	s.used[who]++
	return true
}

// GiveBack gives one back that was taken.
func (s *Shares[K]) GiveBack(who K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n--
	if s.used[who]--; s.used[who] == 0 {
		delete(s.used, who)
	}
}
