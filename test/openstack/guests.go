package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// bootTime is how long a guest may take to be seen from outside: it has no real
// processor, and shares what there is with others.
const bootTime = 5 * time.Minute

// guests boots many, some side by side.
func guests(ctx context.Context, t *trial) error {
	c, err := t.cloud(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var active, pinged []time.Duration
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, t.atOnce))
	for i := range t.boots {
		group.Go(func() error {
			one := &trial{stack: t.stack, began: t.began}
			a, p, err := one.guest(ctx, c, fmt.Sprintf("guest%d", i+1))
			if clean := one.clean(ctx); err == nil {
				err = clean
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.wrong("guest%d: %w", i+1, err)
				return nil
			}
			active, pinged = append(active, a), append(pinged, p)
			return nil
		})
	}
	group.Wait()
	t.saw("%d of %d guests booted; ACTIVE after %.1f s, ping after %.1f s (medians)", len(active), t.boots,
		median(active).Seconds(), median(pinged).Seconds())
	return nil
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// guest boots one, proves it, and deletes it; it is how long it took to become ACTIVE
// and to answer ping.
func (t *trial) guest(ctx context.Context, c cloud, name string) (active, pinged time.Duration, err error) {
	began := time.Now()
	id, _, err := t.boot(ctx, c, name, map[string]any{"uuid": c.private})
	if err != nil {
		return 0, 0, err
	}
	if _, err := t.becomes(ctx, id, "ACTIVE", bootTime); err != nil {
		return 0, 0, err
	}
	active = time.Since(began)
	p, err := t.theirPort(ctx, id)
	if err != nil {
		return 0, 0, err
	}
	address, err := t.float(ctx, c, p.ID)
	if err != nil {
		return 0, 0, err
	}
	if err := t.pings(ctx, address, bootTime); err != nil {
		return 0, 0, fmt.Errorf("%w; its console:\n%s", err, t.console(ctx, id))
	}
	pinged = time.Since(began)
	want := []string{"uuid=" + id, "eth0=" + p.FixedIPs[0].IPAddress}
	if err := t.tells(ctx, address, bootTime, want, nil); err != nil {
		return 0, 0, fmt.Errorf("%w; its console:\n%s", err, t.console(ctx, id))
	}
	t.saw("%s: ACTIVE %.1f s, ping %.1f s, HTTP at %s tells %s", name, active.Seconds(), pinged.Seconds(), address,
		strings.Join(want, " "))
	if err := t.deleteServer(ctx, id); err != nil {
		return 0, 0, err
	}
	return active, pinged, t.leftNothing(ctx, p)
}

// outsider is a program that somebody outside runs.
func outsider(ctx context.Context, program string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "nsenter", append([]string{"--net=/run/netns/outside", program},
		args...)...).CombinedOutput()
	return string(out), err
}

// pings waits until an address answers.
func (t *trial) pings(ctx context.Context, address string, within time.Duration) error {
	err := eventually(ctx, within, func(ctx context.Context) (bool, error) {
		_, err := outsider(ctx, "ping", "-c", "1", "-W", "1", address)
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("no ping from %s: %w", address, err)
	}
	return nil
}

// page is what a guest tells about itself.
func page(ctx context.Context, address string) string {
	out, err := outsider(ctx, "curl", "-s", "-m", "3", "http://"+address+"/")
	if err != nil {
		return ""
	}
	return out
}

// tells waits until the guest at an address tells all of some lines and none of
// others, by what they begin with.
func (t *trial) tells(ctx context.Context, address string, within time.Duration, want, not []string) error {
	var said string
	err := eventually(ctx, within, func(ctx context.Context) (bool, error) {
		said = page(ctx, address)
		lines := strings.Split(strings.TrimSpace(said), "\n")
		has := func(prefix string) bool {
			return slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) })
		}
		lacks := func(prefix string) bool { return !has(prefix) }
		return said != "" && !slices.ContainsFunc(want, lacks) && !slices.ContainsFunc(not, has), nil
	})
	if err != nil {
		return fmt.Errorf("the guest at %s tells %q, want %q and not %q: %w", address, said, want, not, err)
	}
	return nil
}
