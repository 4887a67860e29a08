// Package vxlan is the type of networks that travel in VXLAN tunnels (RFC 7348).
package vxlan

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
)

// New makes the type; ranges are of VNIs for tenant networks.
func New(ranges []ml2.Range, below ml2.MTU) ml2.Type {
	// UDP 8, VXLAN 8 and the inner Ethernet header 14.
	return ml2.Tunnel{NetworkType: weft.TypeVXLAN, MaxID: 1<<24 - 1, Header: 30, Ranges: ml2.Merge(ranges), Below: below}
}
