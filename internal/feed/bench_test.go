package feed

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// BenchmarkState is what one more port costs on a host that has a thousand and
// serves DHCP to their network.
func BenchmarkState(b *testing.B) {
	db := storetest.SQLite(b)
	write := func(fn func(*store.Tx) error) {
		if err := db.Update(b.Context(), admin, fn); err != nil {
			b.Fatal(err)
		}
	}
	add := func(tx *store.Tx, i int) error {
		p := port(fmt.Sprintf("port-%d", i), "h1", "compute:nova", "10.0.0.1", "web")
		p.MAC = weft.MAC{0xfa, 0x16, 0x3f, byte(i >> 16), byte(i >> 8), byte(i)}
		p.FixedIPs[0].IPAddress = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		return store.Ports.Insert(tx, p)
	}
	write(func(tx *store.Tx) error {
		err := store.Networks.Insert(tx, &weft.Network{Meta: id("net"), AdminStateUp: true, MTU: 1450, Provider: &weft.Provider{NetworkType: weft.TypeLocal}})
		if err != nil {
			return err
		}
		sub := &weft.Subnet{Meta: id("sub"), NetworkID: "net", IPVersion: 4, EnableDHCP: true, CIDR: netip.MustParsePrefix("10.0.0.0/8")}
		if err := store.Subnets.Insert(tx, sub); err != nil {
			return err
		}
		if err := store.SecurityGroups.Insert(tx, &weft.SecurityGroup{Meta: id("web"), Stateful: true}); err != nil {
			return err
		}
		if err := store.Ports.Insert(tx, port("dhcp", "h1", weft.OwnerDHCP, "10.0.0.2")); err != nil {
			return err
		}
		for i := range 1000 {
			if err := add(tx, 10+i); err != nil {
				return err
			}
		}
		return nil
	})
	f := New(Config{Log: slog.New(slog.DiscardHandler), DB: db, Host: "h1"})
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		write(func(tx *store.Tx) error { return add(tx, 2000+i) })
		b.StartTimer()
		if _, err := f.State(b.Context(), -1); err != nil {
			b.Fatal(err)
		}
	}
}
