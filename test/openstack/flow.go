package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// step is one of the published way from a request for a server to a machine, and what
// is to be seen of it: words of one line in a log, or a query that finds a row.
type step struct {
	what  string
	log   string
	words []string
	row   string
}

// flow follows one server on Nova's fake driver, which makes no interface: the test
// makes it as a hypervisor would.
func flow(ctx context.Context, t *trial) error {
	c, err := t.cloud(ctx)
	if err != nil {
		return err
	}
	id, request, err := t.boot(ctx, c, "flow", map[string]any{"uuid": c.private})
	if err != nil {
		return err
	}
	d, err := t.becomes(ctx, id, "ACTIVE", time.Minute)
	if err != nil {
		return err
	}
	t.saw("ACTIVE on %s at %v", d.Host, d.addresses("fixed"))
	p, err := t.theirPort(ctx, id)
	if err != nil {
		return err
	}
	if p.HostID != hostName || p.VIFType != "bridge" {
		return fmt.Errorf("the port is bound to %q as %q", p.HostID, p.VIFType)
	}
	if err := t.plugged(ctx, p); err != nil {
		return err
	}
	if err := t.steps(ctx, publishedSteps(id, request, p)); err != nil {
		t.wrong("%w", err)
	}
	if err := t.floated(ctx, c, id, p); err != nil {
		return err
	}
	return t.vanishes(ctx, id, p)
}

// plugged makes the tap of a port; then the port is to become ACTIVE, and Nova to be
// told.
func (t *trial) plugged(ctx context.Context, p portDoc) error {
	if err := ip(ctx, "tuntap", "add", p.tap(), "mode", "tap"); err != nil {
		return err
	}
	t.later(func(ctx context.Context) error { return unplugged(ctx, p) })
	brq := "brq" + p.NetworkID[:11]
	for _, args := range [][]string{{"link", "set", p.tap(), "address", p.MAC, "up"}, {"link", "set", p.tap(), "master", brq}} {
		if err := ip(ctx, args...); err != nil {
			return err
		}
	}
	if err := t.portBecomes(ctx, p.ID, "ACTIVE"); err != nil {
		return err
	}
	t.saw("port %s is ACTIVE", p.ID)
	return nil
}

// unplugged takes the tap away, if it is there, as a hypervisor does.
func unplugged(ctx context.Context, p portDoc) error {
	if _, err := net.InterfaceByName(p.tap()); err != nil {
		return nil
	}
	return ip(ctx, "link", "delete", p.tap())
}

func (s *stack) portBecomes(ctx context.Context, id, status string) error {
	return eventually(ctx, 30*time.Second, func(ctx context.Context) (bool, error) {
		p, err := get[portDoc](ctx, s.admin, "ports", "port", id)
		return p.Status == status, err
	})
}

func ip(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func publishedSteps(id, request string, p portDoc) []step {
	return []step{
		{what: "1-2 the client gets a token of Keystone", log: "keystone", words: []string{"POST /v3/auth/tokens"}},
		{what: "3 nova-api takes the request", log: "nova-api", words: []string{request, `"POST /v2.1/servers`, "status: 202"}},
		{what: "4-5 nova-api has Keystone validate the token", log: "keystone", words: []string{"GET /v3/auth/tokens"}},
		{what: "6 the server is in the database", row: "select uuid from nova.instances where uuid='" + id + "'"},
		{what: "7-8 nova-scheduler takes the request from the queue", log: "nova-scheduler", words: []string{request}},
		{what: "9 the scheduler asks Placement what can have the server", log: "placement",
			words: []string{"GET /allocation_candidates"}},
		{what: "10 Placement has the server's allocation",
			row: "select consumer_id from placement.allocations where consumer_id='" + id + "'"},
		{what: "11-12 nova-compute takes the server from the queue", log: "nova-compute", words: []string{request, id}},
		{what: "13-17 nova-conductor serves the request", log: "nova-conductor", words: []string{request}},
		{what: "18-20 Glance is asked for the image", log: "glance", words: []string{"GET /v2/images/"}},
		{what: "21 nova-compute has a port made", log: "nova-compute", words: []string{request, "Successfully created port", p.ID}},
		{what: "22 weft has Keystone validate the token, and makes it", log: "weft",
			words: []string{"method=POST", "path=/v2.0/ports ", "status=201", request}},
		{what: "23-25 Nova knows the port's address",
			row: "select network_info from nova.instance_info_caches where instance_uuid='" + id +
				"' and network_info like '%" + p.ID + "%' and network_info like '%" + p.FixedIPs[0].IPAddress + "%'"},
		{what: "26-28 the hypervisor is given the server", row: "select power_state from nova.instances where uuid='" + id +
			"' and power_state=1 and vm_state='active'"},
		{what: "29 weft tells Nova that the port is plugged", log: "nova-api", words: []string{"network-vif-plugged", p.ID}},
	}
}

// steps looks for each of them.
func (t *trial) steps(ctx context.Context, all []step) error {
	var failed []error
	for _, st := range all {
		err := eventually(ctx, 20*time.Second, func(ctx context.Context) (bool, error) {
			if st.row != "" {
				out, err := t.sql(ctx, st.row)
				return out != "", err
			}
			return t.logged(st.log, st.words...), nil
		})
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: not seen in %s%s", st.what, st.log, st.row))
			continue
		}
		t.saw("%s", st.what)
	}
	return errors.Join(failed...)
}

