package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
)

// untouched does what must change nothing of the host.
func (c *cloud) untouched(do func()) {
	c.t.Helper()
	before := c.settledKernel()
	do()
	if diff := cmp.Diff(before, c.settledKernel()); diff != "" {
		c.t.Errorf("the host was changed (-before +after):\n%s", diff)
	}
}

// refused runs a command that has to fail and say how.
func (c *cloud) refused(want []string, name string, args ...string) {
	c.t.Helper()
	out, err := c.weft(name, args...)
	if err == nil {
		c.t.Fatalf("weft %s %s: %s", name, strings.Join(args, " "), out)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			c.t.Errorf("weft %s %s does not say %q: %v", name, strings.Join(args, " "), w, err)
		}
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
	c.untouched(func() {
		c.refused([]string{pid, c.dir}, "up")
		c.refused([]string{pid, c.dir}, "up", "--network-port", "19696", "--identity-port", "15000")
		c.refused([]string{pid, c.dir}, "up", "--no-agent", "--network-port", "19696", "--identity-port", "15000")
		other := *c
		other.dir = filepath.Join(t.TempDir(), "mistyped")
		other.refused([]string{pid, c.dir, "--no-agent"}, "up")
		other.refused([]string{pid, c.dir, "--no-agent"}, "up", "--network-port", "19696", "--identity-port", "15000")
		other.refused([]string{"still runs", pid, c.dir}, "up", "--cleanup")
	})
	c.stop()
	c.start() // the lock has gone with the process
}

// TestOtherCloud starts weft on the host of another cloud: with a mistyped state
// directory, with an emptied database, and, after that cloud was given up, for good.
func TestOtherCloud(t *testing.T) { onHost(t, testOtherCloud, "ip", "bridge", "nft") }

func testOtherCloud(t *testing.T) {
	c := newCloud(t)
	c.start()
	s := buildSmall(c)
	p := startPing(t, "through the router", "a", s.address("c"), 1)
	first := p.mark()
	cloud := c.cloudMark("brq" + s.networks[0].ID[:11])
	c.stop()
	other := newCloud(t)
	advice := []string{cloud, "backup", "--cleanup --cloud " + cloud, "--adopt " + cloud}
	c.untouched(func() { other.refused(advice, "up") })
	backup := filepath.Join(t.TempDir(), "backup")
	mv(t, filepath.Join(c.dir, "weft.db"), backup)
	c.refused(advice, "up") // an emptied database
	mv(t, backup, filepath.Join(c.dir, "weft.db"))
	c.start() // a restored backup
	s.plug(c, "d", 0)
	p.finish(t, first)
	c.stop()

	// Without a database cleaning up needs to be told what; with another one it
	// leaves what is not its own.
	empty := newCloud(t)
	empty.refused([]string{cloud, "--cloud " + cloud, "--cloud all"}, "up", "--cleanup")
	before := c.settledKernel()
	if out := other.must("up", "--cleanup"); !strings.Contains(out, "stays") || !strings.Contains(out, cloud) {
		t.Errorf("cleaning up beside another cloud: %s", out)
	}
	if diff := cmp.Diff(before, c.settledKernel()); diff != "" {
		t.Errorf("cleaning up touched another cloud (-before +after):\n%s", diff)
	}
	other.args = []string{"--adopt", cloud}
	other.start()
	other.waitFor("the networks of the adopted cloud to go", func() bool {
		return !strings.Contains(ip(t, "link"), "brq"+s.networks[0].ID[:11])
	})
	other.stop()
	if out := empty.must("up", "--cleanup", "--cloud", "all"); !strings.Contains(out, "nothing of weft is left") {
		t.Errorf("weft up --cleanup --cloud all says %q", out)
	}
}

// TestUpgradeAdopts gives a cloud's things the marks that wefts wrote before clouds
// had ids: the next start makes them the cloud's, and no packet is lost. A database
// that knows none of the networks does not get them.
func TestUpgradeAdopts(t *testing.T) { onHost(t, testUpgradeAdopts, "ip", "bridge", "nft") }

func testUpgradeAdopts(t *testing.T) {
	c := newCloud(t)
	c.start()
	s := buildSmall(c)
	pings := []*pinger{
		startPing(t, "within a network", "a", s.address("b"), 1),
		startPing(t, "in by the floating IP", outside, s.floating, 2),
	}
	first := marks(pings)
	before := c.settledKernel()
	c.stop()
	forgetClouds(t)
	newCloud(t).refused([]string{"before clouds had ids", "--adopt none"}, "up")
	c.start()
	s.plug(c, "d", 0)
	c.must("unplug", "--port", s.ports["d"].ID, "--netns", "d")
	c.waitFor("the host to be what it was", func() bool { return cmp.Equal(before, c.settledKernel()) })
	for i, p := range pings {
		p.finish(t, first[i])
	}
}

