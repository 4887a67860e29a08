package nft_test

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/dataplane/nft"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

var (
	mark, verdict, ipv4 = nft.Mark, nft.Verdict, nft.IPv4
	mac                 = weft.MAC{0xfa, 0x16, 0x3e, 0, 0, 1}
	one                 = netip.MustParseAddr("10.0.0.1")
	two                 = netip.MustParseAddr("10.0.0.2")
)

func ptr[T any](v T) *T { return &v }

// filter is a table of the bridge family with everything in it.
func filter() nft.Table {
	v6 := netip.MustParseAddr("2001:db8::1")
	return nft.Table{Family: nft.Bridge, Name: "weft-test", Sets: []nft.Set{
		{Name: "zones", Key: []nft.Kind{nft.IfName}, Value: &mark, Elements: []nft.Element{
			{Key: []nft.Datum{nft.Name("tap1")}, Value: ptr(nft.Number(0x77000007))},
			{Key: []nft.Datum{nft.Name("tap2")}, Value: ptr(nft.Number(0x77000008))}}},
		{Name: "senders4", Key: []nft.Kind{nft.IfName, nft.Ether, nft.IPv4}, Elements: []nft.Element{
			{Key: []nft.Datum{nft.Name("tap1"), nft.MAC(mac), nft.Addr(one)}}}},
		{Name: "senders6", Key: []nft.Kind{nft.IfName, nft.Ether, nft.IPv6}, Elements: []nft.Element{
			{Key: []nft.Datum{nft.Name("tap1"), nft.MAC(mac), nft.Addr(v6)}}}},
		{Name: "out", Key: []nft.Kind{nft.IfName}, Value: &verdict, Elements: []nft.Element{
			{Key: []nft.Datum{nft.Name("tap1")}, Value: ptr(nft.Goto("go-a"))},
			{Key: []nft.Datum{nft.Name("tap2")}, Value: ptr(nft.Goto("go-b"))}}},
		{Name: "m4-group", Key: []nft.Kind{nft.IPv4}},
	}, Chains: []nft.Chain{
		{Name: "go-a", Rules: []nft.Rule{
			{nft.EtherType.Eq(0x0800), nft.L4Proto.Eq(6), nft.DPort.Between(20, 22), nft.IPSaddr.In(netip.MustParsePrefix("10.0.0.0/9")), nft.Return},
			{nft.EtherType.Eq(0x0800), nft.InSet("m4-group", nft.IPSaddr), nft.Return},
			{nft.EtherType.Eq(0x86dd), nft.IP6Saddr.In(netip.MustParsePrefix("fe80::/10")), nft.Accept},
			{nft.Drop}}},
		{Name: "go-b", Rules: []nft.Rule{{nft.Drop}}},
		{Name: "spoof", Rules: []nft.Rule{
			{nft.EtherType.Eq(0x0806), nft.InSet("senders4", nft.IIF, nft.ARPSHA, nft.ARPSPA), nft.Return},
			{nft.EtherType.Eq(0x0800), nft.NotInSet("senders4", nft.IIF, nft.EtherSaddr, nft.IPSaddr), nft.Drop},
			{nft.EtherType.Eq(0x86dd), nft.NotInSet("senders6", nft.IIF, nft.EtherSaddr, nft.IP6Saddr), nft.Drop}}},
		{Name: "pre", Hook: &nft.Hook{Type: nftables.ChainTypeFilter, Num: nftables.ChainHookPrerouting, Priority: -310}, Rules: []nft.Rule{
			{nft.SetMarkFrom("zones", nft.IIF)}, {nft.Jump("spoof")}}},
		{Name: "forward", Hook: &nft.Hook{Type: nftables.ChainTypeFilter, Num: nftables.ChainHookForward, Priority: 0}, Rules: []nft.Rule{
			{nft.MarkBits(0xff010000, 0x77010000), nft.Accept}, {nft.VMap("out", nft.IIF)}, {nft.MarkOr(0x10000)}}},
		{Name: "post", Hook: &nft.Hook{Type: nftables.ChainTypeFilter, Num: nftables.ChainHookPostrouting, Priority: 300}, Rules: []nft.Rule{
			{nft.MarkBits(0xff000000, 0x77000000), nft.SetMark(0)}}},
	}}
}

