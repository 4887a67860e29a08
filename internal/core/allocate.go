package core

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// delegated is the subnetpool_id of subnets whose prefix comes by prefix
// delegation.
const delegated weft.ID = "prefix_delegation"

// findPool is the subnet pool that a subnet is to come from, nil if from none. The
// default pool goes into sn.SubnetPoolID. Errors: BadRequest for contradictory or
// insufficient requests, SubnetPoolNotFound.
func (s *Service) findPool(tx *store.Tx, sn *weft.Subnet, in SubnetRequest) (*weft.SubnetPool, error) {
	switch {
	case sn.CIDR.IsValid() && in.Prefixlen != nil:
		return nil, badRequest("subnets", "cidr and prefixlen must not be supplied together")
	case in.UseDefaultPool && sn.SubnetPoolID != "":
		return nil, badRequest("subnets", "subnetpool_id and use_default_subnetpool cannot both be specified")
	case in.UseDefaultPool:
		if err := s.useDefault(tx, sn); err != nil {
			return nil, err
		}
	}
	switch {
	case sn.SubnetPoolID == delegated:
		return nil, checkDelegation(sn)
	case sn.SubnetPoolID != "":
		return visiblePool(tx, string(sn.SubnetPoolID))
	case !sn.CIDR.IsValid():
		return nil, badRequest("subnets", "a subnetpool must be specified in the absence of a cidr")
	}
	return nil, nil
}

func (s *Service) useDefault(tx *store.Tx, sn *weft.Subnet) error {
	v := sn.IPVersion
	if sn.CIDR.IsValid() {
		v = version(sn.CIDR.Addr())
	}
	if v == 6 && s.cfg.PrefixDelegation {
		sn.SubnetPoolID = delegated
		return nil
	}
	pool, err := store.SubnetPools.First(tx, store.Eq("is_default", 1), store.Eq("ip_version", v))
	if err == nil && pool == nil {
		return badRequest("subnets", "No default subnetpool found for IPv%d", v)
	}
	if pool != nil {
		sn.SubnetPoolID = weft.ID(pool.ID)
	}
	return err
}

func checkDelegation(sn *weft.Subnet) error {
	switch {
	case sn.IPVersion != 6:
		return badRequest("subnets", "Prefix Delegation can only be used with IPv6 subnets")
	case sn.IPv6RAMode != weft.SLAAC && sn.IPv6RAMode != weft.DHCPv6Stateless:
		return badRequest("subnets", "IPv6 RA Mode must be SLAAC or Stateless for Prefix Delegation.")
	case sn.IPv6AddressMode != weft.SLAAC && sn.IPv6AddressMode != weft.DHCPv6Stateless:
		return badRequest("subnets", "IPv6 Address Mode must be SLAAC or Stateless for Prefix Delegation.")
	}
	return nil
}

func visiblePool(tx *store.Tx, id string) (*weft.SubnetPool, error) {
	pool, err := store.SubnetPools.Get(tx, id)
	if err != nil || tx.Caller.Admin || pool.ProjectID == tx.Caller.ProjectID {
		return pool, err
	}
	shared, err := store.SharedAs("subnetpool").With(tx, id, tx.Caller.ProjectID)
	if err == nil && !shared {
		err = store.SubnetPools.Missing(id)
	}
	return pool, err
}

// choosePrefix settles the prefix of a subnet and checks that the network may have
// it beside its other subnets. Errors are those of subnet pools.
func (s *Service) choosePrefix(tx *store.Tx, v *view, sn *weft.Subnet, pool *weft.SubnetPool, in SubnetRequest) error {
	if err := checkAffinity(tx, v, sn, pool); err != nil {
		return err
	}
	if pool == nil {
		if !sn.CIDR.IsValid() {
			sn.CIDR = provisional
		}
		return nil
	}
	switch {
	case pool.IPVersion != sn.IPVersion:
		return badRequest("subnets", "Cannot allocate IPv%d subnet from IPv%d subnet pool", sn.IPVersion, pool.IPVersion)
	case len(sn.AllocationPools) > 0 && !sn.CIDR.IsValid():
		return badRequest("subnets", "allocation_pools allowed only for specific subnet requests.")
	}
	return allocate(tx, sn, pool, in)
}

