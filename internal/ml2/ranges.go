package ml2

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Range is an inclusive range of segmentation ids that tenant networks may have.
type Range struct{ Min, Max int64 }

// ParseRange reads "MIN:MAX".
func ParseRange(s string) (Range, error) {
	lo, hi, ok := strings.Cut(s, ":")
	if !ok {
		return Range{}, fmt.Errorf("range %q is not MIN:MAX", s)
	}
	r := Range{}
	var err error
	if r.Min, err = strconv.ParseInt(strings.TrimSpace(lo), 10, 64); err != nil {
		return r, fmt.Errorf("range %q: %w", s, err)
	}
	if r.Max, err = strconv.ParseInt(strings.TrimSpace(hi), 10, 64); err != nil {
		return r, fmt.Errorf("range %q: %w", s, err)
	}
	if r.Min < 1 || r.Min > r.Max {
		return r, fmt.Errorf("range %q is empty", s)
	}
	return r, nil
}

// TypeRange is a configured range of a type.
type TypeRange struct {
	NetworkType, PhysicalNetwork string
	Range                        Range
}

// ranged are types whose segments have ids out of ranges.
type ranged interface{ Configured() []TypeRange }

// Ranges is the configured ranges of all types.
func (m *Manager) Ranges() []TypeRange {
	var out []TypeRange
	for _, t := range m.types {
		if r, ok := t.(ranged); ok {
			out = append(out, r.Configured()...)
		}
	}
	return out
}

// candidates is how many ids one query looks at.
const candidates = 8

// Taken reports whether a network has the segment.
func Taken(tx *store.Tx, networkType, physicalNetwork string, id int64) (bool, error) {
	return tx.Exists("SELECT 1 FROM segments WHERE network_type = ? AND physical_network = ? AND segmentation_id = ?",
		networkType, physicalNetwork, id)
}

// Pick chooses an id for a network of the project: of its own ranges if it has
// any, else of those of the configuration and those that all projects share, without
// what is another project's own. ok is false if none is free.
func Pick(tx *store.Tx, networkType, physicalNetwork, project string, configured []Range) (id int64, ok bool, err error) {
	own, shared, foreign, err := store.SegmentRanges(tx, networkType, physicalNetwork, project)
	if err != nil {
		return 0, false, err
	}
	if len(own) > 0 {
		if id, ok, err = pick(tx, networkType, physicalNetwork, Merge(rangesOf(own))); ok || err != nil {
			return id, ok, err
		}
	}
	if len(shared) > 0 {
		configured = Merge(append(rangesOf(shared), configured...))
	}
	return pick(tx, networkType, physicalNetwork, without(configured, rangesOf(foreign)))
}

func rangesOf(list [][2]int64) []Range {
	out := make([]Range, len(list))
	for i, r := range list {
		out[i] = Range{r[0], r[1]}
	}
	return out
}

// without is ranges less others.
func without(ranges, others []Range) []Range {
	for _, o := range others {
		var left []Range
		for _, r := range ranges {
			if o.Max < r.Min || o.Min > r.Max {
				left = append(left, r)
				continue
			}
			if r.Min < o.Min {
				left = append(left, Range{r.Min, o.Min - 1})
			}
			if o.Max < r.Max {
				left = append(left, Range{o.Max + 1, r.Max})
			}
		}
		ranges = left
	}
	return ranges
}

// pick chooses a free id at random, so that an id is not reused right after it was
// freed.
func pick(tx *store.Tx, networkType, physicalNetwork string, ranges []Range) (id int64, ok bool, err error) {
	total := int64(0)
	for _, r := range ranges {
		total += r.Max - r.Min + 1
	}
	if total == 0 {
		return 0, false, nil
	}
	args := []any{networkType, physicalNetwork}
	for range candidates {
		args = append(args, nth(ranges, rand.Int64N(total)))
	}
	taken := map[int64]bool{}
	err = tx.Query(`SELECT segmentation_id FROM segments WHERE network_type = ? AND physical_network = ?
		AND segmentation_id IN (?, ?, ?, ?, ?, ?, ?, ?)`, args, collect(taken))
	if err != nil {
		return 0, false, err
	}
	for _, c := range args[2:] {
		if !taken[c.(int64)] {
			return c.(int64), true, nil
		}
	}
	return pickDense(tx, networkType, physicalNetwork, ranges)
}

// pickDense looks at all that is taken, when guessing has found nothing.
func pickDense(tx *store.Tx, networkType, physicalNetwork string, ranges []Range) (int64, bool, error) {
	taken := map[int64]bool{}
	err := tx.Query("SELECT segmentation_id FROM segments WHERE network_type = ? AND physical_network = ?",
		[]any{networkType, physicalNetwork}, collect(taken))
	if err != nil {
		return 0, false, err
	}
	var free []int64
	for _, r := range ranges {
		for id := r.Min; id <= r.Max && len(free) < 100; id++ {
			if !taken[id] {
				free = append(free, id)
			}
		}
	}
	if len(free) == 0 {
		return 0, false, nil
	}
	return free[rand.IntN(len(free))], true, nil
}

func collect(ids map[int64]bool) func(func(...any) error) error {
	return func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		ids[id] = true
		return err
	}
}

func nth(ranges []Range, n int64) int64 {
	for _, r := range ranges {
		if size := r.Max - r.Min + 1; n >= size {
			n -= size
			continue
		}
		return r.Min + n
	}
	return 0
}

// Prohibited refuses, in Neutron's words, an attribute that the type has no use
// for.
func Prohibited(attr, networkType string) error {
	return weft.Invalid("%s prohibited for %s provider network", attr, networkType)
}

// NoneFree is the refusal when no segment is left to allocate.
func NoneFree() error {
	return weft.Errorf(weft.Unavailable, "NoNetworkAvailable", "Unable to create the network. No tenant network is available for allocation.")
}

// Merge sorts ranges and joins those that touch, so that no id counts twice.
func Merge(ranges []Range) []Range {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b Range) int { return int(a.Min - b.Min) })
	var out []Range
	for _, r := range sorted {
		if n := len(out); n > 0 && r.Min <= out[n-1].Max+1 {
			out[n-1].Max = max(out[n-1].Max, r.Max)
			continue
		}
		out = append(out, r)
	}
	return out
}
