package core

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// TestNoAddressTwice runs random creates, updates and deletes of ports on small
// subnets and checks after each that what the ports say is what the store has
// taken, that every address lies where it may, and that a refusal for want of
// addresses means that there are none.
func TestNoAddressTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t)
		n := b.network()
		subnets := []*weft.Subnet{b.subnet(n, "10.0.0.0/29"), b.subnet(n, "10.1.0.0/28"), b.slaac(n, "2001:db8::/64")}
		alive := map[string]*weft.Port{}
		pick := func(rt *rapid.T) *weft.Port {
			ids := make([]string, 0, len(alive))
			for _, p := range b.ports() {
				ids = append(ids, p.ID)
			}
			if len(ids) == 0 {
				rt.Skip("no ports")
			}
			return alive[rapid.SampledFrom(ids).Draw(rt, "port")]
		}
		rt.Repeat(map[string]func(*rapid.T){
			"create": func(rt *rapid.T) {
				asked, given := drawAsked(rt, subnets)
				p := &weft.Port{NetworkID: n.ID, FixedIPs: asked, DeviceOwner: rapid.SampledFrom([]string{"", weft.OwnerDHCP, weft.OwnerRouterInterface}).Draw(rt, "owner")}
				err := b.createPort(p, given...)
				b.checkRefusal(rt, err, asked, given, subnets)
				if err == nil {
					alive[p.ID] = p
				}
			},
			"update": func(rt *rapid.T) {
				p := pick(rt)
				asked, given := drawAsked(rt, subnets)
				got, err := b.updatePort(p.ID, func(p *weft.Port) { p.FixedIPs = asked }, given...)
				if err == nil {
					alive[p.ID] = got
				} else if !weft.IsKind(err, weft.Conflict) && !weft.IsKind(err, weft.BadRequest) {
					rt.Fatalf("update: %v", err)
				}
			},
			"delete": func(rt *rapid.T) {
				p := pick(rt)
				b.must(func(tx *store.Tx) error {
					p, err := store.Ports.Get(tx, p.ID)
					if err != nil {
						return err
					}
					return b.s.DeletePort(tx, p)
				})
				delete(alive, p.ID)
			},
			"": func(rt *rapid.T) { b.checkAddresses(rt, alive, subnets) },
		})
	})
}

func drawAsked(rt *rapid.T, subnets []*weft.Subnet) ([]weft.FixedIP, []string) {
	if rapid.Bool().Draw(rt, "unspecified") {
		return nil, nil
	}
	entry := rapid.Custom(func(rt *rapid.T) weft.FixedIP {
		sn := rapid.SampledFrom(subnets).Draw(rt, "subnet")
		ip := sn.CIDR.Addr()
		for range rapid.IntRange(0, 9).Draw(rt, "offset") {
			ip = ip.Next()
		}
		switch rapid.IntRange(0, 2).Draw(rt, "kind") {
		case 0:
			return weft.FixedIP{SubnetID: sn.ID}
		case 1:
			return weft.FixedIP{IPAddress: ip}
		default:
			return weft.FixedIP{SubnetID: sn.ID, IPAddress: ip}
		}
	})
	unlike := func(ip weft.FixedIP) string {
		if ip.IPAddress.IsValid() {
			return ip.IPAddress.String()
		}
		return rapid.StringN(8, 8, -1).Draw(rt, "any")
	}
	return rapid.SliceOfNDistinct(entry, 0, 3, unlike).Draw(rt, "fixed_ips"), []string{"fixed_ips"}
}

// checkRefusal fails if a port was refused for want of addresses that there are.
func (b *bench) checkRefusal(rt *rapid.T, err error, asked []weft.FixedIP, given []string, subnets []*weft.Subnet) {
	if err == nil {
		return
	}
	if !weft.IsKind(err, weft.Conflict) && !weft.IsKind(err, weft.BadRequest) {
		rt.Fatalf("create: %v", err)
	}
	if !weft.IsType(err, "IpAddressGenerationFailure") || len(given) > 0 {
		return
	}
	for _, sn := range subnets[:2] {
		for _, pool := range sn.AllocationPools {
			for ip := pool.Start; !pool.End.Less(ip); ip = ip.Next() {
				if !b.taken(ip) {
					rt.Fatalf("no address left, it says, but %s is free", ip)
				}
			}
		}
	}
}

