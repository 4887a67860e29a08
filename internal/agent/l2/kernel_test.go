package l2

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// bench is a host of a test: a namespace with a "physical" interface eth1 that
// has the host's address.
type bench struct {
	*testing.T
	h   *link.Handle
	cfg Config
}

var (
	hostAddr  = netip.MustParsePrefix("198.51.100.7/24")
	hostRoute = link.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("198.51.100.1")}
)

func newBench(t *testing.T) *bench {
	hosttest.Need(t)
	name := "wt-" + strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	b := &bench{T: t, cfg: Config{VTEP: here, Physnets: map[string]string{"provider": "eth1"}}}
	b.check(netns.Ensure(name, ""))
	t.Cleanup(func() { netns.Delete(name, "") })
	b.h = must(b, link.OpenIn, name)
	t.Cleanup(b.h.Close)
	eth, err := b.h.Create("eth1", link.Veth{Peer: "wire"}, link.NoAutoIPv6(), link.Up(true))
	b.check(err)
	b.check(b.h.AddAddr(eth.Index, hostAddr))
	r := hostRoute
	r.Link = eth.Index
	b.check(b.h.ReplaceRoute(r))
	return b
}

func must[A, R any](b *bench, f func(A) (R, error), a A) R {
	b.Helper()
	r, err := f(a)
	b.check(err)
	return r
}

func (b *bench) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) agent() *Agent { return New(b.h, b.cfg, slog.New(slog.DiscardHandler)) }

// converge runs all phases and returns the reasons.
func (b *bench) converge(a *Agent, s *host.State) map[string]string {
	b.Helper()
	ctx := b.Context()
	b.check(a.Prepare(ctx, s, true))
	reasons, err := a.Wire(ctx, s, "")
	b.check(err)
	b.check(a.Prune(ctx, s))
	return reasons
}

// remaining is what a new agent would do to the host now.
func (b *bench) remaining(s *host.State) string {
	b.Helper()
	a := b.agent()
	o, err := observe(b.h, &a.cfg, s, nil)
	b.check(err)
	ops, failed := planNetworks(&a.cfg, s, o)
	for id, err := range failed {
		b.Errorf("network %s: %v", id, err)
	}
	ports, _ := planPorts(s, o, nil, "")
	return text(ops) + text(ports) + text(planPrune(&a.cfg, s, o))
}

func (b *bench) plug(portID string) {
	b.Helper()
	_, err := b.h.Create(host.TapName(portID), link.Veth{Peer: "vm-" + portID[:8]})
	b.check(err)
}

func (b *bench) unplug(portID string) {
	b.Helper()
	l, err := b.h.ByName(host.TapName(portID))
	b.check(err)
	b.check(b.h.Delete(l.Index))
}

// indexes is the interfaces of the host, with the bridges they are on.
func (b *bench) indexes() map[string]link.Link {
	b.Helper()
	all, err := b.h.List()
	b.check(err)
	m := map[string]link.Link{}
	for _, l := range all {
		m[l.Name] = l
	}
	return m
}

func (b *bench) where(p netip.Prefix) (names []string) {
	b.Helper()
	for name, l := range b.indexes() {
		if slices.Contains(must(b, b.h.Addrs, l.Index), p) {
			names = append(names, name)
		}
	}
	return names
}

func state(networks []host.Network, ports ...host.Port) *host.State {
	return &host.State{Host: "h1", Networks: networks, Ports: ports}
}

