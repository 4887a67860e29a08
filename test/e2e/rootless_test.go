package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/needs"
)

// nobody is who runs the rootless test when it may choose.
const nobody = 65534

// TestRootless runs everything as an ordinary user.
func TestRootless(t *testing.T) {
	if os.Getuid() != 0 || os.Getenv(hostEnv) == t.Name() {
		testRootless(t) // it makes its own namespaces, which is the point
		return
	}
	onHost(t, testRootless, "ip", "nsenter")
}

func testRootless(t *testing.T) {
	needs.Programs(t, "ip", "nsenter")
	c := newCloud(t)
	c.useFreePorts()
	home := c.becomeNobody()
	if err := c.mayMakeUserNamespaces(); err != nil {
		needs.Missing(t, "needs unprivileged user namespaces: %v", err)
	}
	c.dir = filepath.Join(home, "state")
	c.start()
	if !strings.Contains(c.out.String(), "not root") {
		t.Error("it does not say that it runs rootless")
	}
	cl := c.connect("weft")
	n := create[weft.Network](c, cl, "networks", "network", map[string]any{"name": "n"})
	create[weft.Subnet](c, cl, "subnets", "subnet", map[string]any{"network_id": n.ID, "cidr": "10.3.0.0/24", "ip_version": 4})
	var ports []*weft.Port
	for _, name := range []string{"one", "two"} { // in the default group, whose members reach each other
		p := create[weft.Port](c, cl, "ports", "port", map[string]any{"network_id": n.ID})
		if out := c.must("plug", "--port", p.ID, "--netns", name); !strings.Contains(out, p.FixedIPs[0].IPAddress.String()) {
			t.Errorf("weft plug: %s", out)
		}
		ports = append(ports, p)
	}
	links := c.must("shell", "--", "ip", "-br", "link")
	for _, want := range []string{"brq" + n.ID[:11], "tap" + ports[0].ID[:11], "tap" + ports[1].ID[:11]} {
		if !strings.Contains(links, want) {
			t.Errorf("weft shell -- ip -br link has no %s:\n%s", want, links)
		}
	}
	if _, err := exec.LookPath("ping"); err == nil {
		c.must("shell", "--", "nsenter", "--net=/run/netns/one", "ping", "-c", "3", "-W", "5", ports[1].FixedIPs[0].IPAddress.String())
	}
	proven(t, c.must("demo"))
	c.must("demo", "--delete")
	c.stop()
	if out, err := c.weft("shell", "--", "true"); err == nil {
		t.Errorf("weft shell enters what is not there: %s", out)
	}
}

// becomeNobody lets everything of the cloud be run by an ordinary user with a home
// of his own, where that is not who runs the test anyway.
func (c *cloud) becomeNobody() (home string) {
	c.t.Helper()
	home, err := os.MkdirTemp("", "weft-e2e-home-")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { os.RemoveAll(home) })
	if os.Getuid() == 0 {
		if err := os.Chown(home, nobody, nobody); err != nil {
			c.t.Fatal(err)
		}
		c.attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	c.env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	return home
}

// mayMakeUserNamespaces tries what rootless weft needs from the kernel.
func (c *cloud) mayMakeUserNamespaces() error {
	attr := c.attr
	cmd := exec.Command("unshare", "--user", "--map-root-user", "--net", "--mount", "true")
	cmd.SysProcAttr = &attr
	return cmd.Run()
}
