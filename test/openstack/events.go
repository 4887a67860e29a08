package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// What happens while Nova is away.
const (
	awayServers = 10
	awayChanges = 50
	awayFor     = time.Minute
)

// novaAway changes floating IPs of servers while nova-api is stopped; Nova is to know
// of all of them soon after it is back. It looks itself at one server a minute, so
// that what it knows of so many after seconds it was told.
func novaAway(ctx context.Context, t *trial) error {
	c, err := t.cloud(ctx)
	if err != nil {
		return err
	}
	servers := make([]string, awayServers)
	ports := make([]portDoc, awayServers)
	for i := range servers {
		if servers[i], _, err = t.boot(ctx, c, fmt.Sprintf("away%d", i), map[string]any{"uuid": c.private}); err != nil {
			return err
		}
	}
	for i, id := range servers {
		if _, err := t.becomes(ctx, id, "ACTIVE", 2*time.Minute); err != nil {
			return err
		}
		if ports[i], err = t.theirPort(ctx, id); err != nil {
			return err
		}
	}
	t.saw("%d servers are ACTIVE", len(servers))
	if err := t.stop("nova-api"); err != nil {
		return err
	}
	back := time.After(awayFor)
	last, err := t.shuffle(ctx, c, ports)
	if err == nil {
		t.saw("%d floating IPs were given to servers and taken away while nova-api was stopped", awayChanges)
		select {
		case <-back:
		case <-ctx.Done():
		}
	}
	if err := errors.Join(err, t.startNovaAPI(ctx)); err != nil {
		return err
	}
	began := time.Now()
	for i, address := range last {
		if err := t.shows(ctx, servers[i], address, true); err != nil {
			t.wrong("%w", err)
		}
	}
	t.saw("after a minute nova-api is back, and shows what each of %d servers has %.1f s later", len(last),
		time.Since(began).Seconds())
	return nil
}

// shuffle makes the changes; last is the address that each port has at the end.
func (t *trial) shuffle(ctx context.Context, c cloud, ports []portDoc) (last map[int]string, err error) {
	last = map[int]string{}
	ids := map[int]string{}
	for n := range awayChanges {
		i := n % len(ports)
		if id := ids[i]; id != "" {
			if err := remove(ctx, t.demo, "floatingips", id); err != nil {
				return nil, err
			}
		}
		if last[i], err = t.float(ctx, c, ports[i].ID); err != nil {
			return nil, err
		}
		made, err := list[named](ctx, t.demo, "floatingips", "port_id="+ports[i].ID)
		if err != nil || len(made) != 1 {
			return nil, fmt.Errorf("floating IPs of port %s: %d, %w", ports[i].ID, len(made), err)
		}
		ids[i] = made[0].ID
	}
	return last, nil
}

// kills is how often weft is killed while servers boot.
const kills = 20

// weftKilled boots guests while weft is killed again and again, and started at once as
// systemd would. Each boot waits for an event, so that one which was lost fails it.
func weftKilled(ctx context.Context, t *trial) error {
	c, err := t.cloud(ctx)
	if err != nil {
		return err
	}
	var killed atomic.Int32
	done := make(chan error, 1)
	go func() {
		var err error
		for killed.Load() < kills && err == nil && ctx.Err() == nil {
			time.Sleep(time.Duration(500+rand.IntN(5000)) * time.Millisecond)
			if err = t.kill("weft"); err == nil {
				err = t.startWeft(ctx)
			}
			killed.Add(1)
		}
		done <- err
	}()
	var booted atomic.Int32
	group, within := errgroup.WithContext(ctx)
	for worker := range max(1, t.atOnce) {
		group.Go(func() error {
			for i := 0; killed.Load() < kills && within.Err() == nil; i++ {
				one := &trial{stack: t.stack, began: t.began}
				err := one.bootsAnyway(within, c, fmt.Sprintf("killed%d-%d", worker, i))
				if err != nil {
					t.saw("WRONG: %v", err)
				}
				if err := errors.Join(err, one.clean(within)); err != nil {
					return err
				}
				booted.Add(1)
			}
			return nil
		})
	}
	if err := errors.Join(group.Wait(), <-done); err != nil {
		return err
	}
	t.saw("%d servers became ACTIVE, all that were asked for, while weft was killed %d times", booted.Load(), killed.Load())
	return nil
}

func (t *trial) bootsAnyway(ctx context.Context, c cloud, name string) error {
	began := time.Now()
	id, _, err := t.boot(ctx, c, name, map[string]any{"uuid": c.private})
	if err != nil {
		return err
	}
	if _, err := t.becomes(ctx, id, "ACTIVE", bootTime); err != nil {
		return err
	}
	t.saw("%s: ACTIVE after %.1f s", name, time.Since(began).Seconds())
	return nil
}