// checkAffinity keeps the subnets of one IP version on a network within one pool,
// or within one address scope where there is one.
func checkAffinity(tx *store.Tx, v *view, sn *weft.Subnet, pool *weft.SubnetPool) error {
	var scope weft.ID
	if pool != nil {
		scope = pool.AddressScopeID
	}
	for _, other := range v.subnets {
		if other.IPVersion != sn.IPVersion {
			continue
		}
		otherScope, err := scopeOf(tx, other)
		switch {
		case err != nil:
			return err
		case otherScope != "" && otherScope != scope:
			return weft.Errorf(weft.BadRequest, "NetworkAddressScopeAffinityError",
				"Subnets of the same address family hosted on the same network must all participate in the same address scope.")
		case otherScope == "" && other.SubnetPoolID != sn.SubnetPoolID:
			return weft.Errorf(weft.BadRequest, "NetworkSubnetPoolAffinityError", "Subnets hosted on the same network must be allocated from the same subnet pool.")
		}
	}
	return nil
}

func scopeOf(tx *store.Tx, sn *weft.Subnet) (weft.ID, error) {
	if sn.SubnetPoolID == "" || sn.SubnetPoolID == delegated {
		return "", nil
	}
	pool, err := store.SubnetPools.Get(tx, string(sn.SubnetPoolID))
	if err != nil {
		return "", err
	}
	return pool.AddressScopeID, nil
}

// allocate takes from the pool the prefix that is asked for, or one that is free.
func allocate(tx *store.Tx, sn *weft.Subnet, pool *weft.SubnetPool, in SubnetRequest) error {
	length := int(pool.DefaultPrefixlen)
	switch {
	case sn.CIDR.IsValid():
		length = sn.CIDR.Bits()
	case in.Prefixlen != nil:
		length = *in.Prefixlen
	}
	switch {
	case length > int(pool.MaxPrefixlen):
		return weft.Errorf(weft.BadRequest, "MaxPrefixSubnetAllocationError",
			"Unable to allocate subnet with prefix length %d, maximum allowed prefix is %d.", length, pool.MaxPrefixlen)
	case length < int(pool.MinPrefixlen):
		return weft.Errorf(weft.BadRequest, "MinPrefixSubnetAllocationError",
			"Unable to allocate subnet with prefix length %d, minimum allowed prefix is %d.", length, pool.MinPrefixlen)
	}
	taken, err := store.Subnets.Find(tx, store.Eq("subnetpool_id", pool.ID))
	if err != nil {
		return err
	}
	if err := checkPoolQuota(sn.ProjectID, pool, taken, length); err != nil {
		return err
	}
	free := subtract(pool.Prefixes, prefixesOf(taken))
	if sn.CIDR.IsValid() {
		if !slices.ContainsFunc(free, func(p netip.Prefix) bool { return covers(p, sn.CIDR) }) {
			return allocationError("Cannot allocate requested subnet from the available set of prefixes")
		}
		return nil
	}
	block, ok := smallest(free, length)
	if !ok {
		return allocationError("Insufficient prefix space to allocate subnet size /%d", length)
	}
	sn.CIDR = netip.PrefixFrom(block.Addr(), length)
	return nil
}

// allocationError is a 500 in Neutron. It is a conflict: others have the prefixes.
func allocationError(format string, args ...any) error {
	return weft.Errorf(weft.Conflict, "SubnetAllocationError", "Failed to allocate subnet: "+format+".", args...)
}

// smallest is the smallest block that holds a prefix of the length, the lowest of
// these: what is large stays whole.
func smallest(free []netip.Prefix, length int) (netip.Prefix, bool) {
	var best netip.Prefix
	for _, p := range free {
		if p.Bits() <= length && (!best.IsValid() || p.Bits() > best.Bits() || p.Bits() == best.Bits() && p.Addr().Less(best.Addr())) {
			best = p
		}
	}
	return best, best.IsValid()
}

