package main

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/store"
)

// heartbeat keeps the agents of this host listed as alive: operators and Nova look
// at that list. Neutron has a process for each of them; here they are parts of one.
type heartbeat struct {
	log     *slog.Logger
	db      *store.DB
	cfg     config.Config
	agents  bool                          // this host has them
	place   func(*store.Tx) error         // gives routers without a host one; for when an agent has come up
	watch   func(*store.Tx) error         // moves what dead agents leave behind
	rebind  func(*store.Tx, string) error // tries bindings again that failed for want of an agent
	offer   map[string]any                // what of this host Placement may give away, as its agent reports it
	started string
	trimmed time.Time
	known   string // started, once the server has reacted to it
}

// period is how often the heartbeat is written; agentDownTime allows for two to be
// missed.
const period = 30 * time.Second

func (h *heartbeat) run(ctx context.Context) error {
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(trimLook):
		}
		if time.Since(last) >= period {
			last = time.Now()
			if err := h.beat(ctx); err != nil && ctx.Err() == nil {
				h.log.Warn("heartbeat", "error", err)
			}
		}
		if err := h.trim(ctx); err != nil && ctx.Err() == nil {
			h.log.Warn("trimming the change log", "error", err)
		}
	}
}

// How often what is too old or too much of the change log is removed, and how often it
// is looked at whether it has grown by so much that this cannot wait.
const (
	trimEvery = time.Hour
	trimLook  = 5 * time.Second
)

func (h *heartbeat) trim(ctx context.Context) error {
	if time.Since(h.trimmed) < trimEvery && h.db.LogGrown() < h.cfg.LogBytes/16 {
		return nil
	}
	h.trimmed = time.Now()
	gone, err := h.db.TrimChanges(ctx, store.Keep{Age: h.cfg.LogAge, Bytes: h.cfg.LogBytes, Unread: h.cfg.LogUnread})
	if gone.Entries > 0 {
		h.log.Info("trimmed the change log", "entries", gone.Entries, "bytes", gone.Bytes, "left", h.db.LogBytes())
	}
	return err
}

// beat registers the agents, or renews them.
func (h *heartbeat) beat(ctx context.Context) error {
	return h.db.Update(ctx, weft.SystemCaller("heartbeat"), func(tx *store.Tx) error {
		if !h.agents {
			return h.watch(tx)
		}
		up := h.started != h.known
		for _, want := range h.own() {
			back, err := h.renew(tx, want)
			if err != nil {
				return err
			}
			up = up || back
		}
		if up {
			if err := h.rebind(tx, h.cfg.Host); err != nil {
				return err
			}
			if err := h.place(tx); err != nil {
				return err
			}
			h.known = h.started
		}
		return h.watch(tx)
	})
}

// renew reports whether the agent is new or was dead.
func (h *heartbeat) renew(tx *store.Tx, want weft.Agent) (up bool, err error) {
	now := tx.Now().Format(time.DateTime)
	if h.started == "" {
		h.started = now
	}
	have, err := store.Agents.First(tx, store.Eq("agent_type", want.AgentType), store.Eq("host", h.cfg.Host))
	if err != nil {
		return false, err
	}
	want.Host, want.StartedAt, want.Heartbeat = h.cfg.Host, h.started, now
	if have == nil {
		want.ID = uuid.NewSHA1(uuid.NameSpaceDNS, []byte(h.cfg.Host+"/"+want.AgentType)).String()
		want.AdminStateUp = true
		want.Created = now
		return true, store.Agents.Insert(tx, &want)
	}
	last, err := time.Parse(time.DateTime, have.Heartbeat)
	up = err != nil || tx.Now().Sub(last) >= h.cfg.AgentDownTime
	begins := have.StartedAt != want.StartedAt || differ(have.Configurations, want.Configurations)
	have.StartedAt, have.Heartbeat, have.Configurations = want.StartedAt, want.Heartbeat, want.Configurations
	have.AvailabilityZone = want.AvailabilityZone
	if begins { // what it reports may be something else, which others want to know
		return up, store.Agents.Update(tx, have)
	}
	return up, store.Agents.Rewrite(tx, have)
}

// differ reports whether two configurations are not the same once they are stored.
func differ(a, b map[string]any) bool {
	x, errX := store.Encode(a)
	y, errY := store.Encode(b)
	return errX != nil || errY != nil || !bytes.Equal(x, y)
}

// own are the agents that this process is.
func (h *heartbeat) own() []weft.Agent {
	mappings, vtep := map[string]any{}, ""
	if ip := h.cfg.VXLAN.LocalIP; ip.IsValid() {
		vtep = ip.String()
	}
	for name, dev := range h.cfg.Physnets {
		mappings[name] = dev
	}
	zoned := func(a weft.Agent) weft.Agent {
		a.AvailabilityZone = weft.ID(h.cfg.AvailabilityZone)
		return a
	}
	bridge := map[string]any{"interface_mappings": mappings, "bridge_mappings": map[string]any{},
		"tunnel_types": []any{"vxlan"}, "tunneling_ip": vtep, "l2_population": true}
	maps.Copy(bridge, h.offer)
	return []weft.Agent{
		{AgentType: weft.AgentLinuxBridge, Binary: "neutron-linuxbridge-agent", Topic: "N/A", Configurations: bridge},
		zoned(weft.Agent{AgentType: weft.AgentDHCP, Binary: "neutron-dhcp-agent", Topic: "dhcp_agent", Configurations: map[string]any{"dhcp_driver": "weft"}}),
		zoned(weft.Agent{AgentType: weft.AgentL3, Binary: "neutron-l3-agent", Topic: "l3_agent", Configurations: map[string]any{"agent_mode": weft.ModeDVRSNAT, "handle_internal_only_routers": true}}),
		{AgentType: weft.AgentMetadata, Binary: "neutron-metadata-agent", Topic: "N/A", Configurations: map[string]any{}},
	}
}
