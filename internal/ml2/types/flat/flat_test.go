package flat_test

import (
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/ml2/ml2test"
	"github.com/weftnet/weft/internal/ml2/types/flat"
)

func id(n int64) *int64 { return &n }

func TestType(t *testing.T) {
	ml2test.Type(t, ml2test.TypeCase{
		Type: flat.New([]string{"a", "b"}, ml2.MTU{Physical: map[string]int{"a": 1400, "b": 9000}}), InUse: "FlatNetworkInUse", Physnet: "a", LargeMTU: 1400,
		Good: []weft.Provider{{NetworkType: "flat", PhysicalNetwork: "a"},
			{NetworkType: "flat", PhysicalNetwork: "b", SegmentationID: id(0)}},
		Bad: []weft.Provider{
			{NetworkType: "flat"}, {NetworkType: "flat", PhysicalNetwork: "c"}, {NetworkType: "flat", PhysicalNetwork: "a", SegmentationID: id(3)},
		},
	})
}

func TestAnyPhysicalNetworkAndNone(t *testing.T) {
	p := weft.Provider{NetworkType: "flat", PhysicalNetwork: "x"}
	if err := flat.New([]string{"*"}, ml2.MTU{}).Validate(p); err != nil {
		t.Error(err)
	}
	if err := flat.New(nil, ml2.MTU{}).Validate(p); !weft.IsType(err, "InvalidInput") {
		t.Errorf("flat networks are disabled, but: %v", err)
	}
}
