package vlan_test

import (
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/ml2/ml2test"
	"github.com/weftnet/weft/internal/ml2/types/vlan"
)

func id(n int64) *int64 { return &n }

func TestType(t *testing.T) {
	ranges := map[string][]ml2.Range{"a": {{Min: 10, Max: 12}}, "b": nil, "c": {{Min: 10, Max: 10}}}
	ml2test.Type(t, ml2test.TypeCase{
		Type: vlan.New(ranges, ml2.MTU{}), Tenant: true, Room: 4, InUse: "VlanIdInUse", Physnet: "a", LargeMTU: 1500,
		Good: []weft.Provider{
			{NetworkType: "vlan", PhysicalNetwork: "a", SegmentationID: id(4094)}, {NetworkType: "vlan", PhysicalNetwork: "b", SegmentationID: id(4094)},
		},
		Bad: []weft.Provider{
			{NetworkType: "vlan", SegmentationID: id(3)}, {NetworkType: "vlan", PhysicalNetwork: "x", SegmentationID: id(3)},
			{NetworkType: "vlan", PhysicalNetwork: "b"}, {NetworkType: "vlan", PhysicalNetwork: "a", SegmentationID: id(4095)},
		},
	})
}
