package l2

import (
	"strings"
	"testing"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

// TestSubPorts follows a trunk's subport on a kernel with VLAN devices: made when
// the parent's tap is there, wired, under another tag, and gone.
func TestSubPorts(t *testing.T) {
	b := newBench(t)
	parent := host.Port{ID: port2, NetworkID: netA, AdminUp: true}
	sub := host.Port{ID: port1, NetworkID: netB, AdminUp: true, Parent: port2, Tag: 101}
	s := state([]host.Network{vxlanNet(netA, 10), vxlanNet(netB, 11)}, sub, parent)
	name := host.TapName(port1)
	a := b.agent()
	if got := b.converge(a, s); got[port1] == "" || got[port2] == "" {
		t.Errorf("without the parent's tap: %q", got)
	}
	b.plug(port2)
	got, err := a.Rewire(b.Context(), s, "", []string{port2})
	if strings.Contains(got[port1], "module 8021q") {
		if got[port2] != "" {
			t.Errorf("the parent waits for its subport: %q", got)
		}
		t.Skipf("the rest needs VLAN devices: %s", got[port1])
	}
	b.check(err)
	check := func(tag uint16) {
		t.Helper()
		have := b.indexes()
		want := link.VLAN{Parent: have[host.TapName(port2)].Index, ID: tag}
		if l := have[name]; l.VLAN != want || l.Master != have[host.BridgeName(netB)].Index || !l.Up || l.MTU != 1450 {
			t.Errorf("%+v, want %+v on %s", l, want, host.BridgeName(netB))
		}
		if rest := b.remaining(s); rest != "" {
			t.Errorf("remaining: %s", rest)
		}
	}
	if got[port1] != "" || got[port2] != "" {
		t.Errorf("reasons %q", got)
	}
	check(101)
	s.Ports[0].Tag = 102
	b.converge(a, s)
	check(102)
	b.unplug(port2)
	b.converge(a, s)
	b.plug(port2)
	b.converge(a, s)
	check(102)
	s.Ports = s.Ports[1:]
	b.converge(a, s)
	if _, ok := b.indexes()[name]; ok {
		t.Error("the tap of a port that has left the trunk stays")
	}
}
