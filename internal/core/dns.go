package core

import (
	"strings"

	"github.com/weftnet/weft"
)

// maxFQDN is the longest complete name, in characters.
const maxFQDN = 255

// domain is the configured domain of names, with the dot at its end.
func (s *Service) domain() string {
	if strings.HasSuffix(s.cfg.DNSDomain, ".") {
		return s.cfg.DNSDomain
	}
	return s.cfg.DNSDomain + "."
}

// settleName refuses a name that is too long with its domain, and a complete one that
// is in another domain. While the operator has chosen no domain, ports have no names:
// Nova refuses a port whose name is not that of its server, and names given before or by
// templates would be in the way.
func (s *Service) settleName(p *weft.Port) error {
	if s.domain() == DefaultDNSDomain {
		p.DNSName, p.DNSDomain = "", ""
	}
	if p.DNSName == "" {
		return nil
	}
	domain := s.domain()
	refuse := func(format string, args ...any) error {
		return weft.Errorf(weft.BadRequest, "HTTPBadRequest", "Invalid input for dns_name. Reason: "+format+".", args...)
	}
	switch complete := strings.HasSuffix(p.DNSName, "."); {
	case complete && (len(p.DNSName) <= len(domain)+1 || !strings.HasSuffix(p.DNSName, "."+domain)):
		return refuse("The dns_name passed is a FQDN. Its higher level labels must be equal to the dns_domain option in neutron.conf, "+
			"that has been set to '%[1]s'. It must also include one or more valid DNS labels to the left of '%[1]s'", s.cfg.DNSDomain)
	case !complete && len(p.DNSName)+len(domain)+1 > maxFQDN:
		return refuse("The dns_name passed is a PQDN and its size is '%d'. The dns_domain option in neutron.conf is set to %s, with a length of '%d'. "+
			"When the two are concatenated to form a FQDN (with a '.' at the end), the resulting length exceeds the maximum size of '%d'",
			len(p.DNSName), s.cfg.DNSDomain, len(domain)+1, maxFQDN)
	}
	return nil
}

// assignNames is the names under which the port's addresses are known.
func (s *Service) assignNames(p *weft.Port) []weft.DNSAssignment {
	out := make([]weft.DNSAssignment, 0, len(p.FixedIPs))
	for _, ip := range p.FixedIPs {
		name := "host-" + strings.NewReplacer(".", "-", ":", "-").Replace(ip.IPAddress.String())
		if p.DNSName != "" {
			name = p.DNSName
		}
		a := weft.DNSAssignment{IPAddress: ip.IPAddress, Hostname: name, FQDN: name}
		if !strings.HasSuffix(name, ".") {
			a.FQDN += "." + s.domain()
		}
		out = append(out, a)
	}
	return out
}
