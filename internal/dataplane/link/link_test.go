package link

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/needs"
)

// scratch opens a handle in a namespace made for the test, whose name it returns.
func scratch(t *testing.T, part string) (*Handle, string) {
	t.Helper()
	needs.Root(t)
	name := fmt.Sprintf("wt-link-%d-%s-%s", os.Getpid(), strings.ToLower(t.Name()), part)
	if err := netns.Ensure(name, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netns.Delete(name, "") })
	h, err := OpenIn(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h, name
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestBridgeAndPorts(t *testing.T) {
	h, _ := scratch(t, "host")
	vm, _ := scratch(t, "vm")
	br := must[Link](t)(h.Create("brq0", Bridge{NFCall: true}, Alias("weft:network:x"), MTU(1450), NoAutoIPv6()))
	check(t, h.SetSysctl("net/ipv6/conf/brq0/disable_ipv6", "1"))
	check(t, h.Set(br.Index, Up(true)))
	got := must[Link](t)(h.ByIndex(br.Index))
	want := Link{Index: br.Index, Name: "brq0", Type: "bridge", Alias: "weft:network:x", MAC: got.MAC, MTU: 1450,
		Up: true, IPv6Off: true, NoAutoIPv6: true, Bridge: Bridge{NFCall: true}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(netip.Addr{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Error(d)
	}

	mac := weft.MAC{0xfa, 0x16, 0x3e, 1, 2, 3}
	tap := must[Link](t)(h.Create("tap0", Veth{Peer: "eth0", PeerNS: vm.NS(), PeerMAC: mac, PeerMTU: 1450},
		Alias("weft:port:y"), Master(br.Index), MTU(1450), Up(true)))
	if tap.Master != br.Index || !tap.Up || tap.Alias != "weft:port:y" || tap.MTU != 1450 {
		t.Errorf("tap is %+v", tap)
	}
	eth := must[Link](t)(vm.ByName("eth0"))
	if eth.MAC != mac || eth.MTU != 1450 || eth.Peer != tap.Index || eth.Up {
		t.Errorf("peer is %+v", eth)
	}
	check(t, h.Set(tap.Index, Master(0), Up(false)))
	if tap = must[Link](t)(h.ByName("tap0")); tap.Master != 0 || tap.Up {
		t.Errorf("freed tap is %+v", tap)
	}
	if _, err := h.Create("tap0", Bridge{}, Alias("weft:thief")); !errors.Is(err, unix.EEXIST) {
		t.Errorf("taking a taken name: %v", err)
	}
	if l := must[Link](t)(h.ByName("tap0")); l.Alias != "weft:port:y" {
		t.Errorf("the owner of the name was changed: %+v", l)
	}
	check(t, h.Delete(tap.Index))
	check(t, h.Delete(tap.Index))
	if _, err := h.ByName("tap0"); !errors.Is(err, ErrNotFound) {
		t.Errorf("after Delete: %v", err)
	}
	if err := h.Set(tap.Index, Up(true)); !errors.Is(err, ErrNotFound) {
		t.Errorf("changing what is gone: %v", err)
	}
}

func TestFailedCreateLeavesNothing(t *testing.T) {
	h, _ := scratch(t, "host")
	if _, err := h.Create("br9", Bridge{}, Alias("weft:x"), Master(4242)); err == nil {
		t.Fatal("no error for a master that does not exist")
	}
	if _, err := h.ByName("br9"); !errors.Is(err, ErrNotFound) {
		t.Errorf("left behind: %v", err)
	}
}

func TestSmallMTUHasNoIPv6(t *testing.T) {
	h, _ := scratch(t, "host")
	l := must[Link](t)(h.Create("br0", Bridge{}, MTU(1000), NoAutoIPv6(), Up(true)))
	if l.MTU != 1000 || !l.Up || !l.IPv6Off || !l.NoAutoIPv6 {
		t.Errorf("made %+v", l)
	}
	check(t, h.Set(l.Index, NoAutoIPv6()))
}

func TestSweep(t *testing.T) {
	h, _ := scratch(t, "host")
	var indexes []int
	for i := range 150 {
		l := must[Link](t)(h.Create(fmt.Sprintf("tap%d", i), Veth{Peer: fmt.Sprintf("p%d", i)}))
		indexes = append(indexes, l.Index)
	}
	keep := must[Link](t)(h.Create("brkeep", Bridge{}))
	check(t, h.Delete(append(indexes, 4242)...))
	var names []string
	for _, l := range must[[]Link](t)(h.List()) {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	if d := cmp.Diff([]string{"brkeep", "lo"}, names); d != "" || keep.Index == 0 {
		t.Error(d)
	}
}

func TestVXLANForwardsAndNeighbours(t *testing.T) {
	h, _ := scratch(t, "host")
	local, far, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	x := VXLAN{VNI: 10, Local: local, Port: 8472, Proxy: true}
	l := must[Link](t)(h.Create("vxlan-10", x, Alias("weft:network:x"), Up(true)))
	if l.VXLAN != x {
		t.Errorf("made %+v, want %+v", l.VXLAN, x)
	}
	mac := weft.MAC{0xfa, 0x16, 0x3e, 1, 2, 3}
	check(t, h.AddForwards(l.Index, Forward{Remote: far}, Forward{Remote: other}, Forward{mac, far}))
	check(t, h.AddForwards(l.Index, Forward{Remote: far}, Forward{mac, other}))
	byText := func(a, b Forward) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	got := must[map[int][]Forward](t)(h.Forwards())[l.Index]
	slices.SortFunc(got, byText)
	want := []Forward{{Remote: far}, {Remote: other}, {mac, other}}
	if !slices.Equal(got, want) {
		t.Errorf("forwards %v, want %v", got, want)
	}
	check(t, h.DeleteForwards(l.Index, Forward{Remote: far}, Forward{mac, other}, Forward{mac, other}))
	if got = must[map[int][]Forward](t)(h.Forwards())[l.Index]; !slices.Equal(got, []Forward{{Remote: other}}) {
		t.Errorf("after deletion: %v", got)
	}

	n := []Neighbour{{netip.MustParseAddr("10.0.0.5"), mac}, {netip.MustParseAddr("fd00::5"), mac}}
	check(t, h.SetNeighbours(l.Index, n...))
	check(t, h.SetNeighbours(l.Index, n...))
	if got := must[map[int][]Neighbour](t)(h.Neighbours())[l.Index]; !slices.Equal(got, n) {
		t.Errorf("neighbours %v, want %v", got, n)
	}
	check(t, h.DeleteNeighbours(l.Index, append(n, n...)...))
	if got := must[map[int][]Neighbour](t)(h.Neighbours())[l.Index]; len(got) != 0 {
		t.Errorf("after deletion: %v", got)
	}
}

func TestAddressesAndRoutes(t *testing.T) {
	h, _ := scratch(t, "host")
	l := must[Link](t)(h.Create("br0", Bridge{}, NoAutoIPv6(), Up(true)))
	p4, p6 := netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/64")
	for range 2 {
		check(t, h.AddAddr(l.Index, p4))
		check(t, h.AddAddr(l.Index, p6))
	}
	if got := must[[]netip.Prefix](t)(h.Addrs(l.Index)); !slices.Equal(got, []netip.Prefix{p4, p6}) {
		t.Errorf("addresses %v", got)
	}
	want := []Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("10.0.0.254"), Link: l.Index, Protocol: unix.RTPROT_STATIC},
		{Dst: netip.MustParsePrefix("10.9.0.0/16"), Link: l.Index, Protocol: unix.RTPROT_STATIC},
		{Dst: netip.MustParsePrefix("::/0"), Via: netip.MustParseAddr("fd00::fe"), Link: l.Index, Metric: 1024, Protocol: unix.RTPROT_STATIC},
	}
	static := func() []Route {
		return slices.DeleteFunc(must[[]Route](t)(h.Routes(l.Index)), func(r Route) bool { return r.Protocol != unix.RTPROT_STATIC })
	}
	for range 2 {
		for _, r := range want {
			check(t, h.ReplaceRoute(r))
		}
	}
	if got := static(); !reflect.DeepEqual(got, want) {
		t.Errorf("routes %+v, want %+v", got, want)
	}
	for range 2 {
		for _, r := range want {
			check(t, h.DeleteRoute(r))
		}
		check(t, h.DeleteAddr(l.Index, p4))
	}
	if got := static(); len(got) != 0 {
		t.Errorf("after deletion: %v", got)
	}
}

func TestWatch(t *testing.T) {
	h, _ := scratch(t, "host")
	ch, err := h.Watch(t.Context())
	check(t, err)
	l := must[Link](t)(h.Create("br0", Bridge{}, Alias("weft:x"), Up(true)))
	for e := range ch {
		if e.Index == l.Index && e.Name == "br0" && e.Alias == "weft:x" && e.Up {
			break
		}
	}
	check(t, h.Delete(l.Index))
	for e := range ch {
		if e.Index == l.Index && e.Deleted {
			return
		}
	}
	t.Error("the channel closed before the news came")
}

// TestWatchOverflow: once a reader has been told of lost events, it misses nothing
// that happens afterwards.
func TestWatchOverflow(t *testing.T) {
	h, _ := scratch(t, "host")
	ch, err := h.Watch(t.Context())
	check(t, err)
	l := must[Link](t)(h.Create("br0", Bridge{}, Up(true)))
	for i := range 20000 {
		check(t, h.Set(l.Index, Alias(fmt.Sprint("weft:", i))))
	}
	for e := range ch {
		if e.Lost {
			break
		}
	}
	late := must[Link](t)(h.Create("brlate", Bridge{}))
	for e := range ch {
		if e.Index == late.Index {
			return
		}
	}
	t.Error("the channel closed before the news came")
}

func BenchmarkList1000(b *testing.B) {
	needs.Root(b)
	name := fmt.Sprintf("wt-link-%d-bench", os.Getpid())
	if err := netns.Ensure(name, ""); err != nil {
		b.Fatal(err)
	}
	defer netns.Delete(name, "")
	h, err := OpenIn(name)
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	for i := range 500 {
		if _, err := h.Create(fmt.Sprintf("tap%d", i), Veth{Peer: fmt.Sprintf("p%d", i)}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if l, err := h.List(); err != nil || len(l) != 1001 {
			b.Fatal(len(l), err)
		}
	}
}