// checkPoolQuota refuses a prefix that would exceed what one project may have out
// of the pool. IPv4 counts in addresses, IPv6 in /64.
func checkPoolQuota(project string, pool *weft.SubnetPool, taken []*weft.Subnet, length int) error {
	if pool.DefaultQuota == nil {
		return nil
	}
	used := units(pool.IPVersion, length)
	for _, t := range taken {
		if t.ProjectID == project {
			used += units(pool.IPVersion, t.CIDR.Bits())
		}
	}
	if used > float64(*pool.DefaultQuota) {
		return weft.Errorf(weft.Conflict, "SubnetPoolQuotaExceeded", "Per-tenant subnet pool prefix quota exceeded.")
	}
	return nil
}

func units(version, length int) float64 {
	n := 1.0
	for range map[int]int{4: 32, 6: 64}[version] - length {
		n *= 2
	}
	return n
}

func covers(p, q netip.Prefix) bool { return p.Bits() <= q.Bits() && p.Contains(q.Addr()) }

// Prefixes that were made compact can be searched: they are in order of address, and
// none lies in another.

// from is the index of the first of compact prefixes at or behind an address.
func from(compact []netip.Prefix, a netip.Addr) int {
	i, _ := slices.BinarySearchFunc(compact, a, func(p netip.Prefix, a netip.Addr) int { return p.Addr().Compare(a) })
	return i
}

// covered reports whether one of compact prefixes covers q.
func covered(compact []netip.Prefix, q netip.Prefix) bool {
	i := from(compact, q.Addr())
	return i < len(compact) && covers(compact[i], q) || i > 0 && covers(compact[i-1], q)
}

// overlaps reports whether one of compact prefixes has an address in common with q.
func overlaps(compact []netip.Prefix, q netip.Prefix) bool {
	i := from(compact, q.Masked().Addr())
	return i < len(compact) && compact[i].Overlaps(q) || i > 0 && compact[i-1].Overlaps(q)
}

// overlap reports whether any prefixes have an address in common with others.
func overlap(prefixes, others []netip.Prefix) bool {
	c := compact(prefixes)
	return slices.ContainsFunc(others, func(q netip.Prefix) bool { return overlaps(c, q) })
}

func prefixesOf(subnets []*weft.Subnet) []netip.Prefix {
	out := make([]netip.Prefix, len(subnets))
	for i, sn := range subnets {
		out[i] = sn.CIDR
	}
	return out
}

// subtract is what is left of prefixes without those used, in order of address.
func subtract(prefixes, used []netip.Prefix) []netip.Prefix {
	var left []netip.Prefix
	used = compact(used)
	for _, p := range sortPrefixes(prefixes) {
		i := from(used, p.Addr())
		if i > 0 && covers(used[i-1], p) {
			continue
		}
		j := i
		for j < len(used) && p.Overlaps(used[j]) {
			j++
		}
		left = carve(left, p, used[i:j])
	}
	return left
}

// carve appends p without compact prefixes that lie in it, or the one that covers it.
func carve(left []netip.Prefix, p netip.Prefix, used []netip.Prefix) []netip.Prefix {
	switch {
	case len(used) == 0:
		return append(left, p)
	case covers(used[0], p):
		return left
	}
	low, high := halves(p)
	k := from(used, high.Addr())
	return carve(carve(left, low, used[:k]), high, used[k:])
}

func halves(p netip.Prefix) (low, high netip.Prefix) {
	bits := p.Bits() + 1
	b := p.Addr().AsSlice()
	b[(bits-1)/8] |= 0x80 >> ((bits - 1) % 8)
	a, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(p.Addr(), bits), netip.PrefixFrom(a, bits)
}

// compact joins prefixes: none of the result lies in another, and no two are the
// halves of one.
func compact(prefixes []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range sortPrefixes(prefixes) {
		if n := len(out); n > 0 && covers(out[n-1], p) {
			continue
		}
		out = append(out, p)
		for n := len(out); n > 1 && twins(out[n-2], out[n-1]); n = len(out) {
			out = append(out[:n-2], netip.PrefixFrom(out[n-2].Addr(), out[n-2].Bits()-1))
		}
	}
	return out
}

func twins(a, b netip.Prefix) bool {
	if a.Bits() != b.Bits() || a.Bits() == 0 {
		return false
	}
	low, high := halves(netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked())
	return low == a && high == b
}

func sortPrefixes(prefixes []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(prefixes))
	for i, p := range prefixes {
		out[i] = p.Masked()
	}
	slices.SortFunc(out, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return out
}
