package vxlan_test

import (
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/ml2/ml2test"
	"github.com/weftnet/weft/internal/ml2/types/vxlan"
)

func id(n int64) *int64 { return &n }

func TestType(t *testing.T) {
	ml2test.Type(t, ml2test.TypeCase{
		Type: vxlan.New([]ml2.Range{{Min: 1, Max: 10}, {Min: 5, Max: 12}, {Min: 20, Max: 20}}, ml2.MTU{}), Tenant: true, Room: 13, InUse: "TunnelIdInUse", LargeMTU: 1450,
		Good: []weft.Provider{{NetworkType: "vxlan", SegmentationID: id(5)}, {NetworkType: "vxlan", SegmentationID: id(1<<24 - 1)}},
		Bad: []weft.Provider{
			{NetworkType: "vxlan", PhysicalNetwork: "p"}, {NetworkType: "vxlan", SegmentationID: id(0)}, {NetworkType: "vxlan", SegmentationID: id(1<<24 - 1 + 1)},
		},
	})
}
