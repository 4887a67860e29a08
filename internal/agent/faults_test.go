package agent

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// noted is faults with a clock, and what they have logged since it was asked last.
type noted struct {
	*faults
	clock time.Time
	out   bytes.Buffer
}

func newNoted() *noted {
	n := &noted{clock: time.Unix(1e9, 0)}
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "since" {
			return slog.Attr{}
		}
		return a
	}
	n.faults = newFaults(slog.New(slog.NewTextHandler(&n.out, &slog.HandlerOptions{ReplaceAttr: drop})))
	n.now = func() time.Time { return n.clock }
	return n
}

func (n *noted) lines() []string {
	defer n.out.Reset()
	return strings.FieldsFunc(n.out.String(), func(r rune) bool { return r == '\n' })
}

func TestStandingFaultIsToldRarely(t *testing.T) {
	n := newNoted()
	a, b := errors.New("a"), errors.New("b")
	total := 0
	for i := range 24 * 60 * 4 { // a day of attempts every 15 seconds
		n.note("networks", errors.Join(a, fmt.Errorf("net: %w", b)), true)
		if i%2 == 0 { // in another order, and twice
			n.note("networks", errors.Join(fmt.Errorf("net: %w", b), errors.Join(a, a)), true)
		}
		n.clock = n.clock.Add(15 * time.Second)
		got := n.lines()
		total += len(got)
		if i == 0 && (len(got) != 1 || got[0] != `level=ERROR msg="part of the host is not as it should be" part=networks faults=2 error="a; net: b"`) {
			t.Fatalf("at first: %q", got)
		}
	}
	if total < 10 || total > 40 {
		t.Errorf("a fault that stood for a day was logged %d times", total)
	}
	n.note("networks", a, true)
	if got := n.lines(); len(got) == 0 || !strings.Contains(got[len(got)-1], `again" part=networks was="net: b"`) {
		t.Errorf("when one of two is over: %q", got)
	}
	n.note("networks", nil, true)
	if got := n.lines(); len(got) != 1 || !strings.Contains(got[0],
		`"part of the host is as it should be again" part=networks after=24h`) {
		t.Errorf("when it is over: %q", got)
	}
	n.note("networks", nil, true)
	n.note("networks", nil, false)
	if got := n.lines(); len(got) != 0 || len(n.parts) != 0 {
		t.Errorf("when all is right: %q", got)
	}
}

func TestFaultsOfABit(t *testing.T) {
	n := newNoted()
	n.note("ports", errors.New("one"), true)
	n.note("ports", errors.New("two"), false)
	n.note("ports", nil, false)
	if got := n.lines(); len(got) != 2 || !strings.Contains(got[1], "faults=2 error=two") {
		t.Errorf("%q", got)
	}
	n.clock = n.clock.Add(2 * firstReminder)
	n.note("ports", nil, false)
	if got := n.lines(); len(got) != 0 {
		t.Errorf("a bit that is right reminds of %q", got)
	}
	n.clock = n.clock.Add(-2 * firstReminder)
	n.note("ports", errors.Join(errors.New("one"), errors.New("two")), true)
	if got := n.lines(); len(got) != 0 {
		t.Errorf("the whole says nothing new: %q", got)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	n := newNoted()
	for i := range 10 {
		var errs []error
		for j := range 1000 {
			errs = append(errs, fmt.Errorf("port %d", i*1000+j))
		}
		n.note("ports", errors.Join(errs...), i%2 == 0)
	}
	if k := len(n.parts["ports"].known); k > remembered {
		t.Errorf("%d faults are remembered", k)
	}
	for _, line := range n.lines() {
		if len(line) > 400 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
}
