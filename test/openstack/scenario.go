package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// scenario is something that users of the stack do, and what must then be seen.
type scenario struct {
	name   string
	proves string
	driver string // of nova-compute; "" is whichever is there
	most   time.Duration
	apart  bool // only played when asked for by name
	play   func(ctx context.Context, t *trial) error
}

// scenarios are all of them, in the order in which they are played: those with the
// same driver side by side, since to change it costs a start of nova-compute.
func scenarios() []scenario {
	return []scenario{
		{name: "flow", driver: fake, most: 5 * time.Minute, play: flow,
			proves: "a server comes to be by the published steps, each seen in a log or a table, and goes without a trace"},
		{name: "away", driver: fake, most: 10 * time.Minute, play: novaAway,
			proves: "Nova is told, when it is back, of all that changed while it was away"},
		{name: "bandwidth", driver: fake, most: 10 * time.Minute, play: bandwidth,
			proves: "Placement counts what ports are guaranteed: a server that does not fit is refused by the scheduler"},
		{name: "guests", driver: libvirt, most: 40 * time.Minute, play: guests,
			proves: "every QEMU guest boots, has its address by DHCP and its metadata by Nova, " +
				"and answers ping and HTTP at its floating IP"},
		{name: "lifecycle", driver: libvirt, most: 40 * time.Minute, play: lifecycle,
			proves: "a guest keeps its network through reboots, hot-plugs, pause, suspension, rebuild, resize and shelving"},
		{name: "killed", driver: libvirt, most: 30 * time.Minute, play: weftKilled,
			proves: "no boot fails for lack of an event although weft is killed again and again"},
		{name: "heat", most: 15 * time.Minute, play: heat,
			proves: "stacks of every type of OS::Neutron that Heat and weft both have are created, checked, updated and deleted"},
		{name: "horizon", most: 20 * time.Minute, play: horizon,
			proves: "every panel and form of Horizon about networks opens in a browser without an error"},
		{name: "measure", driver: libvirt, most: time.Hour, play: measure, apart: true,
			proves: "what a boot takes, and what the network service uses for it, to be compared with -network neutron"},
	}
}

// trial is one playing of a scenario.
type trial struct {
	*stack
	began   time.Time
	cleanup []func(context.Context) error
	failed  []error
}

// saw notes what was proven.
func (t *trial) saw(format string, args ...any) {
	fmt.Printf("     %6.1f s  %s\n", time.Since(t.began).Seconds(), fmt.Sprintf(format, args...))
}

// wrong notes what went wrong without ending the scenario.
func (t *trial) wrong(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	t.saw("WRONG: %v", err)
	t.failed = append(t.failed, err)
}

// later does something when the scenario has ended, the last first.
func (t *trial) later(do func(context.Context) error) { t.cleanup = append(t.cleanup, do) }

// clean undoes what the scenario made.
func (t *trial) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Minute)
	defer cancel()
	var all []error
	for _, do := range slices.Backward(t.cleanup) {
		all = append(all, do(ctx))
	}
	return errors.Join(all...)
}

// result is how a scenario ended.
type result struct {
	scenario
	err  error
	took time.Duration
}

// playAll plays the scenarios that were asked for and prints a report.
func (s *stack) playAll(ctx context.Context) error {
	var results []result
	for _, sc := range scenarios() {
		if len(s.only) > 0 && !slices.Contains(s.only, sc.name) || len(s.only) == 0 && sc.apart {
			continue
		}
		results = append(results, s.playOne(ctx, sc))
		if ctx.Err() != nil {
			break
		}
	}
	return report(results)
}

func (s *stack) playOne(ctx context.Context, sc scenario) result {
	fmt.Printf("---- %s: %s\n", sc.name, sc.proves)
	t := &trial{stack: s, began: time.Now()}
	within, cancel := context.WithTimeoutCause(ctx, sc.most, fmt.Errorf("not done within %v", sc.most))
	defer cancel()
	err := s.use(within, sc.driver)
	if err == nil {
		err = sc.play(within, t)
	}
	err = errors.Join(append(t.failed, err)...)
	if clean := t.clean(ctx); clean != nil {
		err = errors.Join(err, fmt.Errorf("cleaning up: %w", clean))
	}
	r := result{sc, err, time.Since(t.began)}
	fmt.Println(r)
	return r
}

func (r result) String() string {
	if r.err != nil {
		return fmt.Sprintf("FAIL %-10s %6.1f s  %v", r.name, r.took.Seconds(), r.err)
	}
	return fmt.Sprintf("PASS %-10s %6.1f s", r.name, r.took.Seconds())
}

func report(results []result) error {
	fmt.Println("---- report")
	failed := 0
	for _, r := range results {
		fmt.Println(r)
		if r.err != nil {
			failed++
		}
	}
	fmt.Printf("%d passed, %d failed\n", len(results)-failed, failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d scenarios failed", failed, len(results))
	}
	if len(results) == 0 {
		return errors.New("no scenario was played")
	}
	return nil
}
