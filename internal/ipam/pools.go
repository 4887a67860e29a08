package ipam

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/weftnet/weft"
)

// Gateway is the gateway of a subnet that names none: the first address of an
// IPv4 subnet, and of an IPv6 subnet the subnet-router anycast address.
func Gateway(cidr netip.Prefix) netip.Addr {
	first := cidr.Masked().Addr()
	if first.Is4() {
		return first.Next()
	}
	return first
}

// Usable is the range of addresses that pools may cover: without the network and
// broadcast addresses of IPv4, without the anycast address of IPv6.
func Usable(cidr netip.Prefix) weft.AllocationPool {
	first, last := cidr.Masked().Addr(), last(cidr)
	switch {
	case first.Is4() && cidr.Bits() >= 31, cidr.IsSingleIP():
	case first.Is4():
		first, last = first.Next(), last.Prev()
	default:
		first = first.Next()
	}
	return weft.AllocationPool{Start: first, End: last}
}

// Pools are the pools of a subnet that names none: all that is usable but the
// gateway.
func Pools(cidr netip.Prefix, gateway netip.Addr) []weft.AllocationPool {
	all := Usable(cidr)
	if !gateway.IsValid() || !contains(all, gateway) {
		return []weft.AllocationPool{all}
	}
	var out []weft.AllocationPool
	if all.Start.Less(gateway) {
		out = append(out, weft.AllocationPool{Start: all.Start, End: gateway.Prev()})
	}
	if gateway.Less(all.End) {
		out = append(out, weft.AllocationPool{Start: gateway.Next(), End: all.End})
	}
	return out
}

func contains(p weft.AllocationPool, a netip.Addr) bool {
	return !a.Less(p.Start) && !p.End.Less(a)
}

// CheckPools refuses pools that are not ranges of the subnet's usable addresses,
// overlap each other, or hold its gateway.
func CheckPools(cidr netip.Prefix, gateway netip.Addr, pools []weft.AllocationPool) error {
	bounds := Usable(cidr)
	for _, p := range pools {
		if p.Start.Is4() != cidr.Addr().Is4() || p.End.Is4() != cidr.Addr().Is4() {
			return weft.Errorf(weft.BadRequest, "InvalidAllocationPool", "The allocation pool %s is not valid.", poolText(p))
		}
		if p.End.Less(p.Start) {
			return weft.Errorf(weft.BadRequest, "InvalidAllocationPool", "The allocation pool {'start': '%s', 'end': '%s'} is not valid.", p.Start, p.End)
		}
		if !contains(bounds, p.Start) || !contains(bounds, p.End) {
			return weft.Errorf(weft.BadRequest, "OutOfBoundsAllocationPool", "The allocation pool %s spans beyond the subnet cidr %s.", poolText(p), cidr)
		}
	}
	sorted := slices.Clone(pools)
	slices.SortFunc(sorted, func(a, b weft.AllocationPool) int { return a.Start.Compare(b.Start) })
	for i := 1; i < len(sorted); i++ {
		if !sorted[i-1].End.Less(sorted[i].Start) {
			return weft.Errorf(weft.Conflict, "OverlappingAllocationPools", "Found overlapping allocation pools: %s %s for subnet %s.",
				poolText(sorted[i-1]), poolText(sorted[i]), cidr)
		}
	}
	return CheckGateway(gateway, pools)
}

// CheckGateway refuses a gateway that lies in a pool.
func CheckGateway(gateway netip.Addr, pools []weft.AllocationPool) error {
	for _, p := range pools {
		if gateway.IsValid() && contains(p, gateway) {
			return weft.Errorf(weft.Conflict, "GatewayConflictWithAllocationPools", "Gateway ip %s conflicts with allocation pool %s.", gateway, poolText(p))
		}
	}
	return nil
}

func poolText(p weft.AllocationPool) string { return fmt.Sprintf("%s-%s", p.Start, p.End) }

// Assignable reports whether an address of the subnet may be asked for by name.
// Only a router may have the anycast address of an IPv6 subnet.
func Assignable(cidr netip.Prefix, a netip.Addr, router bool) bool {
	switch {
	case !cidr.Contains(a):
		return false
	case a.Is4() && cidr.Bits() < 31:
		return a != cidr.Masked().Addr() && a != last(cidr)
	case a.Is6() && !cidr.IsSingleIP():
		return router || a != cidr.Masked().Addr()
	}
	return true
}
