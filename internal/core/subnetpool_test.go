package core

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func (b *bench) createPool(p *weft.SubnetPool, given ...string) error {
	if p.ProjectID == "" {
		p.ProjectID = b.caller.ProjectID
	}
	return b.do(func(tx *store.Tx) error { return b.s.CreateSubnetPool(tx, p, givenOf(given)) })
}

func (b *bench) pool(p *weft.SubnetPool, given ...string) *weft.SubnetPool {
	b.t.Helper()
	if err := b.createPool(p, given...); err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) updatePool(id string, change func(*weft.SubnetPool), given ...string) error {
	return b.do(func(tx *store.Tx) error {
		old, err := store.SubnetPools.Get(tx, id)
		if err != nil {
			return err
		}
		p := weft.Clone(old)
		change(p)
		return b.s.UpdateSubnetPool(tx, old, p, givenOf(given))
	})
}

func (b *bench) scope(version int) *weft.AddressScope {
	b.t.Helper()
	a := &weft.AddressScope{Name: "s", IPVersion: version}
	a.ProjectID = b.caller.ProjectID
	b.must(func(tx *store.Tx) error { return b.s.CreateAddressScope(tx, a) })
	return a
}

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range texts {
		out = append(out, prefix(s))
	}
	return out
}

func texts(ps []netip.Prefix) []string {
	var out []string
	for _, p := range ps {
		out = append(out, p.String())
	}
	return out
}

func TestCreateSubnetPool(t *testing.T) {
	b := newBench(t)
	p := b.pool(&weft.SubnetPool{Prefixes: prefixes("10.128.0.0/9", "10.0.0.0/9", "10.1.0.0/16"), IsDefault: true})
	if diff := cmp.Diff([]string{"10.0.0.0/8"}, texts(p.Prefixes)); diff != "" {
		t.Error(diff)
	}
	if p.IPVersion != 4 || p.MinPrefixlen != 8 || p.MaxPrefixlen != 32 || p.DefaultPrefixlen != 8 {
		t.Errorf("%+v", p)
	}
	scope, scope6 := b.scope(4), b.scope(6)
	b.pool(&weft.SubnetPool{Prefixes: prefixes("172.16.0.0/12"), AddressScopeID: weft.ID(scope.ID)})
	for _, tc := range []struct {
		name         string
		pool         weft.SubnetPool
		given        []string
		typ, message string
	}{
		{"no prefix", weft.SubnetPool{}, nil, "EmptySubnetPoolPrefixList", "Empty subnet pool prefix list."},
		{"mixed", weft.SubnetPool{Prefixes: prefixes("10.0.0.0/8", "2001:db8::/32")}, nil, "PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool."},
		{"min above max", weft.SubnetPool{Prefixes: prefixes("10.0.0.0/8"), MinPrefixlen: 20, MaxPrefixlen: 16}, []string{"min_prefixlen", "max_prefixlen"},
			"IllegalSubnetPoolPrefixBounds", "Illegal prefix bounds: min_prefixlen=20, max_prefixlen=16."},
		{"default below min", weft.SubnetPool{Prefixes: prefixes("10.0.0.0/8"), MinPrefixlen: 20, DefaultPrefixlen: 16}, []string{"min_prefixlen", "default_prefixlen"},
			"IllegalSubnetPoolPrefixBounds", "Illegal prefix bounds: default_prefixlen=16, min_prefixlen=20."},
		{"second default", weft.SubnetPool{Prefixes: prefixes("10.0.0.0/8"), IsDefault: true}, nil, "InvalidInput", "Invalid input for operation: " +
			"A default subnetpool for this IP family has already been set. Only one default may exist per IP family."},
		{"scope version", weft.SubnetPool{Prefixes: prefixes("10.0.0.0/8"), AddressScopeID: weft.ID(scope6.ID)}, nil, "IllegalSubnetPoolIpVersionAssociationToAddressScope", ""},
		{"scope overlap", weft.SubnetPool{Prefixes: prefixes("172.20.0.0/16"), AddressScopeID: weft.ID(scope.ID)}, nil, "AddressScopePrefixConflict",
			"Failed to associate address scope: subnetpools within an address scope must have unique prefixes."},
		{"no such scope", weft.SubnetPool{Prefixes: prefixes("10.0.0.0/8"), AddressScopeID: "x"}, nil, "AddressScopeNotFound", "Address scope x could not be found."},
	} {
		t.Run(tc.name, func(t *testing.T) { wantRefusal(t, b.createPool(&tc.pool, tc.given...), tc.typ, tc.message) })
	}
	err := b.as(member("p2")).createPool(&weft.SubnetPool{Prefixes: prefixes("10.0.0.0/8"), AddressScopeID: weft.ID(scope.ID)})
	wantRefusal(t, err, "AddressScopeNotFound", "")
	b.must(func(tx *store.Tx) error {
		wantRefusal(t, b.s.DeleteAddressScope(tx, scope), "AddressScopeInUse",
			"Unable to complete operation on address scope "+scope.ID+". There are one or more subnet pools in use on the address scope.")
		if err := b.s.ShareAddressScope(tx, scope, true); err != nil {
			return err
		}
		wantRefusal(t, b.s.ShareAddressScope(tx, scope, false), "AddressScopeUpdateError", "")
		return nil
	})
}

