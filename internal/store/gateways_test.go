package store_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// Routers of a database from before they had several gateways show the one they have.
func TestMigrationOfGateways(t *testing.T) {
	text, err := os.ReadFile("migrations/0013_gateways.sql")
	if err != nil {
		t.Fatal(err)
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		n := network("ext", "p1")
		sub := &weft.Subnet{IPVersion: 4, CIDR: netip.MustParsePrefix("203.0.113.0/24")}
		p := &weft.Port{DeviceOwner: weft.OwnerRouterGateway}
		with, without := &weft.Router{Name: "with"}, &weft.Router{Name: "without"}
		write(t, db, func(tx *store.Tx) error {
			for _, do := range []func() error{
				func() error { return store.Networks.Insert(tx, n) },
				func() error { sub.NetworkID = n.ID; return store.Subnets.Insert(tx, sub) },
				func() error {
					p.NetworkID = n.ID
					p.FixedIPs = []weft.FixedIP{{SubnetID: sub.ID, IPAddress: netip.MustParseAddr("203.0.113.5")}, {SubnetID: sub.ID, IPAddress: netip.MustParseAddr("203.0.113.6")}}
					return store.Ports.Insert(tx, p)
				},
				func() error { with.GatewayPortID = p.ID; return store.Routers.Insert(tx, with) },
				func() error { return store.Routers.Insert(tx, without) },
			} {
				if err := do(); err != nil {
					return err
				}
			}
			return age(tx, with.ID, without.ID)
		})
		write(t, db, func(tx *store.Tx) error {
			_, err := tx.Exec(strings.TrimSuffix(strings.TrimSpace(string(text)), ";"))
			return err
		})
		want := map[string]weft.List[weft.ExternalGateway]{with.ID: {{NetworkID: n.ID, ExternalFixedIPs: p.FixedIPs}}, without.ID: nil}
		for id, gateways := range want {
			r, err := store.Routers.Get(db.Read(t.Context(), admin()), id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(gateways, r.ExternalGateways, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", r.Name, diff)
			}
		}
	})
}

// age takes from routers what they have not always had.
func age(tx *store.Tx, ids ...string) error {
	for _, id := range ids {
		var doc string
		if _, err := tx.QueryRow("SELECT doc FROM routers WHERE id = ?", []any{id}, &doc); err != nil {
			return err
		}
		for _, member := range []string{`,"external_gateways":[]`, `,"enable_default_route_ecmp":false`} {
			before, after, found := strings.Cut(doc, member)
			if !found {
				return weft.Invalid("%s lacks %s", doc, member)
			}
			doc = before + after
		}
		if _, err := tx.Exec("UPDATE routers SET doc = ? WHERE id = ?", doc, id); err != nil {
			return err
		}
	}
	return nil
}
