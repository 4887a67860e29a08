package core

import (
	"math/rand/v2"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// chooseMAC gives a port its MAC, or checks the one it asks for.
func (s *Service) chooseMAC(tx *store.Tx, v *view, p *weft.Port) error {
	if !p.MAC.IsZero() {
		if v.macTaken {
			return macInUse(p)
		}
		return nil
	}
	for range 16 {
		m := s.randomMAC()
		taken, err := tx.Exists("SELECT 1 FROM ports WHERE network_id = ? AND mac_address = ?", p.NetworkID, m.String())
		if err != nil {
			return err
		}
		if !taken {
			p.MAC = m
			return nil
		}
	}
	return weft.Errorf(weft.Unavailable, "MacAddressGenerationFailure", "Unable to generate unique mac on network %s.", p.NetworkID)
}

// randomMAC completes the configured base at random.
func (s *Service) randomMAC() weft.MAC {
	m := s.cfg.BaseMAC
	n := rand.Uint32()
	if m[3] == 0 {
		m[3] = byte(n >> 16)
	}
	m[4], m[5] = byte(n>>8), byte(n)
	return m
}

func macInUse(p *weft.Port) error {
	return weft.Errorf(weft.Conflict, "MacAddressInUse", "Unable to complete operation for network %s. The mac address %s is in use.", p.NetworkID, p.MAC)
}

// changeMAC checks a new MAC of an existing port, or gives it one for null.
func (s *Service) changeMAC(tx *store.Tx, v *view, old, p *weft.Port) error {
	if old.MAC == p.MAC {
		return nil
	}
	if strings.HasPrefix(old.DeviceOwner, "network:") {
		return weft.Errorf(weft.Conflict, "UnsupportedPortDeviceOwner",
			"Operation mac address update is not supported for device_owner %s on port %s.", old.DeviceOwner, p.ID)
	}
	if old.Bound() {
		return weft.Errorf(weft.Conflict, "PortBound",
			"Unable to complete operation on port %s, port is already bound, port type: %s, old_mac %s, new_mac %s.", p.ID, old.VIFType, old.MAC, p.MAC)
	}
	return s.chooseMAC(tx, v, p)
}