func track() nft.Table {
	return nft.Table{Family: nft.Inet, Name: "weft-track", Chains: []nft.Chain{
		{Name: "raw", Hook: &nft.Hook{Type: nftables.ChainTypeFilter, Num: nftables.ChainHookPrerouting, Priority: -450}, Rules: []nft.Rule{
			{nft.MarkBits(0xff040000, 0x77040000), nft.NoTrack}, {nft.MarkBits(0xff040000, 0x77000000), nft.ZoneFromMark()}}},
		{Name: "state", Hook: &nft.Hook{Type: nftables.ChainTypeFilter, Num: nftables.ChainHookPrerouting, Priority: -150}, Rules: []nft.Rule{
			{nft.CtState(nft.Established | nft.Related), nft.MarkOr(0x10000)}, {nft.CtState(nft.Invalid), nft.MarkOr(0x20000)}}},
	}}
}

func nat() nft.Table {
	return nft.Table{Family: nft.IP, Name: "weft-nat", Sets: []nft.Set{
		{Name: "floating", Key: []nft.Kind{nft.IPv4}, Value: &ipv4, Elements: []nft.Element{{Key: []nft.Datum{nft.Addr(one)}, Value: ptr(nft.Addr(two))}}},
	}, Chains: []nft.Chain{
		{Name: "pre", Hook: &nft.Hook{Type: nftables.ChainTypeNAT, Num: nftables.ChainHookPrerouting, Priority: -100}, Rules: []nft.Rule{
			{nft.IIF.IfPrefix("qr-"), nft.L4Proto.Eq(6), nft.DPort.Eq(80), nft.Redirect(9697)}, {nft.DNATFrom("floating")}}},
		{Name: "post", Hook: &nft.Hook{Type: nftables.ChainTypeNAT, Num: nftables.ChainHookPostrouting, Priority: 100}, Rules: []nft.Rule{
			{nft.OIF.IsNot(nft.Name("qg-1")), nft.Translated(false), nft.Accept}, {nft.SNATFrom("floating")}, {nft.Translated(true), nft.SNAT(two)}}},
	}}
}

func list(t *testing.T, tab nft.Table) string {
	t.Helper()
	family := map[nftables.TableFamily]string{nft.Inet: "inet", nft.IP: "ip", nft.Bridge: "bridge"}[tab.Family]
	out, err := exec.Command("nft", "list", "table", family, tab.Name).CombinedOutput()
	if err != nil {
		t.Fatalf("nft list: %v: %s", err, out)
	}
	return string(out)
}

func converge(t *testing.T, c *nft.Conn, tab nft.Table) []string {
	t.Helper()
	ops, err := c.Converge(context.Background(), tab)
	if err != nil {
		t.Fatalf("Converge: %v\n%s", err, strings.Join(ops, "\n"))
	}
	return ops
}

func TestKernelShowsTheTable(t *testing.T) {
	hosttest.Need(t, "nft")
	for _, tab := range []nft.Table{filter(), track(), nat()} {
		t.Run(tab.Name, func(t *testing.T) {
			c := nft.Open(0)
			t.Cleanup(func() { c.Delete(tab) })
			converge(t, c, tab)
			t.Log(list(t, tab))
			if ops := converge(t, c, tab); ops != nil {
				t.Errorf("again: %v", ops)
			}
			if ops := converge(t, nft.Open(0), tab); ops != nil {
				t.Errorf("a new process: %v", ops)
			}
		})
	}
}

