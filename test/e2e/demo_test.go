package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/client"
)

// TestDemo runs the demonstration, takes it away, and runs it again.
func TestDemo(t *testing.T) { onHost(t, testDemo, "ip", "bridge", "nft") }

func testDemo(t *testing.T) {
	c := newCloud(t)
	c.start()
	before := c.settledKernel()
	for range 2 {
		proven(t, c.must("demo"))
		c.must("demo", "--delete")
		nothingLeft(c)
		if diff := cmp.Diff(remains(before), remains(c.settledKernel())); diff != "" {
			t.Fatalf("the demonstration has left something on the host (-before +after):\n%s", diff)
		}
	}
}

// proven checks what the demonstration printed.
func proven(t *testing.T, out string) {
	t.Helper()
	proofs := 0
	for line := range strings.Lines(out) {
		switch {
		case strings.HasPrefix(line, "ok "):
			proofs++
		case strings.HasPrefix(line, "FAIL"):
			t.Error(strings.TrimSpace(line))
		}
	}
	if proofs < 15 || !strings.Contains(out, "proofs passed") {
		t.Errorf("%d proofs in:\n%s", proofs, out)
	}
	t.Logf("%d proofs", proofs)
}

// nothingLeft checks that the API shows nothing any more but what every project
// has.
func nothingLeft(c *cloud) {
	c.t.Helper()
	for _, name := range []string{"weft", "weft-demo"} {
		cl := c.connect(name)
		for _, collection := range []string{"networks", "subnets", "ports", "routers", "floatingips", "subnetpools"} {
			list, err := client.List[map[string]any](c.t.Context(), cl, collection, "")
			if err != nil || len(list) != 0 {
				c.t.Errorf("left of %s: %v %v", collection, list, err)
			}
		}
		groups, err := client.List[weft.SecurityGroup](c.t.Context(), cl, "security-groups", "")
		if err != nil || slices.ContainsFunc(groups, func(g *weft.SecurityGroup) bool { return g.Name != "default" }) {
			c.t.Errorf("left of security groups: %v %v", groups, err)
		}
	}
}

// remains is the kernel without what may stay from a cloud that has been: the
// namespace of the outside world and what the firewall keeps for the next port.
func remains(k kernel) kernel {
	out := kernel{}
	for what, lines := range k {
		if !strings.HasPrefix(what, outside+" ") {
			out[what] = lines
		}
	}
	return out
}
