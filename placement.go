package weft

import (
	"regexp"
	"strings"
)

// What a cloud's scheduler has to know of networks is in Placement, in the terms that
// Neutron and Nova have agreed on: classes of resources and traits.

// Directions of traffic have classes of their own.
const (
	classBandwidth  = "NET_BW"
	classPacketRate = "NET_PACKET_RATE"
)

// BandwidthClass is the class of what a physical interface carries in a direction, in
// kbit/s.
func BandwidthClass(direction string) string {
	return directed(classBandwidth, direction) + "_KILOBIT_PER_SEC"
}

// PacketRateClass is the class of what a host forwards in a direction, or in both
// together, in 1000 packets/s.
func PacketRateClass(direction string) string {
	return directed(classPacketRate, direction) + "_KILOPACKET_PER_SEC"
}

func directed(class, direction string) string {
	switch direction {
	case Ingress:
		return class + "_IGR"
	case Egress:
		return class + "_EGR"
	}
	return class
}

// Scheduled reports whether a rule asks for something that a scheduler has to find.
func (r *QoSRule) Scheduled() bool {
	return r.Type == QoSMinimumBandwidth || r.Type == QoSMinimumPacketRate
}

// Resource is the class and the amount that a scheduled rule asks for.
func (r *QoSRule) Resource() (class string, amount int64) {
	if r.Type == QoSMinimumPacketRate {
		return PacketRateClass(r.Direction), r.MinKpps
	}
	return BandwidthClass(r.Direction), r.MinKbps
}

// PhysnetTrait is the trait of what is connected to a physical network.
func PhysnetTrait(physnet string) string { return trait("PHYSNET_" + physnet) }

// VNICTypeTrait is the trait of what carries ports of a kind of interface.
func VNICTypeTrait(vnicType string) string { return trait("VNIC_TYPE_" + vnicType) }

var notInTraits = regexp.MustCompile(`[^0-9A-Z]+`)

func trait(name string) string {
	return "CUSTOM_" + notInTraits.ReplaceAllString(strings.ToUpper(name), "_")
}

// Allocation is the resource providers that Nova has had Placement allocate for a port,
// by the request group that they are for; by "" where it tells only which one,
// as Nova did before its version 24. It is nil without any.
func (p *Port) Allocation() map[string]string {
	switch a := p.Profile["allocation"].(type) {
	case string:
		if a != "" {
			return map[string]string{"": a}
		}
	case map[string]any:
		out := map[string]string{}
		for group, v := range a {
			provider, _ := v.(string)
			out[group] = provider
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}
