package main

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/ml2/mech/linuxbridge"
	"github.com/weftnet/weft/internal/ml2/types/flat"
	"github.com/weftnet/weft/internal/ml2/types/geneve"
	"github.com/weftnet/weft/internal/ml2/types/gre"
	"github.com/weftnet/weft/internal/ml2/types/local"
	"github.com/weftnet/weft/internal/ml2/types/vlan"
	"github.com/weftnet/weft/internal/ml2/types/vxlan"
)

// drivers is the parts list: every type of network and every mechanism compiled
// in, in the order in which they are tried.
func drivers(physnets map[string]string) *ml2.Manager {
	mtu := ml2.MTU{Global: 1500}
	vlans := map[string][]ml2.Range{} // any VLAN id an operator asks for; none for tenants
	for name := range physnets {
		vlans[name] = nil
	}
	tunnels := []ml2.Range{{Min: 1, Max: 1<<16 - 1}}
	return ml2.New(ml2.Config{TenantTypes: []string{weft.TypeVXLAN}, MTU: mtu},
		[]ml2.Type{
			local.New(),
			flat.New([]string{"*"}, mtu),
			vlan.New(vlans, mtu),
			vxlan.New(tunnels, mtu),
			gre.New(tunnels, mtu),
			geneve.New(tunnels, 30, mtu),
		},
		[]ml2.Mechanism{linuxbridge.New(agentDownTime)})
}
