package core

import (
	"encoding/json"
	"slices"

	"github.com/weftnet/weft"
)

// maxProfile is the longest binding profile, in characters of JSON.
const maxProfile = 4095

// settleProfile completes the binding profile with what other attributes say to who
// reads it, which is Nova.
func settleProfile(p *weft.Port) error {
	if p.Profile == nil {
		p.Profile = map[string]any{}
	}
	text, err := json.Marshal(p.Profile)
	if err != nil || len(text) > maxProfile {
		return weft.Invalid("binding:profile value too large")
	}
	if p.TrustedVIF != nil {
		p.Profile["trusted"] = *p.TrustedVIF
	}
	return nil
}

// offload notes in the profile of a new port that its hardware is to be offloaded
// to.
func offload(p *weft.Port) {
	if p.HardwareOffload == "" {
		return
	}
	if p.Profile == nil {
		p.Profile = map[string]any{}
	}
	kinds, _ := p.Profile["capabilities"].([]any)
	if !slices.Contains(kinds, any(string(p.HardwareOffload))) {
		kinds = append(kinds, string(p.HardwareOffload))
	}
	p.Profile["capabilities"] = kinds
}

// rebinds reports whether a port has to be bound anew.
func rebinds(old, p *weft.Port) bool {
	return old.HostID != p.HostID || old.VNICType != p.VNICType || !sameProfile(old.Profile, p.Profile)
}

// overrideMAC gives a port that is a physical device the device's MAC, which the
// profile tells when it is bound; one of its own when it is not told, or when the
// device is given up. old is nil for a new port. It reports whether it did.
func (s *Service) overrideMAC(old, p *weft.Port) (bool, error) {
	if p.VNICType != "direct-physical" {
		return false, nil
	}
	switch {
	case old != nil && old.DeviceID != "" && p.DeviceID == "" && p.DeviceOwner == "":
		p.MAC = s.randomMAC()
		return true, nil
	case p.HostID == "", old != nil && !rebinds(old, p):
		return false, nil
	}
	text, _ := p.Profile["device_mac_address"].(string)
	if text == "" {
		p.MAC = s.randomMAC()
		return true, nil
	}
	mac, err := weft.ParseMAC(text)
	if err != nil {
		return false, weft.Invalid("'%s' is not a valid MAC address", text)
	}
	p.MAC = mac
	return true, nil
}
