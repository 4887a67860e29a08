package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// What the interface lan0 carries, as weft.conf says, what a server wants of it, so
// that there is room for two while it is resized, and what does not fit beside it.
const (
	lanKbps     = 1000000
	wantedKbps  = 400000
	tooMuchKbps = 700000
)

// bandwidth boots servers with a port of minimum bandwidth.
func bandwidth(ctx context.Context, t *trial) error {
	c, err := t.cloud(ctx)
	if err != nil {
		return err
	}
	if err := t.provider(ctx); err != nil {
		return err
	}
	network, err := t.lan(ctx)
	if err != nil {
		return err
	}
	policy, err := t.guaranteed(ctx, wantedKbps)
	if err != nil {
		return err
	}
	first, port, err := t.wants(ctx, c, "first", network, policy)
	if err != nil {
		return err
	}
	if _, err := t.becomes(ctx, first, "ACTIVE", time.Minute); err != nil {
		return err
	}
	if err := t.allocated(ctx, first, wantedKbps); err != nil {
		return err
	}
	p, err := get[portDoc](ctx, t.admin, "ports", "port", port)
	if err != nil {
		return err
	}
	t.saw("the first is ACTIVE, Placement has its %d kbit/s, its port is bound with profile %v", wantedKbps, p.Profile)
	if err := t.tooMuch(ctx, c, network); err != nil {
		return err
	}
	if err := t.resized(ctx, c, first); err != nil {
		t.wrong("resize: %w", err)
	}
	if err := t.deleteServer(ctx, first); err != nil {
		return err
	}
	if err := t.allocated(ctx, first, 0); err != nil {
		return err
	}
	third, _, err := t.wants(ctx, c, "third", network, policy)
	if err != nil {
		return err
	}
	if _, err := t.becomes(ctx, third, "ACTIVE", time.Minute); err != nil {
		return err
	}
	t.saw("after the first is deleted its allocation is gone, and the third is ACTIVE")
	return t.allocated(ctx, third, wantedKbps)
}

// provider waits until Placement has what weft says of the host.
func (t *trial) provider(ctx context.Context) error {
	query := fmt.Sprintf("select p.name, count(*) from placement.inventories i "+
		"join placement.resource_providers p on p.id=i.resource_provider_id "+
		"where i.total=%d and p.parent_provider_id is not null group by p.name", lanKbps)
	out := ""
	err := eventually(ctx, time.Minute, func(ctx context.Context) (bool, error) {
		var err error
		out, err = t.sql(ctx, query)
		return strings.HasSuffix(out, "\t2"), err
	})
	if err != nil {
		return fmt.Errorf("inventories of lan0: %q: %w", out, err)
	}
	traits, err := t.sql(ctx, "select t.name from placement.traits t "+
		"join placement.resource_provider_traits r on r.trait_id=t.id join "+
		"placement.resource_providers p on p.id=r.resource_provider_id where p.name like '%lan0'")
	if err == nil && (!strings.Contains(traits, "CUSTOM_PHYSNET_LAN") || !strings.Contains(traits, "CUSTOM_VNIC_TYPE_NORMAL")) {
		err = fmt.Errorf("traits of lan0: %q", traits)
	}
	if err == nil {
		t.saw("Placement has provider %s with traits %s", strings.Split(out, "\t")[0], strings.Join(strings.Fields(traits), " "))
	}
	return err
}

// lan is a network on lan0.
func (t *trial) lan(ctx context.Context) (string, error) {
	network, err := ensure(ctx, t.admin, "networks", "network", "lan", map[string]any{"shared": true,
		"provider:network_type": "flat", "provider:physical_network": "lan"})
	if err != nil {
		return "", err
	}
	_, err = ensure(ctx, t.admin, "subnets", "subnet", "lan4",
		map[string]any{"network_id": network, "ip_version": 4, "cidr": "10.2.0.0/24"})
	return network, err
}

// guaranteed is a policy that guarantees bandwidth.
func (t *trial) guaranteed(ctx context.Context, kbps int) (string, error) {
	made, err := create[named](ctx, t.admin, "qos/policies", "policy",
		map[string]any{"name": fmt.Sprint("guaranteed-", kbps), "shared": true})
	if err != nil {
		return "", err
	}
	t.later(func(ctx context.Context) error { return remove(ctx, t.admin, "qos/policies", made.ID) })
	_, err = create[named](ctx, t.admin, "qos/policies/"+made.ID+"/minimum_bandwidth_rules", "minimum_bandwidth_rule",
		map[string]any{"min_kbps": kbps, "direction": "egress"})
	return made.ID, err
}

// wants asks for a server with a port that is guaranteed bandwidth.
func (t *trial) wants(ctx context.Context, c cloud, name, network, policy string) (server, port string, err error) {
	p, err := create[portDoc](ctx, t.demo, "ports", "port",
		map[string]any{"name": name, "network_id": network, "qos_policy_id": policy})
	if err != nil {
		return "", "", err
	}
	t.later(func(ctx context.Context) error { return remove(ctx, t.admin, "ports", p.ID) })
	server, _, err = t.boot(ctx, c, name, map[string]any{"port": p.ID})
	return server, p.ID, err
}

// tooMuch asks for more than is left, which the scheduler is to refuse.
func (t *trial) tooMuch(ctx context.Context, c cloud, network string) error {
	policy, err := t.guaranteed(ctx, tooMuchKbps)
	if err != nil {
		return err
	}
	second, _, err := t.wants(ctx, c, "second", network, policy)
	if err != nil {
		return err
	}
	d, err := t.becomes(ctx, second, "ERROR", time.Minute)
	if err != nil {
		return err
	}
	if !strings.Contains(d.Fault.Message, "No valid host") {
		return fmt.Errorf("the second failed with %q", d.Fault.Message)
	}
	t.saw("the second does not fit: %s", d.Fault.Message)
	return t.deleteServer(ctx, second)
}

// resized resizes a server, for which it has its bandwidth twice until it is settled.
func (t *trial) resized(ctx context.Context, c cloud, server string) error {
	if err := t.acts(ctx, server, "resize", map[string]any{"flavorRef": c.larger}, "VERIFY_RESIZE"); err != nil {
		return err
	}
	if err := t.acts(ctx, server, "revertResize", nil, "ACTIVE"); err != nil {
		return err
	}
	t.saw("resized and reverted, its allocation is as before")
	return t.allocated(ctx, server, wantedKbps)
}

// allocated waits until a server has so much bandwidth in Placement.
func (t *trial) allocated(ctx context.Context, server string, kbps int) error {
	out := ""
	err := eventually(ctx, 30*time.Second, func(ctx context.Context) (bool, error) {
		var err error
		out, err = t.sql(ctx, "select coalesce(sum(a.used),0) from placement.allocations a join placement.resource_providers p on "+
			"p.id=a.resource_provider_id where p.name like '%lan0' and a.consumer_id='"+server+"'")
		return out == fmt.Sprint(kbps), err
	})
	if err != nil {
		return fmt.Errorf("allocation of bandwidth of server %s is %s, want %d: %w", server, out, kbps, err)
	}
	return nil
}