// cloudMark is the id of the cloud in an interface's alias.
func (c *cloud) cloudMark(device string) string {
	c.t.Helper()
	_, cloud, ok := strings.Cut(alias(c.t, device), "@")
	if !ok {
		c.t.Fatalf("%s has no mark of a cloud: %s", device, alias(c.t, device))
	}
	return cloud
}

func alias(t *testing.T, device string, in ...string) string {
	t.Helper()
	for line := range strings.Lines(ip(t, append(in, "link", "show", device)...)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "alias "); ok {
			return text
		}
	}
	return ""
}

// forgetClouds takes the clouds' ids out of all marks on the host.
func forgetClouds(t *testing.T) {
	t.Helper()
	for _, device := range names(t, "/sys/class/net") {
		if old, _, ok := strings.Cut(alias(t, device), "@"); ok {
			ip(t, "link", "set", device, "alias", old)
		}
	}
	for _, ns := range names(t, "/run/netns") {
		if old, _, ok := strings.Cut(alias(t, "lo", "-n", ns), "@"); ok {
			ip(t, "-n", ns, "link", "set", "lo", "alias", old)
		}
	}
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func ip(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func mv(t *testing.T, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(from+suffix, to+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// TestMissingInterface names an interface that this host does not have.
func TestMissingInterface(t *testing.T) { onHost(t, testMissingInterface, "ip", "bridge", "nft") }

func testMissingInterface(t *testing.T) {
	ip(t, "link", "add", "eth0", "type", "veth", "peer", "name", "far")
	c := newCloud(t)
	c.refused([]string{"eth9", "public", "eth0", "--wait-for-interfaces"}, "up", "--physnet", "public:eth9")
	c.args = []string{"--physnet", "public:eth9", "--wait-for-interfaces"}
	c.start()
	if !strings.Contains(c.out.String(), "waiting for interface eth9") {
		t.Error("it does not say that it waits")
	}
	cl := c.connect("weft")
	n := create[weft.Network](c, cl, "networks", "network",
		map[string]any{"name": "n", "provider:network_type": "flat", "provider:physical_network": "public"})
	create[weft.Subnet](c, cl, "subnets", "subnet", map[string]any{"network_id": n.ID, "cidr": "10.3.0.0/24", "ip_version": 4})
	p := create[weft.Port](c, cl, "ports", "port", map[string]any{"network_id": n.ID})
	c.weft("plug", "--port", p.ID, "--netns", "vm", "--wait", "3s")
	c.waitFor("the missing interface to be logged", func() bool { return strings.Contains(c.out.String(), "level=ERROR") })
	for i := range 5 { // something happens, and all is tried again
		create[weft.Port](c, cl, "ports", "port", map[string]any{"network_id": n.ID, "name": fmt.Sprint(i)})
		time.Sleep(time.Second)
	}
	if k := strings.Count(c.out.String(), "level=ERROR"); k != 1 {
		t.Errorf("a standing fault was logged %d times", k)
	}
	ip(t, "link", "add", "eth9", "type", "veth", "peer", "name", "far9")
	c.waitFor("the interface to be used", func() bool { return strings.Contains(ip(t, "link", "show", "eth9"), "master brq") })
	c.waitFor("the end of the fault to be logged", func() bool { return strings.Contains(c.out.String(), "as it should be again") })
}

// TestTwoNamespaces runs two wefts in two network namespaces that share all mounts,
// and so the names of network namespaces.
func TestTwoNamespaces(t *testing.T) { onHost(t, testTwoNamespaces, "ip", "bridge", "nft") }

func testTwoNamespaces(t *testing.T) {
	ip(t, "netns", "add", "second-host")
	ip(t, "-n", "second-host", "link", "set", "lo", "up")
	c, d := newCloud(t), newCloud(t)
	d.in = "second-host"
	c.start()
	d.start()
	proven(t, c.must("demo"))
	proven(t, d.must("demo"))
	for range 2 { // none takes the other for what it has left
		before := names(t, "/run/netns")
		d.stop()
		d.start()
		c.stop()
		c.start()
		if diff := cmp.Diff(before, names(t, "/run/netns")); diff != "" {
			t.Errorf("namespaces before and after a restart of both (-before +after):\n%s", diff)
		}
	}
	d.must("demo", "--delete")
	d.stop()
	before := len(names(t, "/run/netns"))
	d.must("up", "--cleanup")
	left := names(t, "/run/netns")
	if len(left) >= before || !slices.Contains(left, "weft-outside") {
		t.Errorf("after cleaning up one of two there are %q", left)
	}
	c.must("demo", "--delete")
	proven(t, c.must("demo"))
}
