package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
)

// refused runs a command that has to fail, says how, and touches nothing of the host.
func (c *cloud) refused(want []string, name string, args ...string) {
	c.t.Helper()
	before := c.settledKernel()
	out, err := c.weft(name, args...)
	if err == nil {
		c.t.Fatalf("weft %s %s: %s", name, strings.Join(args, " "), out)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			c.t.Errorf("weft %s %s does not say %q: %v", name, strings.Join(args, " "), w, err)
		}
	}
	if diff := cmp.Diff(before, c.settledKernel()); diff != "" {
		c.t.Errorf("weft %s %s changed the host (-before +after):\n%s", name, strings.Join(args, " "), diff)
	}
}

// TestSecondWeft starts a second weft where one runs: it must be refused before it
// does anything, and say who is there.
func TestSecondWeft(t *testing.T) { onHost(t, testSecondWeft, "ip", "bridge", "nft") }

func testSecondWeft(t *testing.T) {
	c := newCloud(t)
	c.args = []string{"--host", "not-this-machine"}
	c.start()
	cl := c.connect("weft")
	n := create[weft.Network](c, cl, "networks", "network", map[string]any{"name": "n"})
	create[weft.Subnet](c, cl, "subnets", "subnet", map[string]any{"network_id": n.ID, "cidr": "10.3.0.0/24", "ip_version": 4})
	p := create[weft.Port](c, cl, "ports", "port", map[string]any{"network_id": n.ID})
	if out := c.must("plug", "--port", p.ID, "--netns", "vm"); !strings.Contains(out, "ACTIVE on not-this-machine") {
		t.Errorf("plug does not go by the running weft's host: %s", out)
	}
	pid := fmt.Sprint("process ", c.up.Process.Pid)
	c.refused([]string{pid, c.dir}, "up")
	c.refused([]string{pid, c.dir}, "up", "--network-port", "19696", "--identity-port", "15000")
	c.refused([]string{pid, c.dir}, "up", "--no-agent", "--network-port", "19696", "--identity-port", "15000")
	other := *c
	other.dir = filepath.Join(t.TempDir(), "mistyped")
	other.refused([]string{pid, c.dir, "--no-agent"}, "up")
	other.refused([]string{pid, c.dir, "--no-agent"}, "up", "--network-port", "19696", "--identity-port", "15000")
	other.refused([]string{"still runs", pid, c.dir}, "up", "--cleanup")
	c.stop()
	c.start() // the lock has gone with the process
}
