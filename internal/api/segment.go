package api

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// SegmentService is what the API asks of segments and of the ranges of their ids.
type SegmentService interface {
	CreateSegment(tx *store.Tx, s *weft.Segment) error
	UpdateSegment(tx *store.Tx, s *weft.Segment) error
	DeleteSegment(tx *store.Tx, s *weft.Segment) error
	CreateRange(tx *store.Tx, r *weft.NetworkSegmentRange) error
	UpdateRange(tx *store.Tx, old, r *weft.NetworkSegmentRange) error
	DeleteRange(tx *store.Tx, r *weft.NetworkSegmentRange) error
}

// Segments is the table of segments.
func Segments(svc SegmentService) *Resource[weft.Segment] {
	return &Resource[weft.Segment]{
		Singular: "segment", Plural: "segments", Table: store.Segments,
		Veiled:     true,
		Implements: []string{"segment", "standard-attr-segment", "l2_adjacency", "ip_allocation", "subnet-segmentid-writable", "segments-peer-subnet-host-routes"},
		Attrs: table(identOnly(), ext("standard-attr-segment",
			row("description", "CUVF", "", text(255)), // only that of a segment made with its network is null
			row("created_at", "V", Unset, anyType),
			row("updated_at", "V", Unset, anyType),
			row("revision_number", "VF", Unset, integer())),
			ext("segment",
				row("network_id", "CVFSR", Unset, uuidType),
				row("network_type", "CVFSR", Unset, text(32)),
				row("physical_network", "CVFS", nil, text(64).orNull()),
				row("segmentation_id", "CVFS", nil, integerOrNull),
				row("name", "CUVFS", nil, text(255).orNull()))),
		Create: func(tx *store.Tx, s *weft.Segment, _ Request) error { return svc.CreateSegment(tx, s) },
		Update: func(tx *store.Tx, _, s *weft.Segment, _ Request) error { return svc.UpdateSegment(tx, s) },
		Delete: svc.DeleteSegment,
	}
}

// NetworkSegmentRanges is the table of ranges of segmentation ids.
func NetworkSegmentRanges(svc SegmentService) *Resource[weft.NetworkSegmentRange] {
	return &Resource[weft.NetworkSegmentRange]{
		Singular: "network_segment_range", Plural: "network_segment_ranges", Table: store.NetworkSegmentRanges,
		Veiled:     true,
		Implements: []string{"network-segment-range"},
		Attrs: table(ident(), standard(), tagged(), ext("network-segment-range",
			row("name", "CUVFS", "", text(255)),
			row("default", "V", Unset, boolean),
			row("shared", "CV", true, boolean),
			row("network_type", "CVFR", Unset, oneOf(weft.TypeVLAN, weft.TypeVXLAN, weft.TypeGRE, weft.TypeGeneve)),
			row("physical_network", "CVF", nil, text(64).orNull()),
			row("minimum", "CUVR", Unset, between(1, 4294967295)),
			row("maximum", "CUVR", Unset, between(1, 4294967295)),
			row("used", "V", Unset, anyType),
			row("available", "V", Unset, anyType))),
		Create: func(tx *store.Tx, r *weft.NetworkSegmentRange, _ Request) error { return svc.CreateRange(tx, r) },
		Update: func(tx *store.Tx, old, r *weft.NetworkSegmentRange, _ Request) error {
			return svc.UpdateRange(tx, old, r)
		},
		Delete: svc.DeleteRange,
	}
}
