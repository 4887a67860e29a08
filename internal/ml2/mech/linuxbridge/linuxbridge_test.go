package linuxbridge_test

import (
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2/mech/linuxbridge"
	"github.com/weftnet/weft/internal/ml2/ml2test"
)

func TestMechanism(t *testing.T) {
	host := ml2test.Host{Type: weft.AgentLinuxBridge, Configurations: map[string]any{
		"tunnel_types": []any{"vxlan"}, "interface_mappings": map[string]any{"provider": "eth1"}, "bridge_mappings": map[string]any{"own": "br0"},
	}}
	foreign := []weft.Provider{{NetworkType: "gre"}, {NetworkType: "flat", PhysicalNetwork: "x"}, {NetworkType: "vlan", PhysicalNetwork: "x"}}
	for _, segment := range []weft.Provider{
		{NetworkType: "vxlan"}, {NetworkType: "local"}, {NetworkType: "flat", PhysicalNetwork: "provider"}, {NetworkType: "vlan", PhysicalNetwork: "own"},
	} {
		t.Run(segment.NetworkType, func(t *testing.T) {
			ml2test.Mechanism(t, ml2test.MechanismCase{New: linuxbridge.New, Host: host, Segment: segment, Foreign: foreign, VIFType: weft.VIFBridge})
		})
	}
}