func TestSubnetsFromPool(t *testing.T) {
	b := newBench(t)
	quota := 512
	p := b.pool(&weft.SubnetPool{Prefixes: prefixes("10.0.0.0/22", "10.9.0.0/24"), DefaultPrefixlen: 24, MinPrefixlen: 20, MaxPrefixlen: 28, DefaultQuota: &quota},
		"default_prefixlen", "min_prefixlen", "max_prefixlen")
	n := b.network()
	length := func(v int) SubnetRequest { return SubnetRequest{Prefixlen: &v} }
	take := func(sn *weft.Subnet, in SubnetRequest) error {
		sn.NetworkID, sn.SubnetPoolID = n.ID, weft.ID(p.ID)
		return b.createSubnet(sn, in)
	}
	first := &weft.Subnet{}
	if err := take(first, SubnetRequest{}); err != nil || first.CIDR != prefix("10.9.0.0/24") || first.GatewayIP.String() != "10.9.0.1" {
		t.Errorf("the smallest block is %s: %v", first.CIDR, err)
	}
	small := &weft.Subnet{}
	if err := take(small, length(26)); err != nil || small.CIDR != prefix("10.0.0.0/26") {
		t.Errorf("the lowest subnet is %s: %v", small.CIDR, err)
	}
	wantRefusal(t, take(&weft.Subnet{}, length(29)), "MaxPrefixSubnetAllocationError",
		"Unable to allocate subnet with prefix length 29, maximum allowed prefix is 28.")
	wantRefusal(t, take(&weft.Subnet{}, length(19)), "MinPrefixSubnetAllocationError",
		"Unable to allocate subnet with prefix length 19, minimum allowed prefix is 20.")
	wantRefusal(t, take(&weft.Subnet{CIDR: prefix("10.0.0.0/25")}, SubnetRequest{}), "SubnetAllocationError",
		"Failed to allocate subnet: Cannot allocate requested subnet from the available set of prefixes.")
	wantRefusal(t, take(&weft.Subnet{}, length(23)), "SubnetPoolQuotaExceeded", "Per-tenant subnet pool prefix quota exceeded.")
	wantRefusal(t, take(&weft.Subnet{IPVersion: 6}, SubnetRequest{}), "BadRequest", "Bad subnets request: Cannot allocate IPv6 subnet from IPv4 subnet pool.")
	wantRefusal(t, take(&weft.Subnet{AllocationPools: pools("10.0.0.2", "10.0.0.3")}, SubnetRequest{}), "BadRequest",
		"Bad subnets request: allocation_pools allowed only for specific subnet requests..")
	wantRefusal(t, b.as(admin("p2")).createSubnet(&weft.Subnet{NetworkID: n.ID, SubnetPoolID: weft.ID(p.ID)}, length(23)), "", "")
	wantRefusal(t, b.as(admin("p3")).createSubnet(&weft.Subnet{NetworkID: n.ID, SubnetPoolID: weft.ID(p.ID)}, length(23)),
		"SubnetAllocationError", "Failed to allocate subnet: Insufficient prefix space to allocate subnet size /23.")
	wantRefusal(t, b.createSubnet(&weft.Subnet{NetworkID: n.ID, CIDR: prefix("10.200.0.0/24")}, SubnetRequest{}), "NetworkSubnetPoolAffinityError",
		"Subnets hosted on the same network must be allocated from the same subnet pool.")
	b.must(func(tx *store.Tx) error {
		wantRefusal(t, b.s.DeleteSubnetPool(tx, p), "SubnetPoolDeleteError", "Unable to delete subnet pool: Subnet pool has existing allocations.")
		return nil
	})
	wantRefusal(t, b.updatePool(p.ID, func(p *weft.SubnetPool) { p.Prefixes = prefixes("10.0.0.0/22") }, "prefixes"), "IllegalSubnetPoolPrefixUpdate",
		"Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes.")
	wantRefusal(t, b.updatePool(p.ID, func(p *weft.SubnetPool) { p.Prefixes = prefixes("10.0.0.0/8") }, "prefixes"), "", "")
}