func (b *bench) taken(ip netip.Addr) bool {
	taken, err := b.db.Read(b.t.Context(), b.caller).Exists("SELECT 1 FROM ip_allocations WHERE ip = ?", ip.String())
	if err != nil {
		b.t.Fatal(err)
	}
	return taken
}

func (b *bench) checkAddresses(rt *rapid.T, alive map[string]*weft.Port, subnets []*weft.Subnet) {
	in := map[string]*weft.Subnet{}
	for _, sn := range subnets {
		in[sn.ID] = sn
	}
	holders, total := map[netip.Addr]string{}, 0
	ports := b.ports()
	if len(ports) != len(alive) {
		rt.Fatalf("%d ports stored, %d made", len(ports), len(alive))
	}
	for _, p := range ports {
		total += len(p.FixedIPs)
		for _, ip := range p.FixedIPs {
			if other := holders[ip.IPAddress]; other != "" {
				rt.Fatalf("%s is given to %s and %s", ip.IPAddress, other, p.ID)
			}
			holders[ip.IPAddress] = p.ID
			sn := in[ip.SubnetID]
			if !sn.CIDR.Contains(ip.IPAddress) {
				rt.Fatalf("%s is not in %s", ip.IPAddress, sn.CIDR)
			}
			if sn.AutoAddress() && p.DeviceOwner != weft.OwnerRouterInterface && ip.IPAddress != weft.EUI64(sn.CIDR, p.MAC) {
				rt.Fatalf("%s does not derive from %s", ip.IPAddress, p.MAC)
			}
		}
	}
	if n := b.count("ip_allocations"); n != total {
		rt.Fatalf("%d addresses taken in the store, ports have %d", n, total)
	}
}

// TestExhaustion fills subnets to the last address.
func TestExhaustion(t *testing.T) {
	for _, tc := range []struct {
		cidr string
		room int
	}{{"10.0.0.0/29", 5}, {"10.0.0.0/30", 1}, {"10.0.0.0/32", 1}, {"10.0.0.0/26", 61}, {"2001:db8::/124", 15}, {"2001:db8::/127", 1}} {
		t.Run(tc.cidr, func(t *testing.T) {
			b := newBench(t)
			n := b.network()
			sn := &weft.Subnet{NetworkID: n.ID, CIDR: prefix(tc.cidr)}
			if err := b.createSubnet(sn, SubnetRequest{}); err != nil {
				t.Fatal(err)
			}
			for range tc.room {
				b.port(&weft.Port{NetworkID: n.ID})
			}
			wantRefusal(t, b.createPort(&weft.Port{NetworkID: n.ID}), "IpAddressGenerationFailure", "No more IP addresses available on network "+n.ID+".")
		})
	}
}

// TestSecondSubnetWhenFirstIsFull goes on to the next subnet of the version.
func TestSecondSubnetWhenFirstIsFull(t *testing.T) {
	b := newBench(t)
	n := b.network()
	b.subnet(n, "10.0.0.0/30")
	b.subnet(n, "10.1.0.0/30")
	for range 2 {
		b.port(&weft.Port{NetworkID: n.ID})
	}
	wantRefusal(t, b.createPort(&weft.Port{NetworkID: n.ID}), "IpAddressGenerationFailure", "")
}

// BenchmarkCreatePort is the work of one port on a subnet that has some already.
func BenchmarkCreatePort(b *testing.B) {
	for _, existing := range []int{0, 10000} {
		b.Run(fmt.Sprint(existing), func(b *testing.B) {
			bn := newBench(b)
			n := bn.network()
			bn.subnet(n, "10.0.0.0/16")
			bn.must(func(tx *store.Tx) error {
				for range existing {
					p := &weft.Port{NetworkID: n.ID, AdminStateUp: true}
					p.ProjectID = "p1"
					if err := bn.s.CreatePort(tx, p, nil); err != nil {
						return err
					}
				}
				return nil
			})
			b.ResetTimer()
			b.Run("in-one-transaction", func(b *testing.B) {
				bn.must(func(tx *store.Tx) error {
					for b.Loop() {
						p := &weft.Port{NetworkID: n.ID, AdminStateUp: true}
						p.ProjectID = "p1"
						if err := bn.s.CreatePort(tx, p, nil); err != nil {
							return err
						}
					}
					return nil
				})
			})
			b.Run("with-commit", func(b *testing.B) {
				for b.Loop() {
					if err := bn.createPort(&weft.Port{NetworkID: n.ID}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
