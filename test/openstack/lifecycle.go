package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// How often what races is done.
const (
	hardReboots = 10
	hotPlugs    = 10
)

// life is a guest that much is done with.
type life struct {
	*trial
	cloud
	server  string
	port    portDoc
	address string // its floating IP
}

// lifecycle does with a guest what can be done with one on one host.
func lifecycle(ctx context.Context, t *trial) error {
	c, err := t.cloud(ctx)
	if err != nil {
		return err
	}
	l := &life{trial: t, cloud: c}
	if err := l.born(ctx); err != nil {
		return err
	}
	for _, do := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"hard reboots", l.hardReboots}, {"hot-plugs and unplugs", l.hotPlugs}, {"stop and start", l.stopStart}, {"pause", l.pause},
		{"suspend and resume", l.suspend}, {"rebuild", l.rebuild}, {"resize", l.resize}, {"shelve and unshelve", l.shelve},
	} {
		if err := do.do(ctx); err != nil {
			t.wrong("%s: %w", do.what, err)
			if err := t.acts(ctx, l.server, "reboot", map[string]string{"type": "HARD"}, "ACTIVE"); err != nil {
				return err // nothing more can be learned from it
			}
			continue
		}
		t.saw("%s: it answers at %s as before", do.what, l.address)
	}
	return t.vanishes(ctx, l.server, l.port)
}

func (l *life) born(ctx context.Context) error {
	var err error
	if l.server, _, err = l.boot(ctx, l.cloud, "life", map[string]any{"uuid": l.private}); err != nil {
		return err
	}
	if _, err := l.becomes(ctx, l.server, "ACTIVE", bootTime); err != nil {
		return err
	}
	if l.port, err = l.theirPort(ctx, l.server); err != nil {
		return err
	}
	if l.address, err = l.float(ctx, l.cloud, l.port.ID); err != nil {
		return err
	}
	return l.well(ctx)
}

// well is whether the guest is reached and knows who it is.
func (l *life) well(ctx context.Context) error {
	return l.tells(ctx, l.address, bootTime, []string{"uuid=" + l.server, "eth0=" + l.port.FixedIPs[0].IPAddress}, nil)
}

// hardReboots are followed by the next when the server is ACTIVE; the guest is heard
// after the last.
func (l *life) hardReboots(ctx context.Context) error {
	for i := range hardReboots {
		if err := l.acts(ctx, l.server, "reboot", map[string]string{"type": "HARD"}, "ACTIVE"); err != nil {
			return fmt.Errorf("the %d. of %d: %w", i+1, hardReboots, err)
		}
		if err := l.portBecomes(ctx, l.port.ID, "ACTIVE"); err != nil {
			return fmt.Errorf("the port after the %d. of %d: %w", i+1, hardReboots, err)
		}
	}
	return l.well(ctx)
}

// hotPlugs gives the running guest a port of a second network and takes it away.
func (l *life) hotPlugs(ctx context.Context) error {
	second, err := ensure(ctx, l.demo, "networks", "network", "second", map[string]any{})
	if err != nil {
		return err
	}
	if _, err := ensure(ctx, l.demo, "subnets", "subnet", "second4", map[string]any{"network_id": second, "ip_version": 4,
		"cidr": "10.1.0.0/24", "gateway_ip": nil}); err != nil {
		return err
	}
	for i := range hotPlugs {
		if err := l.hotPlug(ctx, second); err != nil {
			return fmt.Errorf("the %d. of %d: %w", i+1, hotPlugs, err)
		}
	}
	return nil
}

func (l *life) hotPlug(ctx context.Context, network string) error {
	url := novaURL + "/servers/" + l.server + "/os-interface"
	var out struct {
		InterfaceAttachment struct {
			PortID string `json:"port_id"`
		}
	}
	if err := l.demo.do(ctx, "POST", url, map[string]any{"interfaceAttachment": map[string]any{"net_id": network}},
		&out); err != nil {
		return err
	}
	id := out.InterfaceAttachment.PortID
	p, err := get[portDoc](ctx, l.admin, "ports", "port", id)
	if err != nil {
		return err
	}
	if err := l.tells(ctx, l.address, time.Minute, []string{"eth1=" + p.FixedIPs[0].IPAddress}, nil); err != nil {
		return err
	}
	if err := l.demo.do(ctx, "DELETE", url+"/"+id, nil, nil); err != nil {
		return err
	}
	if err := l.tells(ctx, l.address, time.Minute, nil, []string{"eth1="}); err != nil {
		return err
	}
	return l.leftNothing(ctx, p)
}

func (l *life) stopStart(ctx context.Context) error {
	if err := l.acts(ctx, l.server, "os-stop", nil, "SHUTOFF"); err != nil {
		return err
	}
	if err := l.acts(ctx, l.server, "os-start", nil, "ACTIVE"); err != nil {
		return err
	}
	return l.well(ctx)
}

func (l *life) pause(ctx context.Context) error {
	if err := l.acts(ctx, l.server, "pause", nil, "PAUSED"); err != nil {
		return err
	}
	if err := l.acts(ctx, l.server, "unpause", nil, "ACTIVE"); err != nil {
		return err
	}
	return l.well(ctx)
}

func (l *life) suspend(ctx context.Context) error {
	before := uptime(page(ctx, l.address))
	if err := l.acts(ctx, l.server, "suspend", nil, "SUSPENDED"); err != nil {
		return err
	}
	if err := l.acts(ctx, l.server, "resume", nil, "ACTIVE"); err != nil {
		return err
	}
	if err := l.well(ctx); err != nil {
		return err
	}
	if after := uptime(page(ctx, l.address)); after < before {
		return fmt.Errorf("it was up for %d s, and is for %d s: it has booted", before, after)
	}
	return nil
}

// uptime is for how many seconds a guest has been up, as its page tells.
func uptime(page string) int {
	_, up, _ := strings.Cut(page, "up=")
	seconds, err := strconv.Atoi(strings.TrimSpace(up))
	if err != nil {
		return 0
	}
	return seconds
}

func (l *life) rebuild(ctx context.Context) error {
	if err := l.acts(ctx, l.server, "rebuild", map[string]any{"imageRef": l.image}, "ACTIVE"); err != nil {
		return err
	}
	return l.well(ctx)
}

func (l *life) resize(ctx context.Context) error {
	if err := l.acts(ctx, l.server, "resize", map[string]any{"flavorRef": l.larger}, "VERIFY_RESIZE"); err != nil {
		return err
	}
	if err := l.well(ctx); err != nil {
		return err
	}
	if err := l.acts(ctx, l.server, "confirmResize", nil, "ACTIVE"); err != nil {
		return err
	}
	return l.well(ctx)
}

func (l *life) shelve(ctx context.Context) error {
	if err := l.acts(ctx, l.server, "shelve", nil, "SHELVED_OFFLOADED"); err != nil {
		return err
	}
	if err := l.acts(ctx, l.server, "unshelve", nil, "ACTIVE"); err != nil {
		return err
	}
	return l.well(ctx)
}