func TestAddressScopeAffinity(t *testing.T) {
	b := newBench(t)
	scope, second := b.scope(4), b.scope(4)
	pool := func(cidr string, scope *weft.AddressScope) weft.ID {
		p := &weft.SubnetPool{Prefixes: prefixes(cidr), DefaultPrefixlen: 24}
		if scope != nil {
			p.AddressScopeID = weft.ID(scope.ID)
		}
		return weft.ID(b.pool(p, "default_prefixlen").ID)
	}
	a, same, foreign, plain := pool("10.0.0.0/16", scope), pool("10.1.0.0/16", scope), pool("10.2.0.0/16", second), pool("10.3.0.0/16", nil)
	n := b.network()
	for _, tc := range []struct {
		pool weft.ID
		typ  string
	}{{a, ""}, {same, ""}, {foreign, "NetworkAddressScopeAffinityError"}, {plain, "NetworkAddressScopeAffinityError"}} {
		wantRefusal(t, b.createSubnet(&weft.Subnet{NetworkID: n.ID, SubnetPoolID: tc.pool}, SubnetRequest{}), tc.typ, "")
	}
}

func TestPrefixArithmetic(t *testing.T) {
	for _, tc := range []struct{ from, used, want []string }{
		{[]string{"10.0.0.0/24"}, nil, []string{"10.0.0.0/24"}},
		{[]string{"10.0.0.0/24"}, []string{"10.0.0.64/26"}, []string{"10.0.0.0/26", "10.0.0.128/25"}},
		{[]string{"10.0.0.0/24"}, []string{"10.0.0.0/24"}, nil},
		{[]string{"10.0.0.0/24"}, []string{"10.0.0.0/8"}, nil},
		{[]string{"2001:db8::/62"}, []string{"2001:db8:0:1::/64"}, []string{"2001:db8::/64", "2001:db8:0:2::/63"}},
	} {
		if diff := cmp.Diff(tc.want, texts(subtract(prefixes(tc.from...), prefixes(tc.used...)))); diff != "" {
			t.Errorf("%v - %v: %s", tc.from, tc.used, diff)
		}
	}
	if diff := cmp.Diff([]string{"10.0.0.0/22"}, texts(compact(prefixes("10.0.3.0/24", "10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.0.7/32")))); diff != "" {
		t.Error(diff)
	}
}
