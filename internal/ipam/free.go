package ipam

import (
	"math/rand/v2"
	"net/netip"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

const (
	guesses     = 8    // addresses looked up by one query
	firstWindow = 1024 // addresses at the start of the pools that guesses come from, at first
	growth      = 16   // by which the window grows when all guesses are taken
)

// span is a subnet's pools seen as one range of numbers from 0.
type span struct {
	pools []weft.AllocationPool
	size  uint64
}

func spanOf(pools []weft.AllocationPool) span {
	s := span{pools: pools}
	for _, p := range pools {
		s.size = min(unbounded, s.size+count(p.Start, p.End))
	}
	return s
}

func (s span) at(n uint64) netip.Addr {
	for _, p := range s.pools {
		c := count(p.Start, p.End)
		if n < c {
			return add(p.Start, n)
		}
		n -= c
	}
	return netip.Addr{}
}

// sample is up to guesses different addresses among the first window ones.
func (s span) sample(window uint64, draw Draw) []netip.Addr {
	if window <= guesses {
		out := make([]netip.Addr, 0, guesses)
		for _, n := range rand.Perm(int(window)) {
			out = append(out, s.at(uint64(n)))
		}
		return out
	}
	out := make([]netip.Addr, guesses)
	for i := range out {
		out[i] = s.at(draw(window))
	}
	return out
}

// finder finds free addresses for one port.
type finder struct {
	tx      *store.Tx
	draw    Draw
	lowest  bool                  // take the lowest free address rather than any
	pending map[weft.FixedIP]bool // chosen for this port, not in the store yet
}

// free finds an address in the subnet's pools that no port has; ok is false if
// there is none.
//
// Guessing near the start of the pools finds one with a single query as long as
// that part is not nearly full, and keeps addresses readable in large subnets.
// That an address is not given again right after it was released is worth the
// randomness: neighbours still have the old owner in their ARP caches.
func (f *finder) free(sn *weft.Subnet) (a netip.Addr, ok bool, err error) {
	s := spanOf(sn.AllocationPools)
	if f.lowest || s.size == 0 {
		return f.gap(sn)
	}
	// Most of the time the first guess is right, and one look-up is cheaper than
	// eight at once.
	first := s.at(f.draw(min(firstWindow, s.size)))
	used, err := taken(f.tx, sn.ID, first)
	if err != nil || !used && !f.pending[weft.FixedIP{SubnetID: sn.ID, IPAddress: first}] {
		return first, err == nil, err
	}
	for window := uint64(firstWindow); ; window *= growth {
		w := min(window, s.size)
		a, ok, err := f.guess(sn, s.sample(w, f.draw))
		if err != nil || ok {
			return a, ok, err
		}
		if w == s.size || window > unbounded/growth {
			return f.gap(sn)
		}
	}
}

func (f *finder) guess(sn *weft.Subnet, candidates []netip.Addr) (netip.Addr, bool, error) {
	used, err := takenOf(f.tx, sn.ID, candidates)
	if err != nil {
		return netip.Addr{}, false, err
	}
	for _, a := range candidates {
		if !used[store.SortKey(a)] && !f.pending[weft.FixedIP{SubnetID: sn.ID, IPAddress: a}] {
			return a, true, nil
		}
	}
	return netip.Addr{}, false, nil
}

// taken reports whether a port has the address.
func taken(tx *store.Tx, subnetID string, a netip.Addr) (bool, error) {
	return tx.Exists("SELECT 1 FROM ip_allocations WHERE subnet_id = ? AND sort = ?", subnetID, store.SortKey(a))
}

// takenOf is the sort keys of those of up to guesses addresses that ports have.
func takenOf(tx *store.Tx, subnetID string, addrs []netip.Addr) (map[string]bool, error) {
	args := make([]any, 1+guesses)
	args[0] = subnetID
	for i := range guesses {
		args[1+i] = store.SortKey(addrs[min(i, len(addrs)-1)])
	}
	used := make(map[string]bool, guesses)
	err := tx.Query("SELECT sort FROM ip_allocations WHERE subnet_id = ? AND sort IN (?, ?, ?, ?, ?, ?, ?, ?)", args, func(scan func(...any) error) error {
		var key string
		err := scan(&key)
		used[key] = true
		return err
	})
	return used, err
}

// gap finds the lowest free address of the first pool that has one. It counts
// rather than reads what is taken, in blocks of doubling size and then by
// halving the block that is not full, so its cost is that of counting up to the
// gap twice.
func (f *finder) gap(sn *weft.Subnet) (netip.Addr, bool, error) {
	for _, p := range sn.AllocationPools {
		size := count(p.Start, p.End)
		for from, block := uint64(0), uint64(guesses); from < size; from, block = from+block, block*2 {
			n := min(block, size-from)
			full, err := f.full(sn.ID, add(p.Start, from), n)
			if err != nil {
				return netip.Addr{}, false, err
			}
			if !full {
				a, err := f.halve(sn.ID, add(p.Start, from), n)
				return a, err == nil, err
			}
		}
	}
	return netip.Addr{}, false, nil
}

// halve finds the lowest free address of n from a, of which one is free.
func (f *finder) halve(subnetID string, a netip.Addr, n uint64) (netip.Addr, error) {
	for n > 1 {
		half := n / 2
		full, err := f.full(subnetID, a, half)
		if err != nil {
			return netip.Addr{}, err
		}
		if full {
			a, n = add(a, half), n-half
		} else {
			n = half
		}
	}
	return a, nil
}

// full reports whether all n addresses from a are taken.
func (f *finder) full(subnetID string, a netip.Addr, n uint64) (bool, error) {
	z := add(a, n-1)
	used := uint64(0)
	_, err := f.tx.QueryRow("SELECT COUNT(*) FROM ip_allocations WHERE subnet_id = ? AND sort BETWEEN ? AND ?",
		[]any{subnetID, store.SortKey(a), store.SortKey(z)}, &used)
	for p := range f.pending {
		if p.SubnetID == subnetID && !p.IPAddress.Less(a) && !z.Less(p.IPAddress) {
			used++
		}
	}
	return used == n, err
}
