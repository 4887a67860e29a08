// Package localip keeps local IPs: addresses that are answered on each host by a
// port of that host.
package localip

import (
	"slices"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Ports is what local IPs need of ports.
type Ports interface {
	CreatePort(tx *store.Tx, p *weft.Port, given weft.Given) error
	DeletePort(tx *store.Tx, p *weft.Port) error
}

// Service carries out changes of local IPs.
type Service struct{ ports Ports }

// New makes a service.
func New(ports Ports) *Service { return &Service{ports} }

// CreateLocalIP stores a local IP, on a port that is given or that it makes on a
// network. Errors: LocalIPPortOrNetworkRequired; BadRequest for a port that is not
// there and for a network without IPv4; NetworkNotFound; LocalIPNoIP, LocalIPNoRequestedIP and
// LocalIPRequestedIPNotFound for addresses that the port does not have.
func (s *Service) CreateLocalIP(tx *store.Tx, l *weft.LocalIP) error {
	if l.ID == "" {
		l.ID = uuid.NewString()
	}
	port, err := s.port(tx, l)
	if err != nil {
		return err
	}
	l.LocalPortID, l.NetworkID = port.ID, port.NetworkID
	return store.LocalIPs.Insert(tx, l)
}

func (s *Service) port(tx *store.Tx, l *weft.LocalIP) (*weft.Port, error) {
	switch {
	case l.LocalPortID != "":
		p, err := portOf(tx, "local_ip", l.LocalPortID)
		if err != nil {
			return nil, err
		}
		l.LocalIPAddress, err = addressOf(p, l.LocalIPAddress)
		return p, err
	case l.NetworkID != "":
		p, err := s.ownPort(tx, l)
		if err != nil {
			return nil, err
		}
		l.LocalIPAddress, err = addressOf(p, l.LocalIPAddress)
		return p, err
	}
	return nil, weft.Errorf(weft.BadRequest, "LocalIPPortOrNetworkRequired", "Either Port ID or Network ID must be specified for Local IP create.")
}

// ownPort makes a port that holds the address and nothing else.
func (s *Service) ownPort(tx *store.Tx, l *weft.LocalIP) (*weft.Port, error) {
	if _, err := store.Networks.GetVisible(tx, l.NetworkID); err != nil {
		return nil, err
	}
	v4, err := store.Subnets.Count(tx, store.Eq("network_id", l.NetworkID), store.Eq("ip_version", 4))
	if err != nil {
		return nil, err
	}
	if v4 == 0 {
		return nil, badRequest("local_ip", "Network %s does not contain any IPv4 subnet", l.NetworkID)
	}
	p := &weft.Port{NetworkID: l.NetworkID, AdminStateUp: true, DeviceID: l.ID, DeviceOwner: weft.OwnerLocalIP}
	p.ProjectID = l.ProjectID
	given := weft.Given{}
	if l.LocalIPAddress.IsValid() {
		given["fixed_ips"] = true
		p.FixedIPs = weft.List[weft.FixedIP]{{IPAddress: l.LocalIPAddress.Addr}}
	}
	return p, s.ports.CreatePort(tx, p, given)
}

// addressOf is the address of a port that is asked for, or the only one.
func addressOf(p *weft.Port, asked weft.Addr) (weft.Addr, error) {
	if len(p.FixedIPs) == 0 {
		return weft.Addr{}, weft.Errorf(weft.BadRequest, "LocalIPNoIP", "Specified Port %s has no fixed IPs configured.", p.ID)
	}
	if !asked.IsValid() {
		if len(p.FixedIPs) > 1 {
			return weft.Addr{}, weft.Errorf(weft.BadRequest, "LocalIPNoRequestedIP",
				"Specified Port %s has several IPs, should specify exact IP address to use for Local IP.", p.ID)
		}
		return weft.Addr{Addr: p.FixedIPs[0].IPAddress}, nil
	}
	for _, ip := range p.FixedIPs {
		if ip.IPAddress == asked.Addr {
			return asked, nil
		}
	}
	return weft.Addr{}, weft.Errorf(weft.BadRequest, "LocalIPRequestedIPNotFound",
		"Specified Port %s does not have requested IP address: %s.", p.ID, asked)
}

// UpdateLocalIP stores what changed.
func (s *Service) UpdateLocalIP(tx *store.Tx, l *weft.LocalIP) error {
	return store.LocalIPs.Update(tx, l)
}

// DeleteLocalIP removes a local IP, and the port that it made; LocalIPInUse while
// ports answer for it.
func (s *Service) DeleteLocalIP(tx *store.Tx, l *weft.LocalIP) error {
	used, err := tx.IDs("SELECT fixed_port_id FROM local_ip_associations WHERE local_ip_id = ?", l.ID)
	if err != nil {
		return err
	}
	if len(used) > 0 {
		return weft.Errorf(weft.Conflict, "LocalIPInUse", "Local IP %s is still associated with one or more ports.", l.ID).BlockedBy("port", used...)
	}
	port, err := store.Ports.Get(tx, l.LocalPortID)
	if err != nil {
		return err
	}
	if err := store.LocalIPs.Delete(tx, l); err != nil || port.DeviceOwner != weft.OwnerLocalIP {
		return err
	}
	return s.ports.DeletePort(tx, port)
}

// Associate makes a port answer for a local IP. Errors: BadRequest for a port that
// is not there, LocalIPNoIP and the like for its addresses, and a conflict when the
// port does so already.
func (s *Service) Associate(tx *store.Tx, a *weft.LocalIPAssociation) error {
	p, err := portOf(tx, "local_ip_port_association", a.FixedPortID)
	if err != nil {
		return err
	}
	if a.FixedIP, err = addressOf(p, a.FixedIP); err != nil {
		return err
	}
	n, err := store.LocalIPAssociations.Count(tx, store.Eq("local_ip_id", a.LocalIPID), store.Eq("fixed_port_id", a.FixedPortID))
	if err != nil {
		return err
	}
	if n > 0 {
		return weft.Errorf(weft.Conflict, "LocalIPAssociationExists", "Local IP %s is already associated with port %s.", a.LocalIPID, a.FixedPortID)
	}
	return store.LocalIPAssociations.Insert(tx, a)
}

// Dissociate ends that.
func (s *Service) Dissociate(tx *store.Tx, a *weft.LocalIPAssociation) error {
	return store.LocalIPAssociations.Delete(tx, a)
}

// PortDeleting refuses, with ServicePortInUse, to delete a port that holds a local
// IP, and ends the associations of any other.
func (s *Service) PortDeleting(tx *store.Tx, p *weft.Port) error {
	n, err := store.LocalIPs.Count(tx, store.Eq("local_port_id", p.ID))
	if err != nil {
		return err
	}
	if n > 0 {
		return weft.Errorf(weft.Conflict, "ServicePortInUse", "Port %s cannot be deleted directly via the port API: still referenced by Local IPs.", p.ID)
	}
	list, err := store.LocalIPAssociations.Find(tx, store.Eq("fixed_port_id", p.ID))
	if err != nil {
		return err
	}
	for _, a := range list {
		if err := store.LocalIPAssociations.Delete(tx, a); err != nil {
			return err
		}
	}
	return nil
}

// Leave removes the local IPs that a port holds, with their associations.
func (s *Service) Leave(tx *store.Tx, p *weft.Port) error {
	list, err := store.LocalIPs.Find(tx, store.Eq("local_port_id", p.ID))
	if err != nil {
		return err
	}
	for _, l := range list {
		used, err := store.LocalIPAssociations.Find(tx, store.Eq("local_ip_id", l.ID))
		if err != nil {
			return err
		}
		for _, a := range used {
			if err := s.Dissociate(tx, a); err != nil {
				return err
			}
		}
		if err := s.DeleteLocalIP(tx, l); err != nil {
			return err
		}
	}
	return nil
}

// portOf is a port that the caller can see.
func portOf(tx *store.Tx, resource, id string) (*weft.Port, error) {
	p, err := store.Ports.First(tx, store.Eq("id", id), store.Ports.VisibleTo(tx.Caller))
	if err == nil && p == nil {
		err = badRequest(resource, "Port %s not found", id)
	}
	return p, err
}

func badRequest(resource, format string, args ...any) error {
	return weft.Errorf(weft.BadRequest, "BadRequest", "Bad "+resource+" request: "+format+".", args...)
}

// PortUpdating refuses, with BadRequest, that a port loses the address of a local IP, and
// ends the associations whose addresses it loses.
func (s *Service) PortUpdating(tx *store.Tx, old, p *weft.Port) error {
	if slices.Equal(old.FixedIPs, p.FixedIPs) {
		return nil
	}
	lost := func(a weft.Addr) bool {
		return !slices.ContainsFunc(p.FixedIPs, func(ip weft.FixedIP) bool { return ip.IPAddress == a.Addr })
	}
	held, err := store.LocalIPs.Find(tx, store.Eq("local_port_id", p.ID))
	if err != nil {
		return err
	}
	if slices.ContainsFunc(held, func(l *weft.LocalIP) bool { return lost(l.LocalIPAddress) }) {
		return badRequest("ports", "IP updates for port %s are not allowed", p.ID)
	}
	list, err := store.LocalIPAssociations.Find(tx, store.Eq("fixed_port_id", p.ID))
	if err != nil {
		return err
	}
	for _, a := range slices.DeleteFunc(list, func(a *weft.LocalIPAssociation) bool { return !lost(a.FixedIP) }) {
		if err := store.LocalIPAssociations.Delete(tx, a); err != nil {
			return err
		}
	}
	return nil
}
