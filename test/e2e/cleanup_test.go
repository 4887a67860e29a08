package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCleanup makes things of somebody else, then a cloud among them, and takes the
// cloud away: what is left must be what was there before, untouched.
func TestCleanup(t *testing.T) { onHost(t, testCleanup, "ip", "bridge", "nft") }

func testCleanup(t *testing.T) {
	foreigners(t)
	c := newCloud(t)
	before := c.settledKernel()
	c.start()
	s := buildSmall(c)
	s.plug(c, "guest", 1) // a namespace of somebody else
	if out, err := c.weft("up", "--cleanup"); err == nil || !strings.Contains(err.Error(), "still runs") {
		t.Fatalf("cleaning up under a running weft: %v %s", err, out)
	}
	full := c.settledKernel()
	c.stop()
	if diff := cmp.Diff(full, c.settledKernel()); diff != "" {
		t.Errorf("stopping, or a refused cleanup, changed the host (-before +after):\n%s", diff)
	}
	for range 2 { // the second finds nothing to do
		if out := c.must("up", "--cleanup"); !strings.Contains(out, "nothing of weft is left") {
			t.Errorf("weft up --cleanup says %q", out)
		}
		if diff := cmp.Diff(before, c.settledKernel()); diff != "" {
			t.Fatalf("the host is not what it was (-before +after):\n%s", diff)
		}
	}
	c.start() // the cloud is in the database, and comes back
	for _, instance := range []string{"a", "b", "c"} {
		c.must("plug", "--port", s.ports[instance].ID, "--netns", instance)
	}
	p := startPing(t, "through the router again", "a", s.address("c"), 1)
	p.finish(t, p.mark())
	c.kill()
	c.must("up", "--cleanup")
	if diff := cmp.Diff(before, c.settledKernel()); diff != "" {
		t.Errorf("the host is not what it was, after a kill (-before +after):\n%s", diff)
	}
}

// foreigners are things that look a little like ours.
func foreigners(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(`
ip link add brq-foreign type bridge
ip link set brq-foreign up
ip link add tap-foreign type veth peer name peer-foreign
ip link set tap-foreign master brq-foreign alias not-weft:port up
ip address add 192.0.2.1/24 dev brq-foreign
ip link add vxlan-99 type vxlan id 99 dstport 4790 local 192.0.2.1
ip netns add guest
ip netns add qrouter-foreign
ip -n guest link set lo up
ip -n qrouter-foreign link add br0 type bridge
nft add table inet foreign
nft add chain inet foreign c { type filter hook forward priority 0 ; }
nft add rule inet foreign c tcp dport 22 counter accept
nft add table bridge wefty
`) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", line, err, out)
		}
	}
}
