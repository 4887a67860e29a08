package e2e

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRestartLosesNothing restarts weft, the polite way and the other, under
// traffic: nothing of it may be lost, and nothing in the kernel may be touched.
func TestRestartLosesNothing(t *testing.T) { onHost(t, testRestartLosesNothing, "ip", "bridge", "nft") }

func testRestartLosesNothing(t *testing.T) {
	c := newCloud(t)
	c.verbose = true
	c.start()
	s := buildSmall(c)
	pings := []*pinger{
		startPing(t, "within a network", "a", s.address("b"), 1),
		startPing(t, "through the router", "a", s.address("c"), 2),
		startPing(t, "out of the cloud", "c", outsideAddress, 3),
		startPing(t, "in by the floating IP", outside, s.floating, 4),
	}
	streams := []*stream{
		startStream(t, "within a network", "b", "a", netip.AddrPortFrom(s.address("a"), 7001)),
		startStream(t, "through the router", "a", "c", netip.AddrPortFrom(s.address("c"), 7002)),
		startStream(t, "out of the cloud", "c", outside, netip.AddrPortFrom(outsideAddress, 7003)),
		startStream(t, "in by the floating IP", outside, "a", netip.AddrPortFrom(s.floating, 7004)),
	}
	before, first := c.settledKernel(), marks(pings)
	for _, how := range []struct {
		name string
		end  func()
	}{{"SIGTERM", c.stop}, {"kill -9", c.kill}, {"kill -9 again", c.kill}} {
		how.end()
		progress(c, streams, "after "+how.name)
		passes := c.passes()
		c.start()
		c.waitFor("a full pass after "+how.name, func() bool { return c.passes() > passes })
		progress(c, streams, "when started after "+how.name)
		if diff := cmp.Diff(before, c.settledKernel()); diff != "" {
			t.Errorf("restart after %s touched the kernel (-before +after):\n%s", how.name, diff)
		}
	}
	for i, p := range pings {
		p.finish(t, first[i])
	}
	for _, s := range streams {
		s.finish(t)
	}
	s.plug(c, "d", 0) // it works, too
}

func marks(pings []*pinger) []uint32 {
	var m []uint32
	for _, p := range pings {
		m = append(m, p.mark())
	}
	return m
}

// progress waits until each stream has carried some more.
func progress(c *cloud, streams []*stream, when string) {
	c.t.Helper()
	for _, s := range streams {
		n := s.count()
		c.waitFor("TCP stream "+s.what+" to go on "+when, func() bool {
			select {
			case err := <-s.done:
				c.t.Fatalf("TCP stream %s broke %s: %v", s.what, when, err)
			default:
			}
			return s.count() > n+20
		})
	}
}

// passes is how often the agent has brought the whole host to its state.
func (c *cloud) passes() int {
	n := 0
	for line := range strings.Lines(c.out.String()) {
		if strings.Contains(line, "msg=converged") && strings.Contains(line, " ports=0 ") && strings.Contains(line, " ok=true ") {
			n++
		}
	}
	return n
}

// settledKernel is the kernel when nothing moves in it any more.
func (c *cloud) settledKernel() kernel {
	c.t.Helper()
	var last kernel
	c.waitFor("the kernel to come to rest", func() bool {
		now, err := look(c.t)
		if err == nil && last != nil && cmp.Equal(last, now) && !now.tentative() {
			return true
		}
		last = now
		time.Sleep(300 * time.Millisecond)
		return false
	})
	return last
}

// tentative reports whether an address is still being checked for duplicates.
func (k kernel) tentative() bool {
	for what, lines := range k {
		if strings.HasSuffix(what, " addresses") && strings.Contains(strings.Join(lines, "\n"), " tentative ") {
			return true
		}
	}
	return false
}
