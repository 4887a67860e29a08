package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
)

// nouns reads the documents of a table.
func nouns[T any](t *testing.T, db *sql.DB, table string) []*T {
	t.Helper()
	docs, err := rows(db, "SELECT doc FROM "+table+" ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	out := make([]*T, len(docs))
	for i, doc := range docs {
		out[i] = new(T)
		if err := json.Unmarshal([]byte(doc), out[i]); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
	return out
}

// consistent checks that the tables of the database agree with each other: nothing
// is counted, allocated or referred to that is not there.
func (c *cloud) consistent() {
	c.t.Helper()
	db := c.database()
	same := func(what string, got, want []string) {
		c.t.Helper()
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			c.t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	query := func(text string) []string {
		c.t.Helper()
		out, err := rows(db, text)
		if err != nil {
			c.t.Fatal(err)
		}
		return out
	}
	same("integrity", query("PRAGMA integrity_check"), []string{"ok"})
	same("foreign keys", query("PRAGMA foreign_key_check"), nil)

	var addresses, groups, segments []string
	for _, p := range nouns[weft.Port](c.t, db, "ports") {
		for _, ip := range p.FixedIPs {
			addresses = append(addresses, fmt.Sprintf("%s | %s | %s", ip.SubnetID, ip.IPAddress, p.ID))
		}
		for _, g := range p.SecurityGroups {
			groups = append(groups, g+" | "+p.ID)
		}
	}
	same("ip_allocations", query("SELECT subnet_id, ip, port_id FROM ip_allocations"), addresses)
	same("port_security_groups", query("SELECT group_id, port_id FROM port_security_groups"), groups)
	for _, n := range nouns[weft.Network](c.t, db, "networks") {
		for _, s := range n.AllSegments() {
			id := int64(0)
			if s.SegmentationID != nil {
				id = *s.SegmentationID
			}
			segments = append(segments, fmt.Sprintf("%s | %s | %d | %s", s.NetworkType, s.PhysicalNetwork, id, n.ID))
		}
	}
	same("segments", query("SELECT network_type, physical_network, segmentation_id, network_id FROM segments"), segments)

	var used []string
	for table, resource := range map[string]string{"networks": "network", "subnets": "subnet", "ports": "port", "routers": "router",
		"floatingips": "floatingip", "security_groups": "security_group", "security_group_rules": "security_group_rule", "subnetpools": "subnetpool",
		"address_scopes": "address_scope", "rbac_policies": "rbac_policy"} {
		used = append(used, query("SELECT project_id, '"+resource+"', count(*) FROM "+table+" WHERE project_id <> '' GROUP BY project_id")...)
	}
	same("quota_usage", query("SELECT project_id, resource, used FROM quota_usage WHERE used <> 0"), used)

	for _, table := range []string{"networks", "subnets", "ports", "routers", "floatingips", "security_groups", "security_group_rules"} {
		same("revisions in the change log of "+table,
			query("SELECT t.id, t.revision FROM "+table+" t JOIN changes c ON c.id = t.id AND c.noun <> 'agent' WHERE c.seq = (SELECT MAX(seq) FROM changes WHERE id = t.id) AND c.revision = t.revision AND c.op <> 'delete'"),
			query("SELECT id, revision FROM "+table))
	}
}

// realised waits until the host has exactly what the database says: these
// interfaces and these namespaces, with these interfaces in them.
func (c *cloud) realised() {
	c.t.Helper()
	db := c.database()
	var diff string
	for deadline := time.Now().Add(hang); ; time.Sleep(100 * time.Millisecond) {
		if diff = cmp.Diff(c.wanted(db), c.present(), cmp.Comparer(func(a, b []string) bool { return slices.Equal(a, b) })); diff == "" {
			return
		}
		if time.Now().After(deadline) {
			c.t.Errorf("the host is not what the database says (-database +host):\n%s", diff)
			return
		}
	}
}

// wanted is what the database says of the host: names of interfaces by namespace.
func (c *cloud) wanted(db *sql.DB) map[string][]string {
	c.t.Helper()
	name, err := os.Hostname()
	if err != nil {
		c.t.Fatal(err)
	}
	segments := map[string]weft.Provider{}
	for _, n := range nouns[weft.Network](c.t, db, "networks") {
		segments[n.ID] = n.AllSegments()[0]
	}
	out := map[string][]string{"": {"lo", "weft-provider"}}
	add := func(ns, dev string) {
		if len(out[ns]) == 0 {
			out[ns] = []string{"lo"}
		}
		if !slices.Contains(out[ns], dev) {
			out[ns] = append(out[ns], dev)
		}
	}
	for _, r := range nouns[weft.Router](c.t, db, "routers") {
		if r.HostID == name {
			add(host.RouterNamespace(r.ID), "lo")
		}
	}
	for _, p := range nouns[weft.Port](c.t, db, "ports") {
		if p.HostID != name {
			continue
		}
		switch p.DeviceOwner {
		case weft.OwnerDHCP:
			add(host.DHCPNamespace(p.NetworkID), host.DHCPDevice(p.ID))
		case weft.OwnerRouterInterface:
			add(host.RouterNamespace(p.DeviceID), host.RouterDevice(p.ID))
		case weft.OwnerRouterGateway:
			add(host.RouterNamespace(p.DeviceID), host.GatewayDevice(p.ID))
		default:
			add(p.Name, "eth0")
		}
		add("", host.TapName(p.ID))
		add("", host.BridgeName(p.NetworkID))
		if s := segments[p.NetworkID]; s.NetworkType == weft.TypeVXLAN {
			add("", fmt.Sprintf("vxlan-%d", *s.SegmentationID))
		}
	}
	for _, names := range out {
		slices.Sort(names)
	}
	return out
}

// present is what there is on the host, without the outside world.
func (c *cloud) present() map[string][]string {
	out := map[string][]string{}
	for _, ns := range append([]string{""}, namespaces(c.t)...) {
		if ns == outside {
			continue
		}
		links, err := linksIn(ns)
		if err != nil {
			continue // it went while we looked; then it is not there
		}
		out[ns] = nil
		for _, l := range links {
			out[ns] = append(out[ns], l.Name)
		}
		slices.Sort(out[ns])
	}
	return out
}
