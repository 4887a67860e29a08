package core

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ipam"
	"github.com/weftnet/weft/internal/store"
)

// Values of ip_allocation.
const (
	allocationImmediate = "immediate"
	allocationNone      = "none"
)

// CreatePort stores a new port: MAC, addresses, security groups and binding are
// chosen where the request leaves them open. Errors are those of api.md §3.3:
// NetworkNotFound, MacAddressInUse, those of addresses (see ipam.Assign), of port
// security and address pairs, and of security groups.
func (s *Service) CreatePort(tx *store.Tx, p *weft.Port, given weft.Given) error {
	offload(p)
	if _, err := s.overrideMAC(nil, p); err != nil {
		return err
	}
	v, err := look(tx, p.NetworkID, p.MAC)
	if err != nil {
		return err
	}
	if err := mustSee(tx, v.network); err != nil {
		return err
	}
	if err := checkDevice(tx, p); err != nil {
		return err
	}
	if err := s.settleName(p); err != nil {
		return err
	}
	if err := s.chooseMAC(tx, v, p); err != nil {
		return err
	}
	if err := s.address(tx, v, p, given); err != nil {
		return err
	}
	if !given["port_security_enabled"] {
		p.PortSecurity = v.network.PortSecurity
	}
	if err := s.secure(tx, nil, p, given); err != nil {
		return err
	}
	p.Status = weft.StatusDown
	if p.DeviceOwner == weft.OwnerFloatingIP || p.DeviceOwner == weft.OwnerLocalIP {
		p.Status = weft.StatusNotApplicable
	}
	p.ExtraDHCPOpts = mergeOptions(nil, p.ExtraDHCPOpts)
	if !given["propagate_uplink_status"] {
		p.PropagateUplink = true
	}
	if err := s.settleName(p); err != nil {
		return err
	}
	p.DNSAssignment = s.assignNames(p)
	if err := s.bind(tx, v, p, 1); err != nil {
		return err
	}
	for _, hook := range s.PortCreating {
		if err := hook(tx, v.network, p); err != nil {
			return err
		}
	}
	if err := store.Ports.Insert(tx, p); err != nil {
		return err
	}
	return s.schedule(tx, v, p)
}

// address chooses the addresses of a new port.
func (s *Service) address(tx *store.Tx, v *view, p *weft.Port, given weft.Given) error {
	rq, deferred, err := s.request(tx, v, p, given)
	if err != nil {
		return err
	}
	if deferred {
		p.FixedIPs, p.IPAllocation = nil, allocationDeferred
		return nil
	}
	if p.FixedIPs, err = ipam.Assign(tx, rq); err != nil {
		return err
	}
	p.IPAllocation = allocationImmediate
	if given["fixed_ips"] && len(p.FixedIPs) == 0 {
		p.IPAllocation = allocationNone
	}
	return nil
}

// bind settles how the port attaches on its host. revision is the one that the
// port will have: what an agent has realised of an older one does not count.
func (s *Service) bind(tx *store.Tx, v *view, p *weft.Port, revision int64) error {
	if p.VNICType == "" {
		p.VNICType = "normal"
	}
	if err := settleProfile(p); err != nil {
		return err
	}
	if p.HostID != "" {
		p.BoundRevision = revision
	}
	return s.ml2.Bind(tx, p, v.network)
}

// checkDevice refuses a port that a user declares to be an interface, a gateway or
// anything else of another project's router.
func checkDevice(tx *store.Tx, p *weft.Port) error {
	if !strings.HasPrefix(p.DeviceOwner, "network:") || p.DeviceID == "" || tx.Caller.Admin {
		return nil
	}
	foreign, err := tx.Exists("SELECT 1 FROM routers WHERE id = ? AND project_id <> ?", p.DeviceID, tx.Caller.ProjectID)
	if err == nil && foreign {
		err = weft.Errorf(weft.Conflict, "DeviceIDNotOwnedByTenant",
			"The following device_id %s is not owned by your project or matches another project router.", p.DeviceID)
	}
	return err
}

