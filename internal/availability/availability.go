// Package availability counts the addresses of networks: how many there are to be
// given, and how many are.
package availability

import (
	"math/big"
	"net/netip"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Network is the addresses of a network. Numbers are as large as IPv6 has them.
type Network struct {
	NetworkID   string            `json:"network_id"`
	NetworkName string            `json:"network_name"`
	TenantID    string            `json:"tenant_id"`
	ProjectID   string            `json:"project_id"`
	Subnets     weft.List[Subnet] `json:"subnet_ip_availability"`
	Used        int               `json:"used_ips"`
	Total       *big.Int          `json:"total_ips"`
}

// Subnet is the addresses of one subnet.
type Subnet struct {
	SubnetID  string       `json:"subnet_id"`
	IPVersion int          `json:"ip_version"`
	CIDR      netip.Prefix `json:"cidr"`
	Name      string       `json:"subnet_name"`
	Used      int          `json:"used_ips"`
	Total     *big.Int     `json:"total_ips"`
}

// List is the addresses of the networks that meet the conditions, in order of their
// ids; with a limit (0: none) those of the first, or of the last. With versions only
// their subnets of these IP versions count, and networks without any are left out.
func List(tx *store.Tx, networks []store.Cond, versions []any, limit int, last bool) ([]Network, error) {
	uses, err := store.AddressUses(tx, networks, versions, limit, last)
	var out []Network
	for _, u := range uses {
		if n := len(out); n == 0 || out[n-1].NetworkID != u.NetworkID {
			out = append(out, Network{NetworkID: u.NetworkID, NetworkName: u.NetworkName, TenantID: u.ProjectID, ProjectID: u.ProjectID, Total: new(big.Int)})
		}
		if u.Subnet != nil {
			out[len(out)-1].add(u.Subnet, u.Used)
		}
	}
	return out, err
}

func (n *Network) add(s *weft.Subnet, used int) {
	total := Addresses(s)
	n.Subnets = append(n.Subnets, Subnet{SubnetID: s.ID, IPVersion: s.IPVersion, CIDR: s.CIDR, Name: s.Name, Used: used, Total: total})
	n.Used += used
	n.Total.Add(n.Total, total)
}

// Addresses is how many addresses a subnet can give: those of its pools, or, where it
// has none, all of its prefix.
func Addresses(s *weft.Subnet) *big.Int {
	if len(s.AllocationPools) == 0 {
		return new(big.Int).Lsh(big.NewInt(1), uint(s.CIDR.Addr().BitLen()-s.CIDR.Bits()))
	}
	total := new(big.Int)
	for _, p := range s.AllocationPools {
		size := new(big.Int).Sub(number(p.End), number(p.Start))
		total.Add(total, size.Add(size, big.NewInt(1)))
	}
	return total
}

func number(a netip.Addr) *big.Int { return new(big.Int).SetBytes(a.AsSlice()) }