func TestSmallestChange(t *testing.T) {
	hosttest.Need(t, "nft")
	element := func(parts ...nft.Datum) nft.Element { return nft.Element{Key: parts} }
	for _, tc := range []struct {
		name   string
		change func(*nft.Table)
		want   []string
	}{
		{"a member joins", func(t *nft.Table) { t.Sets[4].Elements = []nft.Element{element(nft.Addr(one))} },
			[]string{"add element m4-group { 10.0.0.1 }"}},
		{"a sender leaves", func(t *nft.Table) { t.Sets[1].Elements = nil },
			[]string{`delete element senders4 { "tap1" . fa:16:3e:00:00:01 . 10.0.0.1 }`}},
		{"another mark", func(t *nft.Table) { t.Sets[0].Elements[0].Value = ptr(nft.Number(9)) },
			[]string{`add element zones { "tap1" : 0x00000009 }`}},
		{"another chain", func(t *nft.Table) { t.Sets[3].Elements[0].Value = ptr(nft.Goto("go-b")) },
			[]string{`add element out { "tap1" : goto go-b }`}},
		{"a chain and its caller go", func(t *nft.Table) {
			t.Sets[3].Elements = t.Sets[3].Elements[:1]
			t.Chains = append(t.Chains[:1:1], t.Chains[2:]...)
		}, []string{`delete element out { "tap2" }`, "flush chain go-b", "delete chain go-b"}},
		{"a chain changes", func(t *nft.Table) { t.Chains[1].Rules = []nft.Rule{{nft.Return}, {nft.Drop}} },
			[]string{"flush chain go-b", "add rule go-b return", "add rule go-b drop"}},
		{"sets go", func(t *nft.Table) {
			t.Sets = t.Sets[:3]
			t.Chains = t.Chains[2:]
			t.Chains[2].Rules = nil
		}, []string{"flush chain forward", "flush chain go-a", "flush chain go-b", "delete set m4-group", "delete set out", "delete chain go-a", "delete chain go-b"}},
		{"the base of a chain", func(t *nft.Table) {
			*t = nft.Table{Family: t.Family, Name: t.Name, Chains: t.Chains[5:6]}
			t.Chains[0].Hook = nil
		},
			[]string{"delete table weft-test", "add table weft-test", "add chain post", "add rule post meta mark & 0xff000000 == 0x77000000 meta mark set 0x00000000"}},
		{"another type", func(t *nft.Table) {
			*t = nft.Table{Family: t.Family, Name: t.Name, Sets: t.Sets[4:]}
			t.Sets[0].Key = []nft.Kind{nft.IPv6}
		},
			[]string{"delete table weft-test", "add table weft-test", "add set m4-group"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := nft.Open(0)
			t.Cleanup(func() { c.Delete(filter()) })
			converge(t, c, filter())
			want := filter()
			tc.change(&want)
			if diff := cmp.Diff(tc.want, converge(t, c, want)); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
			if ops := converge(t, nft.Open(0), want); ops != nil {
				t.Errorf("a new process: %v", ops)
			}
			if ops := converge(t, nft.Open(0), filter()); ops == nil {
				t.Error("nothing to do on the way back")
			}
			if ops := converge(t, nft.Open(0), filter()); ops != nil {
				t.Errorf("a new process on the way back: %v", ops)
			}
		})
	}
}

func TestDriftIsRepaired(t *testing.T) {
	hosttest.Need(t, "nft")
	c := nft.Open(0)
	t.Cleanup(func() { c.Delete(filter()) })
	converge(t, c, filter())
	before := list(t, filter())
	for _, cmd := range []string{"flush chain bridge weft-test spoof", "delete element bridge weft-test zones { tap1 }", "delete table bridge weft-test", "add rule bridge weft-test go-b accept"} {
		if out, err := exec.Command("nft", strings.Fields(cmd)...).CombinedOutput(); err != nil {
			t.Fatalf("nft %s: %v: %s", cmd, err, out)
		}
		if ops := converge(t, c, filter()); len(ops) == 0 {
			t.Errorf("after %s: not seen", cmd)
		}
		if ops := converge(t, nft.Open(0), filter()); ops != nil {
			t.Errorf("after %s, a new process: %v", cmd, ops)
		}
	}
	if diff := cmp.Diff(len(before), len(list(t, filter()))); diff != "" {
		t.Error(diff)
	}
}

