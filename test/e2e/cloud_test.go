package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weftnet/weft/internal/client"
)

// hang is how long anything may take before it counts as hanging. It is no
// measure of how fast things are.
const hang = 2 * time.Minute

func untilJustBefore(deadline time.Time) string {
	return max(time.Until(deadline)-2*time.Second, time.Second).String()
}

// cloud is a weft on this host.
type cloud struct {
	t                 *testing.T
	dir               string
	network, identity int // ports
	attr              syscall.SysProcAttr
	env               []string
	verbose           bool
	args              []string // further ones of `weft up`
	in                string   // network namespace that is its host; "": this
	up                *exec.Cmd
	out               *output
	ended             chan struct{} // closed when up has ended
}

// newCloud is a weft that does not run yet, with a state directory of its own. It
// is killed at the end of the test if it still runs; if the test failed its log is
// shown.
func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{t: t, dir: filepath.Join(t.TempDir(), "state"), network: 9696, identity: 5000, env: os.Environ(), out: &output{}}
	c.attr.Pdeathsig = syscall.SIGKILL
	t.Cleanup(func() {
		if c.up != nil {
			c.kill()
		}
		if t.Failed() {
			t.Logf("weft up said:\n%s", c.out.tail(200))
		}
	})
	return c
}

// useFreePorts lets the cloud listen where nobody else does, on a host that is not its
// own.
func (c *cloud) useFreePorts() {
	for _, p := range []*int{&c.network, &c.identity} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			c.t.Fatal(err)
		}
		defer l.Close()
		*p = l.Addr().(*net.TCPAddr).Port
	}
}

// output collects what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) tail(lines int) string {
	all := strings.Split(o.String(), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// command is a command of weft on this cloud.
func (c *cloud) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	argv := append([]string{os.Getenv(binaryEnv), name, "--state-dir", c.dir}, args...)
	if c.in != "" { // not by ip netns exec, which would give it mounts of its own
		argv = append([]string{"nsenter", "--net=/run/netns/" + c.in}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	attr := c.attr
	cmd.SysProcAttr, cmd.Env = &attr, c.env
	return cmd
}

// weft runs a command of weft and returns what it printed.
func (c *cloud) weft(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), hang)
	defer cancel()
	out, err := c.command(ctx, name, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("weft %s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// must runs a command that has to succeed.
func (c *cloud) must(name string, args ...string) string {
	c.t.Helper()
	out, err := c.weft(name, args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// launch starts `weft up` and does not wait.
func (c *cloud) launch() {
	c.t.Helper()
	cmd := c.command(context.Background(), "up", "--network-port", strconv.Itoa(c.network), "--identity-port", strconv.Itoa(c.identity))
	cmd.Args = append(cmd.Args, c.args...)
	if c.verbose {
		cmd.Args = append(cmd.Args, "--verbose")
	}
	cmd.Stdout, cmd.Stderr = c.out, c.out
	fmt.Fprintln(c.out, "--- weft up")
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan struct{})
	c.up, c.ended = cmd, ended
	go func() {
		cmd.Wait()
		close(ended)
	}()
}

// start starts `weft up` and waits until it is ready.
func (c *cloud) start() {
	c.t.Helper()
	before := strings.Count(c.out.String(), "weft: ready")
	c.launch()
	c.waitFor("weft up to be ready", func() bool {
		select {
		case <-c.ended:
			c.t.Fatalf("weft up ended: %v", c.up.ProcessState)
		default:
		}
		return strings.Count(c.out.String(), "weft: ready") > before
	})
}

// stop ends `weft up` the polite way, and insists on it being polite too.
func (c *cloud) stop() {
	c.t.Helper()
	c.up.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(hang):
		c.t.Fatal("weft up does not end on SIGTERM")
	}
	if !c.up.ProcessState.Success() {
		c.t.Fatalf("weft up ended on SIGTERM with %v", c.up.ProcessState)
	}
	c.up = nil
}

// kill ends `weft up` with kill -9.
func (c *cloud) kill() {
	c.up.Process.Kill()
	<-c.ended
	c.up = nil
}

// waitFor waits until something is so.
func (c *cloud) waitFor(what string, is func() bool) {
	c.t.Helper()
	waitFor(c.t, what, is)
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(hang); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (c *cloud) clouds() string { return filepath.Join(c.dir, "clouds.yaml") }

// connect is a client for the cloud of that name in clouds.yaml.
func (c *cloud) connect(name string) *client.Client {
	c.t.Helper()
	cl, err := client.Connect(c.t.Context(), c.clouds(), name)
	if err != nil {
		c.t.Fatal(err)
	}
	return cl
}

// create makes a noun that has to come about.
func create[T any](c *cloud, cl *client.Client, collection, noun string, in map[string]any) *T {
	c.t.Helper()
	v, err := client.Create[T](c.t.Context(), cl, collection, noun, in)
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}
