package local_test

import (
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2/ml2test"
	"github.com/weftnet/weft/internal/ml2/types/local"
)

func id(n int64) *int64 { return &n }

func TestType(t *testing.T) {
	ml2test.Type(t, ml2test.TypeCase{
		Type: local.New(), Tenant: true, Shared: true,
		Good: []weft.Provider{{NetworkType: "local"}, {NetworkType: "local", SegmentationID: id(0)}},
		Bad:  []weft.Provider{{NetworkType: "local", PhysicalNetwork: "p"}, {NetworkType: "local", SegmentationID: id(3)}},
	})
}