func TestRefused(t *testing.T) {
	hosttest.Need(t)
	c := nft.Open(0)
	tab := nft.Table{Family: nft.Inet, Name: "weft-bad", Chains: []nft.Chain{{Name: "a", Rules: []nft.Rule{{nft.Jump("nowhere")}}}}}
	if _, err := c.Converge(context.Background(), tab); err == nil {
		t.Fatal("no error")
	} else {
		t.Log(err)
	}
	if ours, err := c.Ours(); err != nil || len(ours) != 0 {
		t.Errorf("Ours = %v, %v", ours, err)
	}
}

// big is a table for n ports.
func big(n int) nft.Table {
	t := filter()
	for i := range n {
		m := mac
		m[4], m[5] = byte(i>>8), byte(i)
		tap, chain := nft.Name(fmt.Sprintf("tap%08x-%02x", i, i%100)), fmt.Sprintf("go-%d", i)
		a := netip.AddrFrom4([4]byte{10, 1, m[4], m[5]})
		t.Chains = append(t.Chains, nft.Chain{Name: chain, Rules: t.Chains[0].Rules})
		add := func(set int, value *nft.Datum, key ...nft.Datum) {
			t.Sets[set].Elements = append(t.Sets[set].Elements, nft.Element{Key: key, Value: value})
		}
		add(0, ptr(nft.Number(7)), tap)
		add(1, nil, tap, nft.MAC(m), nft.Addr(a))
		add(2, nil, tap, nft.MAC(m), nft.Addr(weft.EUI64(netip.MustParsePrefix("fe80::/64"), m)))
		add(3, ptr(nft.Goto(chain)), tap)
		add(4, nil, nft.Addr(a))
	}
	return t
}

func TestBig(t *testing.T) {
	hosttest.Need(t)
	c := nft.Open(0)
	t.Cleanup(func() { c.Delete(filter()) })
	converge(t, c, big(1000))
	if ops := converge(t, nft.Open(0), big(1000)); ops != nil {
		t.Errorf("a new process: %d operations, %s", len(ops), ops[0])
	}
	if ops := converge(t, c, big(1001)); len(ops) != 10 {
		t.Errorf("one more: %d operations: %v", len(ops), ops)
	}
	if ops := converge(t, c, filter()); len(ops) == 0 {
		t.Error("nothing to take away")
	}
}

func BenchmarkThousandChains(b *testing.B) {
	hosttest.Need(b)
	c := nft.Open(0)
	for b.Loop() {
		if _, err := c.Converge(context.Background(), big(1000)); err != nil {
			b.Fatal(err)
		}
		if err := c.Delete(filter()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAdopt(b *testing.B) {
	hosttest.Need(b)
	c := nft.Open(0)
	t := big(1000)
	if _, err := c.Converge(context.Background(), t); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := nft.Open(0).Converge(context.Background(), t); err != nil {
			b.Fatal(err)
		}
	}
	c.Delete(t)
}

func BenchmarkOneMember(b *testing.B) {
	hosttest.Need(b)
	c := nft.Open(0)
	t, full := big(1000), big(1000)
	full.Sets[4].Elements = append(full.Sets[4].Elements, nft.Element{Key: []nft.Datum{nft.Addr(one)}})
	for b.Loop() {
		c.Converge(context.Background(), t)
		if _, err := c.Converge(context.Background(), full); err != nil {
			b.Fatal(err)
		}
	}
	c.Delete(t)
}
