package gre_test

import (
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/ml2/ml2test"
	"github.com/weftnet/weft/internal/ml2/types/gre"
)

func id(n int64) *int64 { return &n }

func TestType(t *testing.T) {
	ml2test.Type(t, ml2test.TypeCase{
		Type: gre.New([]ml2.Range{{Min: 1, Max: 10}, {Min: 5, Max: 12}, {Min: 20, Max: 20}}, ml2.MTU{}), Tenant: true, Room: 13, InUse: "TunnelIdInUse", LargeMTU: 1458,
		Good: []weft.Provider{{NetworkType: "gre", SegmentationID: id(5)}, {NetworkType: "gre", SegmentationID: id(1<<32 - 1)}},
		Bad: []weft.Provider{
			{NetworkType: "gre", PhysicalNetwork: "p"}, {NetworkType: "gre", SegmentationID: id(0)}, {NetworkType: "gre", SegmentationID: id(1<<32 - 1 + 1)},
		},
	})
}