// logged is whether a line of a service's log has all of the words.
func (s *stack) logged(name string, words ...string) bool {
	data, err := os.ReadFile(s.log(name))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return true
		}
	}
	return false
}

// floated gives the server a floating IP and takes it away: Nova is to show both soon.
func (t *trial) floated(ctx context.Context, c cloud, id string, p portDoc) error {
	began := time.Now()
	address, err := t.float(ctx, c, p.ID)
	if err != nil {
		return err
	}
	if err := t.shows(ctx, id, address, true); err != nil {
		return err
	}
	t.saw("the server shows floating IP %s after %.1f s", address, time.Since(began).Seconds())
	ips, err := list[named](ctx, t.demo, "floatingips", "port_id="+p.ID)
	if err != nil {
		return err
	}
	began = time.Now()
	for _, f := range ips {
		if err := remove(ctx, t.demo, "floatingips", f.ID); err != nil {
			return err
		}
	}
	if err := t.shows(ctx, id, address, false); err != nil {
		return err
	}
	t.saw("and no longer %.1f s after it went", time.Since(began).Seconds())
	return nil
}

// shows waits until Nova shows an address of a server, or does not. Nova looks itself
// once a minute, so that what takes longer than half of that came of no event.
func (s *stack) shows(ctx context.Context, id, address string, want bool) error {
	err := eventually(ctx, 20*time.Second, func(ctx context.Context) (bool, error) {
		d, err := s.server(ctx, id)
		return slices.Contains(d.addresses("floating"), address) == want, err
	})
	if err != nil {
		return fmt.Errorf("floating IP %s on the server, want %t: %w", address, want, err)
	}
	return nil
}

// vanishes deletes a server, of which nothing is to be left.
func (t *trial) vanishes(ctx context.Context, id string, p portDoc) error {
	if err := t.deleteServer(ctx, id); err != nil {
		return err
	}
	if err := unplugged(ctx, p); err != nil {
		return err
	}
	if err := t.leftNothing(ctx, p); err != nil {
		return err
	}
	out, err := t.sql(ctx, "select consumer_id from placement.allocations where consumer_id='"+id+"'")
	if err == nil && out != "" {
		err = errors.New("an allocation of the deleted server stays in Placement")
	}
	if err == nil {
		t.saw("deleted: no port, no interface, no nft element, no allocation is left")
	}
	return err
}

// leftNothing waits until nothing of a port is left at weft and on the host.
func (s *stack) leftNothing(ctx context.Context, p portDoc) error {
	var left string
	err := eventually(ctx, 30*time.Second, func(ctx context.Context) (bool, error) {
		if _, err := get[portDoc](ctx, s.admin, "ports", "port", p.ID); !refused(err, 404) {
			left = "the port"
			return false, err
		}
		links, err := exec.CommandContext(ctx, "ip", "-o", "link").Output()
		if err != nil {
			return false, err
		}
		rules, err := exec.CommandContext(ctx, "nft", "list", "ruleset").Output()
		if err != nil {
			return false, err
		}
		left = ""
		for what, where := range map[string]string{"interface": string(links), "nft ruleset": string(rules)} {
			for line := range strings.Lines(where) {
				if strings.Contains(line, p.ID[:11]) || strings.Contains(line, p.MAC) {
					left += what + ": " + line
				}
			}
		}
		return left == "", nil
	})
	if err != nil {
		return fmt.Errorf("left of port %s: %s: %w", p.ID, left, err)
	}
	return nil
}