func TestConvergeAdoptDrift(t *testing.T) {
	b := newBench(t)
	peer := host.Peer{VTEP: there, Entries: []host.PeerEntry{{MAC: mac1}}}
	s := state([]host.Network{vxlanNet(netA, 10, peer), flatNet(netB)},
		host.Port{ID: port1, NetworkID: netA, AdminUp: true}, host.Port{ID: port2, NetworkID: netB, AdminUp: true})
	b.plug(port1)
	a := b.agent()
	got := b.converge(a, s)
	want := map[string]string{port1: "", port2: "device tap22222222-22 is not present on host h1"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("reasons (-want +got):\n%s", d)
	}
	if rest := b.remaining(s); rest != "" {
		t.Errorf("not converged:\n%s", rest)
	}
	before := b.indexes()
	br := before[host.BridgeName(netA)]
	if v := must(b, b.h.Sysctl, "net/ipv6/conf/"+br.Name+"/disable_ipv6"); v != "1" {
		t.Errorf("disable_ipv6 of the bridge is %s", v)
	}
	if where := b.where(hostAddr); !slices.Equal(where, []string{host.BridgeName(netB)}) {
		t.Errorf("the host's address is on %v", where)
	}

	// A new agent finds nothing to do, and the old one neither.
	for _, a := range []*Agent{a, b.agent()} {
		b.converge(a, s)
		if d := cmp.Diff(fmt.Sprint(before), fmt.Sprint(b.indexes())); d != "" {
			t.Errorf("a second pass changed something:\n%s", d)
		}
	}

	// Drift is repaired.
	a.tunnels.lasts = 0
	b.check(b.h.Set(before["tap11111111-11"].Index, link.Master(0), link.MTU(1400)))
	b.check(b.h.Set(before["vxlan-10"].Index, link.Up(false)))
	b.check(b.h.DeleteForwards(before["vxlan-10"].Index, link.Forward{MAC: mac1, Remote: there}))
	b.check(b.h.Delete(before[host.BridgeName(netB)].Index))
	b.plug(port2)
	got = b.converge(a, s)
	if d := cmp.Diff(map[string]string{port1: "", port2: ""}, got); d != "" {
		t.Errorf("reasons (-want +got):\n%s", d)
	}
	if rest := b.remaining(s); rest != "" {
		t.Errorf("drift is left:\n%s", rest)
	}
	if after := b.indexes(); after["vxlan-10"].Index != before["vxlan-10"].Index || after[br.Name].Index != br.Index {
		t.Error("repairing one thing made others anew")
	}
}

func TestFlatGivesBack(t *testing.T) {
	b := newBench(t)
	eth := b.indexes()["eth1"]
	a := b.agent()
	b.converge(a, state([]host.Network{flatNet(netA)}))
	br := b.indexes()[host.BridgeName(netA)]
	r := must(b, b.h.Routes, br.Index)
	if !slices.ContainsFunc(r, func(r link.Route) bool { return r.Via == hostRoute.Via }) {
		t.Errorf("routes of the bridge: %v", r)
	}
	// To another network, without a step between.
	b.converge(a, state([]host.Network{flatNet(netB)}))
	if where := b.where(hostAddr); !slices.Equal(where, []string{host.BridgeName(netB)}) {
		t.Errorf("the host's address is on %v", where)
	}
	b.check(b.agent().Cleanup(b.Context(), ""))
	if where := b.where(hostAddr); !slices.Equal(where, []string{"eth1"}) {
		t.Errorf("the host's address is on %v", where)
	}
	r = must(b, b.h.Routes, eth.Index)
	if !slices.ContainsFunc(r, func(r link.Route) bool { return r.Via == hostRoute.Via }) {
		t.Errorf("routes of the interface: %v", r)
	}
	if len(b.indexes()) != 3 {
		t.Errorf("left behind: %v", b.indexes())
	}
}

func TestFirewallHoldsBack(t *testing.T) {
	b := newBench(t)
	s := state([]host.Network{vxlanNet(netA, 10)}, host.Port{ID: port1, NetworkID: netA, AdminUp: true})
	b.plug(port1)
	a := b.agent()
	b.check(a.Prepare(b.Context(), s, true))
	got, err := a.Wire(b.Context(), s, "no rules")
	b.check(err)
	if got[port1] != "no rules" || b.indexes()["tap11111111-11"].Master != 0 {
		t.Errorf("reasons %v", got)
	}
	if got = b.converge(a, s); got[port1] != "" {
		t.Errorf("reasons %v", got)
	}
}

