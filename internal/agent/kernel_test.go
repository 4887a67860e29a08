package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/agent/l2"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// machine is a real host with an agent on it.
type machine struct {
	testing.TB
	link    *link.Handle
	l2      *l2.Agent
	states  chan *host.State
	reports chan host.Report
	stop    func()
}

func newMachine(t testing.TB) *machine {
	hosttest.Need(t)
	h, err := link.Open()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{TB: t, link: h, states: make(chan *host.State), reports: make(chan host.Report, 10)}
	log := slog.New(slog.DiscardHandler)
	m.l2 = l2.New(h, l2.Config{}, log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- New(Config{Host: "h1", Source: m, Reporter: m, Events: h.Watch, L2: m.l2, Log: log}).Run(ctx)
	}()
	m.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
	t.Cleanup(func() {
		if err := Cleanup(context.Background(), m.l2, ""); err != nil {
			t.Error(err)
		}
		h.Close()
	})
	return m
}

func (m *machine) State(ctx context.Context, after int64) (*host.State, error) {
	select {
	case s := <-m.states:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *machine) Report(_ context.Context, r host.Report) error {
	m.reports <- r
	return nil
}

func id(i int) string { return fmt.Sprintf("%08x-%02x00-4000-8000-000000000000", i, i%256) }

// crowd is a state with n ports on one network.
func crowd(n int) *host.State {
	s := &host.State{Host: "h1", Revision: 1, Networks: []host.Network{{ID: "aaaaaaaa-aa00", MTU: 1450,
		Segment: host.Segment{Type: weft.TypeVXLAN, ID: 10}}}}
	for i := range n {
		s.Ports = append(s.Ports, host.Port{ID: id(i), NetworkID: "aaaaaaaa-aa00", AdminUp: true, Revision: 1})
	}
	return s
}

func (m *machine) plug(i int) {
	m.Helper()
	_, err := m.link.Create(host.TapName(id(i)), link.Veth{Peer: fmt.Sprintf("vm%d", i)},
		link.Alias("weft:port:"+id(i)), link.MTU(1450), link.NoAutoIPv6())
	if err != nil {
		m.Fatal(err)
	}
}

// until waits for the report that says what becomes of a port.
func (m *machine) until(portID string, up bool) host.PortReport {
	m.Helper()
	for r := range m.reports {
		for _, p := range r.Ports {
			if p.ID == portID && p.Up == up {
				return p
			}
		}
	}
	return host.PortReport{}
}

func TestTapIsWiredWhenItAppears(t *testing.T) {
	m := newMachine(t)
	m.states <- crowd(3)
	if p := m.until(id(1), false); p.Reason != "device tap00000001-01 is not present on host h1" {
		t.Errorf("reason %q", p.Reason)
	}
	m.plug(1)
	m.until(id(1), true)
	tap, err := m.link.ByName(host.TapName(id(1)))
	if err != nil || tap.Master == 0 || !tap.Up {
		t.Errorf("tap %+v, %v", tap, err)
	}
	if err := m.link.Delete(tap.Index); err != nil {
		t.Fatal(err)
	}
	m.until(id(1), false)

	// Stopping leaves all as it is, and the next agent changes nothing.
	m.stop()
	before, _ := m.link.List()
	again := newMachine(t)
	again.states <- crowd(3)
	again.until(id(1), false)
	again.stop()
	after, _ := m.link.List()
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("a restart changed\n%v to\n%v", before, after)
	}
}

// TestTwoClouds puts things of another cloud, of an older weft and of nobody beside
// ours: what the agent does, a survey, adopting and cleaning up touch no others.
func TestTwoClouds(t *testing.T) {
	m := newMachine(t)
	s := crowd(1)
	s.Cloud = "ours"
	m.states <- s
	m.until(id(0), false)
	for name, alias := range map[string]string{"brqother": "weft:network:x@other", "tapother": "weft:plug:x@other",
		"brqold": "weft:network:y", "strange": "x"} {
		if _, err := m.link.Create(name, link.Bridge{}, link.Alias(alias)); err != nil {
			t.Fatal(err)
		}
	}
	for name, cloud := range map[string]string{"qdhcp-a": "ours", "qdhcp-b": "other", "qrouter-c": ""} {
		if err := netns.Ensure(name, cloud); err != nil {
			t.Fatal(err)
		}
	}
	next := *s
	next.Revision, next.Networks, next.Ports = s.Revision+1, nil, nil
	m.states <- &next
	for r := range m.reports {
		if r.Revision == next.Revision {
			break
		}
	}
	m.stop()
	survey := func(want map[string]Left) {
		t.Helper()
		got, err := Survey(m.link)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Survey (-want +got):\n%s", diff)
		}
	}
	survey(map[string]Left{
		"ours":  {Namespaces: 1},
		"other": {Interfaces: 2, Namespaces: 1, Networks: []string{"x"}},
		"":      {Interfaces: 1, Namespaces: 1, Networks: []string{"y"}},
	})
	for range 2 {
		if err := Adopt(m.link, "ours", ""); err != nil {
			t.Fatal(err)
		}
	}
	survey(map[string]Left{
		"ours":  {Interfaces: 1, Namespaces: 2, Networks: []string{"y"}},
		"other": {Interfaces: 2, Namespaces: 1, Networks: []string{"x"}},
	})
	for _, err := range []error{Cleanup(t.Context(), m.l2, "ours"), netns.Delete("qdhcp-b", "ours")} {
		if err != nil && !errors.Is(err, netns.ErrNotOurs) {
			t.Fatal(err)
		}
	}
	survey(map[string]Left{"other": {Interfaces: 2, Namespaces: 1, Networks: []string{"x"}}})
	if err := Cleanup(t.Context(), m.l2, "other"); err != nil {
		t.Fatal(err)
	}
	survey(map[string]Left{})
	l, err := m.link.ByName("strange")
	if err != nil {
		t.Fatal(err)
	}
	m.link.Delete(l.Index)
}

func TestCleanup(t *testing.T) {
	m := newMachine(t)
	m.states <- crowd(1)
	m.until(id(0), false)
	m.stop()
	m.plug(0)
	if err := netns.Ensure("qdhcp-x", ""); err != nil {
		t.Fatal(err)
	}
	if err := Cleanup(t.Context(), m.l2, ""); err != nil {
		t.Error(err)
	}
	links, _ := m.link.List()
	names, _ := netns.List("")
	if len(links) != 1 || len(names) != 0 {
		t.Errorf("left behind: %v, %v", links, names)
	}
}

// BenchmarkOneMorePort is the time from a tap's appearance to the report that its
// port is up, on a host with many.
func BenchmarkOneMorePort(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := newMachine(b)
			for i := range n - 1 {
				m.plug(i)
			}
			m.states <- crowd(n)
			<-m.reports
			last := id(n - 1)
			for b.Loop() {
				m.plug(n - 1)
				m.until(last, true)
				b.StopTimer()
				l, err := m.link.ByName(host.TapName(last))
				if err != nil {
					b.Fatal(err)
				}
				m.link.Delete(l.Index)
				m.until(last, false)
				b.StartTimer()
			}
			m.stop()
		})
	}
}

// BenchmarkNewState is the time from a State in which nothing of this host has
// changed to the report of its revision.
func BenchmarkNewState(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := newMachine(b)
			for i := range n {
				m.plug(i)
			}
			s := crowd(n)
			m.states <- s
			<-m.reports
			for b.Loop() {
				next := *s
				next.Revision++
				s = &next
				m.states <- s
				for r := range m.reports {
					if r.Revision == s.Revision {
						break
					}
				}
			}
			m.stop()
		})
	}
}
