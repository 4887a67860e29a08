package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// cost is what the network service used: processor time of its processes and of those
// that they started and have ended, and memory that is resident now.
type cost struct {
	cpu    time.Duration
	memory int // KiB
}

// measure boots guests one after the other and prints what each took, and what the
// network service used for all of them. Played with -network weft and with -network
// neutron, its numbers are compared by their ratio.
func measure(ctx context.Context, t *trial) error {
	c, err := t.cloud(ctx)
	if err != nil {
		return err
	}
	if _, _, err := t.guest(ctx, c, "warm"); err != nil {
		return err
	}
	before, err := t.cost()
	if err != nil {
		return err
	}
	began := time.Now()
	var active, pinged []time.Duration
	for i := range t.boots {
		one := &trial{stack: t.stack, began: t.began}
		a, p, err := one.guest(ctx, c, fmt.Sprintf("measured%d", i+1))
		if clean := one.clean(ctx); err == nil {
			err = clean
		}
		if err != nil {
			t.wrong("measured%d: %w", i+1, err)
			continue
		}
		active, pinged = append(active, a), append(pinged, p)
	}
	took := time.Since(began)
	after, err := t.cost()
	if err != nil {
		return err
	}
	t.saw("%s: %d guests; medians: ACTIVE %.2f s, ping %.2f s", t.network, len(active), median(active).Seconds(),
		median(pinged).Seconds())
	t.saw("%s: CPU %.2f s in %.0f s, memory %.1f MiB", t.network, (after.cpu - before.cpu).Seconds(), took.Seconds(),
		float64(after.memory)/1024)
	return nil
}

// cost adds up the processes of the network service; each was started with a session
// of its own, so that its session says to which one a process belongs.
func (s *stack) cost() (cost, error) {
	sessions := map[string]bool{}
	for _, name := range s.networkParts() {
		pid, err := s.pid(name)
		if err != nil {
			return cost{}, err
		}
		sessions[strconv.Itoa(pid)] = true
	}
	var sum cost
	all, err := os.ReadDir("/proc")
	for _, e := range all {
		data, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // no process, or one that has ended meanwhile
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		f := strings.Fields(rest)
		if len(f) < 22 || !sessions[f[3]] {
			continue
		}
		for _, ticks := range f[11:15] {
			n, _ := strconv.Atoi(ticks)
			sum.cpu += time.Duration(n) * time.Second / 100
		}
		pages, _ := strconv.Atoi(f[21])
		sum.memory += pages * os.Getpagesize() / 1024
	}
	return sum, err
}