// libvirt makes a bridge's port of a tap it has just made: os-vif may have made the
// bridge before weft knew of the network, and libvirt may make the tap anew by the same
// name between two passes.
func TestTapsOfInstances(t *testing.T) {
	b := newBench(t)
	port := host.Port{ID: port1, NetworkID: netA, AdminUp: true, DeviceOwner: "compute:nova"}
	empty, s := state([]host.Network{vxlanNet(netA, 10)}), state([]host.Network{vxlanNet(netA, 10)}, port)
	br, err := b.h.Create(host.BridgeName(netA), link.Bridge{}, link.Up(true)) // as os-vif
	b.check(err)
	libvirt := func() {
		l, err := b.h.Create(host.TapName(port1), link.Veth{Peer: "vm"})
		b.check(err)
		b.check(b.h.Set(l.Index, link.Master(br.Index)))
		b.check(b.h.Set(l.Index, link.Up(true)))
	}
	libvirt()
	a := b.agent()
	b.check(a.Prepare(b.Context(), s, true))
	if l := b.indexes()[host.TapName(port1)]; l.Up || l.Master != br.Index {
		t.Errorf("before there are rules: %+v", l)
	}
	right := func(what string, want *host.State) {
		t.Helper()
		if got := b.converge(a, want); got[port1] != "" {
			t.Errorf("%s: %v", what, got)
		}
		if l := b.indexes()[host.TapName(port1)]; !l.Up || l.Master != br.Index || l.MTU != 1450 {
			t.Errorf("%s: %+v", what, l)
		}
		if rest := b.remaining(want); rest != "" {
			t.Errorf("%s; remaining:\n%s", what, rest)
		}
	}
	right("the bridge was there first", s)
	b.converge(a, empty)
	if l := b.indexes()[host.TapName(port1)]; l.Up || l.Master != br.Index {
		t.Errorf("unbound: %+v", l)
	}
	right("bound again", s)
	b.unplug(port1)
	libvirt()
	right("made anew between two passes", s)
	b.unplug(port1)
	if got := b.converge(a, s); got[port1] != absent(s, host.TapName(port1)) {
		t.Errorf("gone: %v", got)
	}
	libvirt()
	right("made anew", s)
	b.converge(a, state(nil))
	if _, ok := b.indexes()[br.Name]; !ok {
		t.Fatal("the bridge went while an instance was on it")
	}
	right("the network is back", s)
	b.unplug(port1)
	b.converge(a, state(nil))
	if _, ok := b.indexes()[br.Name]; ok {
		t.Error("the bridge stays when all have left")
	}
}

func TestVLANWithoutKernelSupport(t *testing.T) {
	b := newBench(t)
	n := host.Network{ID: netA, MTU: 1500, Segment: host.Segment{Type: weft.TypeVLAN, PhysicalNetwork: "provider", ID: 123}}
	s := state([]host.Network{n}, host.Port{ID: port1, NetworkID: netA, AdminUp: true})
	b.plug(port1)
	a := b.agent()
	err := a.Prepare(b.Context(), s, true)
	got, werr := a.Wire(b.Context(), s, "")
	b.check(werr)
	if err != nil {
		if !strings.Contains(got[port1], "module 8021q") {
			t.Errorf("reasons %v for %v", got, err)
		}
		return
	}
	if rest := b.remaining(s); rest != "" || got[port1] != "" {
		t.Errorf("reasons %v, remaining %s", got, rest)
	}
}

