package store

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/weftnet/weft"
)

// Segments keeps the segments of networks. Those that come with a network are
// written with it and are no changes of their own in the log.
var Segments = Table[weft.Segment]{
	Name: "segments", Noun: "segment", NotFound: "SegmentNotFound", Visible: nobody,
	Columns: []Column[weft.Segment]{
		{Name: "network_id", Value: func(s *weft.Segment) any { return s.NetworkID }},
		{Name: "name", Value: func(s *weft.Segment) any { return string(s.Name) }},
		{Name: "description", Value: func(s *weft.Segment) any { return orEmpty(s.Description) }},
		{Name: "network_type", Value: func(s *weft.Segment) any { return s.NetworkType }},
		{Name: "physical_network", Value: func(s *weft.Segment) any { return string(s.PhysicalNetwork) }},
		{Name: "segmentation_id", Value: func(s *weft.Segment) any { return int64Or(s.SegmentationID, 0) }},
	},
}.Ready()

// nobody but admins sees the rows of a table.
func nobody(*weft.Caller) Cond { return Where("1 = 0") }

func int64Or(p *int64, absent int64) int64 {
	if p == nil {
		return absent
	}
	return *p
}

func orEmpty(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// indexSegments makes the segments of a network those in its document. A segment
// that stays keeps its id and its name.
func indexSegments(tx *Tx, old, n *weft.Network) error {
	var before, after []weft.Provider
	if old != nil {
		before = old.AllSegments()
	}
	if n != nil {
		after = n.AllSegments()
	}
	for _, p := range before {
		if slices.ContainsFunc(after, p.Same) {
			continue
		}
		if _, err := tx.Exec("DELETE FROM segments WHERE network_id = ? AND network_type = ? AND physical_network = ? AND segmentation_id = ?",
			old.ID, p.NetworkType, string(p.PhysicalNetwork), int64Or(p.SegmentationID, 0)); err != nil {
			return err
		}
	}
	for _, p := range after {
		if slices.ContainsFunc(before, p.Same) {
			continue
		}
		s := &weft.Segment{NetworkID: n.ID, NetworkType: p.NetworkType, PhysicalNetwork: p.PhysicalNetwork, SegmentationID: p.SegmentationID}
		if err := Segments.insert(tx, s); err != nil {
			return err
		}
	}
	return nil
}

// NetworkSegmentRanges keeps ranges of segmentation ids. What is used and available
// in one comes from the segments there are.
var NetworkSegmentRanges = Table[weft.NetworkSegmentRange]{
	Name: "network_segment_ranges", Noun: "network_segment_range", NotFound: "NetworkSegmentRangeNotFound", Label: "Network Segment Range", Visible: nobody,
	Columns: []Column[weft.NetworkSegmentRange]{
		{Name: "name", Value: func(r *weft.NetworkSegmentRange) any { return r.Name }},
		{Name: "description", Value: func(r *weft.NetworkSegmentRange) any { return r.Description }},
		{Name: "is_default", Attr: "default", Value: func(r *weft.NetworkSegmentRange) any { return btoi(r.Default) }},
		{Name: "shared", Value: func(r *weft.NetworkSegmentRange) any { return btoi(r.Shared) }},
		{Name: "network_type", Value: func(r *weft.NetworkSegmentRange) any { return r.NetworkType }},
		{Name: "physical_network", Value: func(r *weft.NetworkSegmentRange) any { return string(r.PhysicalNetwork) }},
		{Name: "minimum", Value: func(r *weft.NetworkSegmentRange) any { return r.Minimum }},
		{Name: "maximum", Value: func(r *weft.NetworkSegmentRange) any { return r.Maximum }},
	},
	Computed: []Computed{
		{Attr: "used", SQL: `COALESCE('{' || (SELECT STRING_AGG('"' || s.segmentation_id || '":"' || n.project_id || '"', ',') FROM segments s
			JOIN networks n ON n.id = s.network_id WHERE ` + inRange + `) || '}', '{}')`},
		{Attr: "available", SQL: `t.minimum || ' ' || t.maximum || COALESCE(' ' || (SELECT STRING_AGG(CAST(s.segmentation_id AS TEXT), ' ') FROM segments s
			WHERE ` + inRange + `), '')`, Render: availableIDs},
	},
}.Ready()

const inRange = `s.network_type = t.network_type AND s.physical_network = t.physical_network AND s.segmentation_id BETWEEN t.minimum AND t.maximum`

// availableIDs is the list of the ids from the first number to the second without
// the others.
func availableIDs(text []byte) []byte {
	var n []int64
	for _, f := range bytes.Fields(text) {
		v, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return []byte("[]")
		}
		n = append(n, v)
	}
	used := map[int64]bool{}
	for _, id := range n[2:] {
		used[id] = true
	}
	out := []byte{'['}
	for id := n[0]; id <= n[1]; id++ {
		if used[id] {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, id, 10)
	}
	return append(out, ']')
}

// SegmentRanges is the ranges of a type and physical network beside those of the
// configuration: those of the project, and those of all projects or of others.
func SegmentRanges(tx *Tx, networkType, physicalNetwork, project string) (own, shared, foreign [][2]int64, err error) {
	err = tx.Query(`SELECT minimum, maximum, shared, project_id FROM network_segment_ranges
		WHERE network_type = ? AND physical_network = ? AND is_default = 0`, []any{networkType, physicalNetwork}, func(scan func(...any) error) error {
		var r [2]int64
		var all int
		var owner string
		if err := scan(&r[0], &r[1], &all, &owner); err != nil {
			return err
		}
		switch {
		case all == 1:
			shared = append(shared, r)
		case owner == project:
			own = append(own, r)
		default:
			foreign = append(foreign, r)
		}
		return nil
	})
	return own, shared, foreign, err
}
