// Package local is the type of networks that do not leave their host.
package local

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/store"
)

type driver struct{}

// New makes the type.
func New() ml2.Type { return driver{} }

func (driver) Name() string { return weft.TypeLocal }

func (driver) Validate(p weft.Provider) error {
	if p.PhysicalNetwork != "" {
		return ml2.Prohibited("physical_network", weft.TypeLocal)
	}
	if p.Number() != 0 {
		return ml2.Prohibited("segmentation_id", weft.TypeLocal)
	}
	return nil
}

func (driver) Reserve(_ *store.Tx, _ string, p weft.Provider) (weft.Provider, error) { return p, nil }

func (driver) Allocate(*store.Tx, string) (weft.Provider, bool, error) {
	return weft.Provider{NetworkType: weft.TypeLocal}, true, nil
}

func (driver) MTU(string) int { return 0 }
