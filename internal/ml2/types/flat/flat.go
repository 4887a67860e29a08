// Package flat is the type of networks that are a physical network, untagged.
package flat

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/store"
)

type driver struct {
	physnets []string
	below    ml2.MTU
}

// New makes the type for the named physical networks; "*" is any, and none
// forbids flat networks.
func New(physnets []string, below ml2.MTU) ml2.Type { return driver{slices.Clone(physnets), below} }

func (driver) Name() string { return weft.TypeFlat }

func (d driver) Validate(p weft.Provider) error {
	name := string(p.PhysicalNetwork)
	switch {
	case name == "":
		return weft.Invalid("physical_network required for flat provider network")
	case len(d.physnets) == 0:
		return weft.Invalid("Flat provider networks are disabled")
	case !slices.Contains(d.physnets, "*") && !slices.Contains(d.physnets, name):
		return weft.Invalid("physical_network '%s' unknown for flat provider network", name)
	case p.Number() != 0:
		return ml2.Prohibited("segmentation_id", weft.TypeFlat)
	}
	return nil
}

func (d driver) Reserve(tx *store.Tx, _ string, p weft.Provider) (weft.Provider, error) {
	taken, err := ml2.Taken(tx, weft.TypeFlat, string(p.PhysicalNetwork), 0)
	if err == nil && taken {
		err = weft.Errorf(weft.Conflict, "FlatNetworkInUse", "Unable to create the flat network. Physical network %s is in use.", p.PhysicalNetwork)
	}
	return p, err
}

// Allocate gives nothing: Neutron keeps flat networks for operators.
func (driver) Allocate(*store.Tx, string) (weft.Provider, bool, error) {
	return weft.Provider{}, false, nil
}

func (d driver) MTU(physnet string) int { return d.below.Physnet(physnet) }
