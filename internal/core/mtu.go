package core

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// The smallest MTU that each version of IP can be carried with (RFC 791, RFC 8200).
// Linux takes the addresses of that version off an interface with a smaller one.
const (
	leastMTU4 = 68
	leastMTU6 = 1280
)

// carries refuses, with NetworkMTUSubnetConflict, a subnet that the network's MTU is too
// small for.
func carries(n *weft.Network, version int) error {
	least := leastMTU4
	if version == 6 && n.MTU >= leastMTU4 { // below that no version is carried
		least = leastMTU6
	}
	if n.MTU == 0 || n.MTU >= least { // 0 is one that is not settled yet
		return nil
	}
	return weft.Errorf(weft.Conflict, "NetworkMTUSubnetConflict", "MTU of %s is not valid, subnet requires a minimum of %d",
		n.ID, least)
}

// changeMTU settles a new MTU of a network, which must carry its subnets.
func (s *Service) changeMTU(tx *store.Tx, n *weft.Network) error {
	if err := s.ml2.MTU(n); err != nil {
		return err
	}
	subnets, err := store.Subnets.Find(tx, store.Eq("network_id", n.ID))
	return each(subnets, err, func(sn *weft.Subnet) error { return carries(n, sn.IPVersion) })
}
