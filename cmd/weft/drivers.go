package main

import (
	"slices"

	"github.com/weftnet/weft/internal/config"
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
func drivers(c config.Config) *ml2.Manager {
	o := c.ML2
	mtu := ml2.MTU{Global: o.GlobalMTU, Path: o.PathMTU, Physical: o.PhysnetMTUs, IPv6: o.OverlayIPv6}
	return ml2.New(ml2.Config{TenantTypes: o.TenantTypes, ExternalType: o.ExternalType, MTU: mtu},
		[]ml2.Type{
			local.New(),
			flat.New(o.FlatNetworks, mtu),
			vlan.New(vlanRanges(c), mtu),
			vxlan.New(ranges(o.VNIs), mtu),
			gre.New(ranges(o.GREs), mtu),
			geneve.New(ranges(o.GeneveVNIs), o.GeneveHeader, mtu),
		},
		[]ml2.Mechanism{linuxbridge.New(c.AgentDownTime)})
}

// vlanRanges is the configured ranges, and none (VLANs for admins only) for the
// physical networks of this host that have none.
func vlanRanges(c config.Config) map[string][]ml2.Range {
	out := map[string][]ml2.Range{}
	for name := range c.Physnets {
		out[name] = nil
	}
	for name, list := range c.ML2.VLANs {
		out[name] = ranges(list)
	}
	return out
}

func ranges(list []config.Range) []ml2.Range {
	out := make([]ml2.Range, 0, len(list))
	for _, r := range list {
		out = append(out, ml2.Range(r))
	}
	return slices.Clip(out)
}
