// Package gre is the type of networks that travel in GRE tunnels (RFC 2890).
package gre

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
)

// New makes the type; ranges are of keys for tenant networks.
func New(ranges []ml2.Range, below ml2.MTU) ml2.Type {
	// GRE with a key 8 and the inner Ethernet header 14.
	return ml2.Tunnel{NetworkType: weft.TypeGRE, MaxID: 1<<32 - 1, Header: 22, Ranges: ml2.Merge(ranges), Below: below}
}
