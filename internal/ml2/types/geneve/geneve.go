// Package geneve is the type of networks that travel in Geneve tunnels (RFC 8926).
package geneve

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
)

// DefaultHeader is the encapsulation's size without Geneve options: UDP 8, Geneve
// 8 and the inner Ethernet header 14. OVN needs 38.
const DefaultHeader = 30

// New makes the type; ranges are of VNIs for tenant networks, and header is
// Neutron's max_header_size.
func New(ranges []ml2.Range, header int, below ml2.MTU) ml2.Type {
	return ml2.Tunnel{NetworkType: weft.TypeGeneve, MaxID: 1<<24 - 1, Header: header, Ranges: ml2.Merge(ranges), Below: below}
}