func TestStrangersAreLeftAlone(t *testing.T) {
	b := newBench(t)
	_, err := b.h.Create("brqcccccccc-cc", link.Bridge{})
	b.check(err)
	nova, err := b.h.Create("tap33333333-33", link.Veth{Peer: "nova"}, link.Up(true))
	b.check(err)
	before := b.indexes()
	a := b.agent()
	b.converge(a, state(nil))
	if d := cmp.Diff(fmt.Sprint(before), fmt.Sprint(b.indexes())); d != "" {
		t.Errorf("changed:\n%s", d)
	}
	// A bridge of ours on which a stranger sits waits for it.
	b.converge(a, state([]host.Network{vxlanNet(netA, 10)}))
	br := b.indexes()[host.BridgeName(netA)]
	eth9, err := b.h.Create("eth9", link.Veth{Peer: "eth10"}, link.Master(br.Index))
	b.check(err)
	b.converge(a, state(nil))
	if _, ok := b.indexes()[br.Name]; !ok {
		t.Error("the bridge went while a stranger was on it")
	}
	if !a.Concerns(link.Event{Name: "eth9", Deleted: true}) {
		t.Error("that the stranger leaves is no news")
	}
	b.check(b.h.Delete(eth9.Index))
	b.converge(a, state(nil))
	if _, ok := b.indexes()[br.Name]; ok {
		t.Error("the bridge stays when all have left")
	}
	if l := b.indexes()[nova.Name]; !l.Up {
		t.Error("a tap of no port was taken down")
	}
}

// TestConcerns replays what a pass leaves behind: none of it is news.
func TestConcerns(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	events, err := b.h.Watch(ctx)
	b.check(err)
	s := state([]host.Network{vxlanNet(netA, 10)}, host.Port{ID: port1, NetworkID: netA, AdminUp: true})
	b.plug(port1)
	a := b.agent()
	b.converge(a, s)
	mark, err := b.h.Create("zz-end", link.Bridge{})
	b.check(err)
	last := map[string]link.Event{}
	for e := range events {
		if last[e.Name] = e; e.Index == mark.Index {
			cancel()
		}
	}
	for _, e := range last {
		if a.Concerns(e) {
			t.Errorf("news: %+v", e)
		}
	}
	for _, name := range []string{"tap11111111-11", "vxlan-10", host.BridgeName(netA)} {
		gone, changed := last[name], last[name]
		gone.Deleted, changed.MTU = true, 999
		if !a.Concerns(gone) || !a.Concerns(changed) {
			t.Errorf("what happens to %s is no news", name)
		}
	}
}