// UpdatePort stores what changed. Beside the errors of creation: PortBound for a
// new MAC of a bound port, UnsupportedPortDeviceOwner for one of a port of the
// network itself, PortSecurityPortHasSecurityGroup, PortInUse for another kind of
// interface of a bound port.
func (s *Service) UpdatePort(tx *store.Tx, old, p *weft.Port, given weft.Given) error {
	if err := keepsVNIC(old, p, given); err != nil {
		return err
	}
	if err := settleProfile(p); err != nil {
		return err
	}
	v, err := s.reidentify(tx, old, p)
	if err != nil {
		return err
	}
	if err := s.readdress(tx, v, old, p, given); err != nil {
		return err
	}
	if err := s.distrust(tx, v, old, p, given); err != nil {
		return err
	}
	if err := s.secure(tx, old, p, given); err != nil {
		return err
	}
	if given["extra_dhcp_opts"] {
		p.ExtraDHCPOpts = mergeOptions(old.ExtraDHCPOpts, p.ExtraDHCPOpts)
		if n := len(p.ExtraDHCPOpts); n > weft.MaxExtraDHCPOpts {
			return weft.Invalid("extra_dhcp_opts: List of %d items exceeds maximum length of %d",
				n, weft.MaxExtraDHCPOpts)
		}
	}
	if err := s.settleName(p); err != nil {
		return err
	}
	p.DNSAssignment = s.assignNames(p)
	moved := rebinds(old, p)
	if moved {
		p.Status, p.Unattached = weft.StatusDown, p.Unattached && p.HostID == ""
		if err := s.bind(tx, v, p, old.Revision+1); err != nil {
			return err
		}
		if err := supersede(tx, p); err != nil {
			return err
		}
	}
	for _, hook := range s.PortUpdating {
		if err := hook(tx, old, p); err != nil {
			return err
		}
	}
	if err := store.Ports.Update(tx, p); err != nil {
		return err
	}
	if old.DeviceOwner == weft.OwnerDHCP && p.DeviceOwner != weft.OwnerDHCP { // the network needs another
		return s.syncDHCP(tx, v)
	}
	if !moved {
		return nil
	}
	return s.schedule(tx, v, p)
}

// reidentify settles what a port is known by: its name, its device and its MAC.
func (s *Service) reidentify(tx *store.Tx, old, p *weft.Port) (*view, error) {
	overridden, err := s.overrideMAC(old, p)
	if err != nil {
		return nil, err
	}
	v, err := look(tx, p.NetworkID, p.MAC)
	if err != nil {
		return nil, err
	}
	if p.DNSName != old.DNSName {
		if err := s.settleName(p); err != nil {
			return nil, err
		}
	}
	if old.DeviceOwner != p.DeviceOwner || old.DeviceID != p.DeviceID {
		if err := checkDevice(tx, p); err != nil {
			return nil, err
		}
	}
	switch {
	case !overridden:
		err = s.changeMAC(tx, v, old, p)
	case v.macTaken && p.MAC != old.MAC:
		err = macInUse(p)
	}
	return v, err
}

// keepsVNIC refuses another kind of interface for a port that is bound, as what is
// plugged there is of the old kind. Bindings are changed by their own requests.
func keepsVNIC(old, p *weft.Port, given weft.Given) error {
	if !given["binding:vnic_type"] || old.VNICType == p.VNICType || old.VIFType == weft.VIFUnbound {
		return nil
	}
	return weft.Errorf(weft.Conflict, "PortInUse",
		"Unable to complete operation on port %s for network %s. Port already has an attached device %s.",
		p.ID, p.NetworkID, old.DeviceID)
}

// sameProfile compares what is in two profiles; none and empty are the same.
func sameProfile(a, b map[string]any) bool {
	return maps.EqualFunc(a, b, func(x, y any) bool { return reflect.DeepEqual(x, y) })
}

// readdress settles the addresses of a port whose MAC or addresses change.
func (s *Service) readdress(tx *store.Tx, v *view, old, p *weft.Port, given weft.Given) error {
	if !given["fixed_ips"] && old.MAC == p.MAC {
		p.FixedIPs = slices.Clone(old.FixedIPs)
		return s.rehost(tx, v, old, p)
	}
	rq, _, err := s.request(tx, v, p, given)
	if err != nil {
		return err
	}
	rq.Old = old.FixedIPs
	ips, err := ipam.Reassign(tx, rq)
	if err != nil {
		return err
	}
	p.FixedIPs = ips
	if p.DeviceOwner == weft.OwnerDHCP { // it has to have one of every subnet that it serves
		if p.FixedIPs, err = s.serverAddresses(tx, v, p); err != nil {
			return err
		}
	}
	if given["fixed_ips"] && len(ips) > 0 {
		p.IPAllocation = allocationImmediate
	}
	return nil
}

// RemovePort is DeletePort for who has no idea what the port is for: if it was that of
// a DHCP service, the service gets another with the same addresses at once.
func (s *Service) RemovePort(tx *store.Tx, p *weft.Port) error {
	if err := s.DeletePort(tx, p); err != nil || p.DeviceOwner != weft.OwnerDHCP {
		return err
	}
	return s.replaceDHCPPort(tx, p)
}

// DeletePort removes a port, whatever lives on it. What a user must not delete is
// refused before.
func (s *Service) DeletePort(tx *store.Tx, p *weft.Port) error {
	for _, hook := range s.PortDeleting {
		if err := hook(tx, p); err != nil {
			return err
		}
	}
	return store.Ports.Delete(tx, p)
}
