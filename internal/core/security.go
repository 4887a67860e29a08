package core

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// secure settles what protects a port: its groups, its address pairs and whether
// it is protected at all. old is nil for a new port.
func (s *Service) secure(tx *store.Tx, old, p *weft.Port, given weft.Given) error {
	if old == nil && p.Trusted() {
		p.PortSecurity = false
	}
	if err := s.settlePairs(p, given); err != nil {
		return err
	}
	if old == nil && !given["security_groups"] {
		p.SecurityGroups = nil
		if p.PortSecurity {
			return s.joinDefault(tx, p)
		}
		return nil
	}
	if len(p.SecurityGroups) > 0 && !p.PortSecurity && !p.Trusted() {
		if given["security_groups"] {
			return weft.Errorf(weft.BadRequest, "PortSecurityAndIPRequiredForSecurityGroups",
				"Port security must be enabled and port must have an IP address in order to use security groups.")
		}
		return weft.Errorf(weft.Conflict, "PortSecurityPortHasSecurityGroup",
			"Port has security group associated. Cannot disable port security or IP address until security group is removed.")
	}
	if given["security_groups"] && len(p.SecurityGroups) > 0 && s.CheckGroups != nil {
		p.SecurityGroups = unique(p.SecurityGroups)
		return s.CheckGroups(tx, p.ProjectID, p.SecurityGroups)
	}
	return nil
}

// distrust protects a port that has served the network and now serves somebody: an
// interface of a router has no filters, and must not become a way round them.
func (s *Service) distrust(tx *store.Tx, v *view, old, p *weft.Port, given weft.Given) error {
	if !old.Trusted() || p.Trusted() || p.PortSecurity || given["port_security_enabled"] || !v.network.PortSecurity {
		return nil
	}
	p.PortSecurity = true
	if len(p.SecurityGroups) > 0 || given["security_groups"] {
		return nil
	}
	return s.joinDefault(tx, p)
}

func (s *Service) joinDefault(tx *store.Tx, p *weft.Port) error {
	if s.DefaultGroup == nil {
		return nil
	}
	id, err := s.DefaultGroup(tx, p.ProjectID)
	if err == nil && id != "" {
		p.SecurityGroups = []string{id}
	}
	return err
}

func unique(ids []string) []string {
	seen := make(map[string]bool, len(ids))
	var out []string
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}

// settlePairs completes address pairs with the port's MAC and refuses too many,
// doubles, and pairs of a port that is not protected.
func (s *Service) settlePairs(p *weft.Port, given weft.Given) error {
	if given["allowed_address_pairs"] {
		if err := s.checkPairs(p); err != nil {
			return err
		}
	}
	if len(p.AllowedPairs) > 0 && !p.PortSecurity {
		return weft.Errorf(weft.Conflict, "AddressPairAndPortSecurityRequired",
			"Port Security must be enabled in order to have allowed address pairs on a port.")
	}
	return nil
}

func (s *Service) checkPairs(p *weft.Port) error {
	if len(p.AllowedPairs) > s.cfg.MaxAddressPairs {
		return weft.Errorf(weft.BadRequest, "AllowedAddressPairExhausted",
			"The number of allowed address pair exceeds the maximum %d.", s.cfg.MaxAddressPairs)
	}
	seen := map[weft.AddressPair]bool{}
	for i := range p.AllowedPairs {
		pair := &p.AllowedPairs[i]
		if pair.IPAddress == "" {
			return weft.Errorf(weft.BadRequest, "AllowedAddressPairsMissingIP", "AllowedAddressPair must contain ip_address")
		}
		if pair.MAC.IsZero() {
			pair.MAC = p.MAC
		}
		if seen[*pair] {
			return weft.Errorf(weft.BadRequest, "DuplicateAddressPairInRequest",
				"Request contains duplicate address pair: mac_address %s ip_address %s.", pair.MAC, pair.IPAddress)
		}
		seen[*pair] = true
	}
	return nil
}

// mergeOptions is the DHCP options of a port after a request: those named replace
// those of the same name and version, null removes one, others stay.
func mergeOptions(old, asked []weft.ExtraDHCPOpt) []weft.ExtraDHCPOpt {
	out := make([]weft.ExtraDHCPOpt, 0, len(old)+len(asked))
	replaced := make(map[string]bool, len(asked))
	for _, a := range asked {
		replaced[optionKey(a)] = true
	}
	for _, o := range old {
		if !replaced[optionKey(o)] {
			out = append(out, o)
		}
	}
	for _, a := range asked {
		if a.IPVersion == 0 {
			a.IPVersion = 4
		}
		if a.Value != weft.NoValue {
			out = append(out, a)
		}
	}
	return out
}

func optionKey(o weft.ExtraDHCPOpt) string {
	if o.IPVersion == 6 {
		return "6 " + o.Name
	}
	return "4 " + o.Name
}
