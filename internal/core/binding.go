package core

import (
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Bindings are all bindings of an instance's port, the ACTIVE one first if it has not
// been taken away. The error
// is BadRequest for a port that is no instance's.
func (s *Service) Bindings(tx *store.Tx, p *weft.Port) ([]*weft.PortBinding, error) {
	if !strings.HasPrefix(p.DeviceOwner, "compute:") {
		return nil, badRequest("port", "Invalid port %s. Operation only valid on compute ports", p.ID)
	}
	more, err := store.PortBindings.Find(tx, store.Eq("port_id", p.ID))
	if err != nil || p.Unattached {
		return more, err
	}
	return append([]*weft.PortBinding{p.Binding()}, more...), nil
}

// Binding is the one for a host; PortBindingNotFound if there is none.
func (s *Service) Binding(tx *store.Tx, p *weft.Port, host string) (*weft.PortBinding, error) {
	all, err := s.Bindings(tx, p)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		if b.Host == host {
			return b, nil
		}
	}
	return nil, weft.Errorf(weft.NotFound, "PortBindingNotFound", "Binding for port %s for host %s could not be found.", p.ID, host)
}

// CreateBinding prepares a host for the port, or binds it there if its ACTIVE binding
// was taken away. Errors: PortBindingAlreadyExists, and PortBindingError if no driver
// can carry the port to a host that is prepared.
func (s *Service) CreateBinding(tx *store.Tx, p *weft.Port, b *weft.PortBinding) error {
	all, err := s.Bindings(tx, p)
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.Host == b.Host {
			return weft.Errorf(weft.Conflict, "PortBindingAlreadyExists", "Binding for port %s on host %s already exists.", p.ID, b.Host)
		}
	}
	if p.Unattached {
		_, err := s.attach(tx, p, b)
		return err
	}
	b.PortID, b.Status, b.ProjectID = p.ID, weft.StatusInactive, p.ProjectID
	if err := s.prepare(tx, p, b); err != nil {
		return err
	}
	return store.PortBindings.Insert(tx, b)
}

// prepare settles how the port would attach by the binding.
func (s *Service) prepare(tx *store.Tx, p *weft.Port, b *weft.PortBinding) error {
	n, err := store.Networks.Get(tx, p.NetworkID)
	if err != nil {
		return err
	}
	there := b.At(p)
	if err := s.ml2.Bind(tx, there, n); err != nil {
		return err
	}
	if !there.Bound() {
		return bindingError(p, b)
	}
	b.VIFType, b.VIFDetails = there.VIFType, there.VIFDetails
	return nil
}

// bindingError is a 500 in Neutron, but no fault of the server's.
func bindingError(p *weft.Port, b *weft.PortBinding) error {
	return weft.Errorf(weft.Conflict, "PortBindingError", "Binding for port %s on host %s could not be created or updated.", p.ID, b.Host)
}

// UpdateBinding changes the host, the kind of interface or the profile of a binding;
// host is where it was. PortBindingError if no driver can carry the port then.
func (s *Service) UpdateBinding(tx *store.Tx, p *weft.Port, host string, b *weft.PortBinding) error {
	if b.Status == weft.StatusActive {
		return s.rebind(tx, p, b)
	}
	if b.Host != host {
		b.Wired = false
		if _, err := s.Binding(tx, p, b.Host); err == nil {
			return weft.Errorf(weft.Conflict, "PortBindingAlreadyExists", "Binding for port %s on host %s already exists.", p.ID, b.Host)
		}
	}
	if err := s.prepare(tx, p, b); err != nil {
		return err
	}
	return store.PortBindings.Update(tx, b)
}

// rebind makes the port be bound as the binding says.
func (s *Service) rebind(tx *store.Tx, p *weft.Port, b *weft.PortBinding) error {
	bound, err := s.attach(tx, p, b)
	if err == nil && !bound {
		return bindingError(p, b)
	}
	return err
}

// attach makes the binding the port's own, and reports whether a driver carries it.
func (s *Service) attach(tx *store.Tx, p *weft.Port, b *weft.PortBinding) (bool, error) {
	moved := weft.Clone(b.At(p))
	if err := s.UpdatePort(tx, p, moved, weft.Given{"binding:host_id": true, "binding:profile": true}); err != nil {
		return false, err
	}
	*b = *moved.Binding()
	return moved.Bound(), nil
}

// ActivateBinding moves the port to a host that was prepared for it, and keeps the
// binding it had, INACTIVE and unbound. Errors: PortBindingAlreadyActive,
// PortBindingNotFound.
func (s *Service) ActivateBinding(tx *store.Tx, p *weft.Port, host string) (*weft.PortBinding, error) {
	b, err := s.Binding(tx, p, host)
	if err != nil {
		return nil, err
	}
	if b.Status == weft.StatusActive {
		return nil, weft.Errorf(weft.Conflict, "PortBindingAlreadyActive", "Binding for port %s on host %s is already active.", p.ID, host)
	}
	last := *b
	last.Host, last.VNICType, last.Profile = p.HostID, p.VNICType, p.Profile
	last.VIFType, last.VIFDetails, last.Wired = weft.VIFUnbound, map[string]any{}, false
	if err := store.PortBindings.Update(tx, &last); err != nil {
		return nil, err
	}
	err = s.rebind(tx, p, b)
	return b, err
}

// DeleteBinding removes a binding; without its ACTIVE one a port is bound nowhere.
func (s *Service) DeleteBinding(tx *store.Tx, p *weft.Port, host string) error {
	b, err := s.Binding(tx, p, host)
	if err != nil {
		return err
	}
	if b.Status == weft.StatusInactive {
		return store.PortBindings.Delete(tx, b)
	}
	moved := weft.Clone(p)
	moved.HostID, moved.Unattached = "", true
	return s.UpdatePort(tx, p, moved, weft.Given{"binding:host_id": true})
}

// supersede removes the binding that prepared the host which a port is moved to by
// other means.
func supersede(tx *store.Tx, p *weft.Port) error {
	list, err := store.PortBindings.Find(tx, store.Eq("port_id", p.ID), store.Eq("host", p.HostID))
	return each(list, err, func(b *weft.PortBinding) error { return store.PortBindings.Delete(tx, b) })
}