// TestRandomWalk goes from state to state, with taps coming and going, and
// sometimes a new agent or an agent killed midway.
func TestRandomWalk(t *testing.T) {
	b := newBench(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	plugged := map[string]bool{}
	a := b.agent()
	for step := range 60 {
		s := randomState(rnd)
		for i := range 6 {
			if id := walkPort(i); rnd.IntN(3) == 0 {
				if plugged[id] {
					b.unplug(id)
				} else {
					b.plug(id)
				}
				plugged[id] = !plugged[id]
			}
		}
		if rnd.IntN(3) == 0 {
			b.halfway(a, randomState(rnd), rnd.IntN(8))
			a = b.agent()
		}
		reasons := b.converge(a, s)
		if rest := b.remaining(s); rest != "" {
			t.Fatalf("step %d is not where it should be; remaining:\n%s", step, rest)
		}
		b.verify(step, s, plugged, reasons)
	}
	b.check(a.Cleanup(b.Context(), ""))
	for name, l := range b.indexes() {
		if mark.Of("", l.Alias) && name != "lo" {
			t.Errorf("left behind: %s", name)
		}
	}
}

func walkPort(i int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", i) }

// randomState is some of four networks, with some of six ports.
func randomState(rnd *rand.Rand) *host.State {
	s := &host.State{Host: "h1"}
	peers := []host.Peer{{VTEP: there, Entries: []host.PeerEntry{{MAC: mac1}}}, {VTEP: other}}
	all := []host.Network{vxlanNet(netA, 10), vxlanNet(netB, 25), flatNet("cccccccc-cc00-4000-8000-000000000000"),
		{ID: "eeeeeeee-ee00-4000-8000-000000000000", MTU: 1300, Segment: host.Segment{Type: weft.TypeLocal}}}
	if rnd.IntN(4) == 0 {
		all[0].Segment.ID, all[1].Segment.ID = 25, 10
	}
	for _, n := range all {
		if rnd.IntN(3) > 0 {
			n.Peers = peers[rnd.IntN(3):]
			s.Networks = append(s.Networks, n)
		}
	}
	for i := range 6 {
		if len(s.Networks) > 0 && rnd.IntN(3) > 0 {
			n := s.Networks[rnd.IntN(len(s.Networks))]
			s.Ports = append(s.Ports, host.Port{ID: walkPort(i), NetworkID: n.ID, AdminUp: rnd.IntN(4) > 0})
		}
	}
	return s
}

// halfway does the first few operations towards a state and stops, as a process
// that is killed.
func (b *bench) halfway(a *Agent, s *host.State, n int) {
	o, err := observe(b.h, &a.cfg, s, nil)
	b.check(err)
	ops, _ := planNetworks(&a.cfg, s, o)
	k := &kernel{b.h, map[string]int{}}
	for _, op := range ops[:min(n, len(ops))] {
		b.check(op.run(k))
	}
}

// verify checks the host against the state without the planner's help.
func (b *bench) verify(step int, s *host.State, plugged map[string]bool, reasons map[string]string) {
	b.Helper()
	have := b.indexes()
	want := map[string]string{"eth1": "", "wire": "", "lo": ""} // interface -> bridge
	for id, on := range plugged {
		if on {
			want[host.TapName(id)], want["vm-"+id[:8]] = "", ""
		}
	}
	for _, n := range s.Networks {
		br := host.BridgeName(n.ID)
		want[br] = ""
		switch n.Segment.Type {
		case weft.TypeVXLAN:
			want[vxlanName(n.Segment.ID)] = br
		case weft.TypeFlat:
			want["eth1"] = br
		}
	}
	for _, p := range s.Ports {
		if p.AdminUp && plugged[p.ID] {
			want[host.TapName(p.ID)] = host.BridgeName(p.NetworkID)
		}
		if up := reasons[p.ID] == ""; up != (p.AdminUp && plugged[p.ID]) {
			b.Errorf("step %d: port %s: %q", step, p.ID, reasons[p.ID])
		}
	}
	known := map[string]bool{}
	for _, p := range s.Ports {
		known[host.TapName(p.ID)] = true
	}
	got := map[string]string{}
	for name, l := range have {
		got[name] = ""
		for _, m := range have {
			if l.Master == m.Index {
				got[name] = m.Name
			}
		}
		// What an agent before this one has put on a bridge stays there, down.
		if on := got[name]; isTap(l) && !known[name] && on != "" && !l.Up {
			want[name] = on
			if _, ok := want[on]; !ok {
				want[on] = ""
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		b.Fatalf("step %d: interfaces and their bridges (-want +got):\n%s", step, d)
	}
	at := "eth1"
	if want["eth1"] != "" {
		at = want["eth1"]
	}
	if where := b.where(hostAddr); !slices.Equal(where, []string{at}) {
		b.Errorf("step %d: the host's address is on %v, want %s", step, where, at)
	}
	routes := must(b, b.h.Routes, have[at].Index)
	if !slices.ContainsFunc(routes, func(r link.Route) bool { return r.Via == hostRoute.Via }) {
		b.Errorf("step %d: no default route by %s: %v", step, at, routes)
	}
}

func TestCancelled(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	if err := b.agent().Prepare(ctx, state([]host.Network{vxlanNet(netA, 10)}), true); !errors.Is(err, context.Canceled) {
		t.Errorf("Prepare = %v", err)
	}
	if len(b.indexes()) != 3 {
		t.Error("something was made")
	}
}
