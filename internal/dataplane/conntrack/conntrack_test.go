package conntrack_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/dataplane/conntrack"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

const space = "wt-ct"

// table makes entries in a namespace and returns what changes them.
func table(t *testing.T) *conntrack.Conn {
	t.Helper()
	hosttest.Need(t, "conntrack", "ip")
	if err := netns.Ensure(space, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netns.Delete(space, "") })
	for zone := 1; zone <= 2; zone++ {
		for _, entry := range []string{
			"-s 10.0.0.1 -d 10.0.0.2 -p udp --sport 4000 --dport 53",
			"-s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 4000 --dport 80 --state ESTABLISHED",
			"-s 10.0.0.1 -d 10.0.0.2 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 7",
			"-s 2001:db8::1 -d 2001:db8::2 -p udp --sport 4000 --dport 53",
		} {
			command := fmt.Sprintf("ip netns exec %s conntrack -I -t 100 -w %d %s", space, zone, entry)
			if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", command, err, out)
			}
		}
	}
	ns, err := netns.Open(space)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return conntrack.Open(ns.FD())
}

func list(t *testing.T, c *conntrack.Conn) []string {
	t.Helper()
	flows, err := c.List()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range flows {
		o, r := f.Orig, f.Reply
		if o.Src != r.Dst || o.Dst != r.Src || o.SPort != r.DPort {
			t.Errorf("directions do not fit: %+v", f)
		}
		out = append(out, fmt.Sprintf("zone %d mark %x: %s > %s proto %d ports %d %d type %d.%d", f.Zone, f.Mark, o.Src, o.Dst, o.Protocol, o.SPort, o.DPort, o.Type, o.Code))
	}
	slices.Sort(out)
	return out
}

func TestChange(t *testing.T) {
	c := table(t)
	if n, err := c.Delete(1, func(f conntrack.Flow) bool {
		return f.Orig.DPort == 53 && f.Orig.Dst == netip.MustParseAddr("10.0.0.2") || f.Orig.Type == 8
	}); err != nil || n != 2 {
		t.Errorf("Delete = %d, %v", n, err)
	}
	mark := uint32(0x77)
	if n, err := c.Change(func(f conntrack.Flow) conntrack.Action {
		if f.Zone == 2 && f.Orig.Protocol != 1 {
			return conntrack.Action{Mark: &mark}
		}
		return conntrack.Action{}
	}); err != nil || n != 3 {
		t.Errorf("Change = %d, %v", n, err)
	}
	want := `zone 1 mark 0: 10.0.0.1 > 10.0.0.2 proto 6 ports 4000 80 type 0.0
zone 1 mark 0: 2001:db8::1 > 2001:db8::2 proto 17 ports 4000 53 type 0.0
zone 2 mark 0: 10.0.0.1 > 10.0.0.2 proto 1 ports 0 0 type 8.0
zone 2 mark 77: 10.0.0.1 > 10.0.0.2 proto 17 ports 4000 53 type 0.0
zone 2 mark 77: 10.0.0.1 > 10.0.0.2 proto 6 ports 4000 80 type 0.0
zone 2 mark 77: 2001:db8::1 > 2001:db8::2 proto 17 ports 4000 53 type 0.0`
	if diff := cmp.Diff(strings.Split(want, "\n"), list(t, c)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if flows, err := conntrack.Open(0).List(); err != nil || len(flows) > 0 {
		t.Errorf("in another namespace: %v, %v", flows, err)
	}
}
