package core

import (
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/sharing"
	"github.com/weftnet/weft/internal/store"
)

// CreateNetwork stores a new network with the segments it asks for, or one that is
// free. Errors: InvalidInput for provider attributes that make no sense,
// VlanIdInUse, TunnelIdInUse, FlatNetworkInUse, NoNetworkAvailable,
// AvailabilityZoneNotFound, DefaultExternalNetworkExists.
func (s *Service) CreateNetwork(tx *store.Tx, n *weft.Network, _ weft.Given) error {
	if err := checkZones(tx, n.AvailabilityZoneHints); err != nil {
		return err
	}
	if err := onlyDefault(tx, n); err != nil {
		return err
	}
	if err := s.ml2.Segments(tx, n); err != nil {
		return err
	}
	if err := s.ml2.MTU(n); err != nil {
		return err
	}
	n.Status = weft.StatusActive
	if s.DefaultGroup != nil {
		if _, err := s.DefaultGroup(tx, n.ProjectID); err != nil {
			return err
		}
	}
	for _, hook := range s.NetworkCreating {
		if err := hook(tx, n); err != nil {
			return err
		}
	}
	n.SettleDefault()
	if err := store.Networks.Insert(tx, n); err != nil {
		return err
	}
	if n.External {
		return sharing.Grant(tx, "network", n.ID, n.ProjectID, weft.AccessExternal)
	}
	return nil
}

// checkZones refuses zones in which there is no DHCP agent.
func checkZones(tx *store.Tx, zones []string) error {
	for _, z := range zones {
		n, err := store.Agents.Count(tx, store.Eq("agent_type", weft.AgentDHCP), store.Eq("availability_zone", z))
		if err != nil {
			return err
		}
		if n == 0 {
			return weft.Errorf(weft.NotFound, "AvailabilityZoneNotFound", "AvailabilityZone %s could not be found.", z)
		}
	}
	return nil
}

// onlyDefault refuses a second default external network. Only external networks have
// a say in it.
func onlyDefault(tx *store.Tx, n *weft.Network) error {
	if !n.Default() {
		return nil
	}
	other, err := store.Networks.First(tx, store.Eq("is_default", 1), store.Eq("external", 1), store.Where("t.id <> ?", n.ID))
	if err == nil && other != nil {
		err = weft.Errorf(weft.Conflict, "DefaultExternalNetworkExists", "A default external network already exists: %s.", other.ID)
	}
	return err
}

// UpdateNetwork stores what changed. Errors: InvalidInput for provider attributes,
// which cannot change, and for an MTU that is too big; NetworkMTUSubnetConflict for one
// that is too small; ExternalNetworkInUse; DefaultExternalNetworkExists; VlanIdInUse.
func (s *Service) UpdateNetwork(tx *store.Tx, old, n *weft.Network, given weft.Given) error {
	n.Segments = old.Segments // Neutron takes others and leaves them
	if err := s.ml2.Resegment(tx, old, n); err != nil {
		return err
	}
	if given["mtu"] {
		if err := s.changeMTU(tx, n); err != nil {
			return err
		}
	}
	if err := onlyDefault(tx, n); err != nil {
		return err
	}
	if old.External != n.External {
		if err := setExternal(tx, n); err != nil {
			return err
		}
	}
	for _, hook := range s.NetworkUpdating {
		if err := hook(tx, old, n); err != nil {
			return err
		}
	}
	n.SettleDefault()
	return store.Networks.Update(tx, n)
}

func setExternal(tx *store.Tx, n *weft.Network) error {
	if n.External {
		return sharing.Grant(tx, "network", n.ID, n.ProjectID, weft.AccessExternal)
	}
	used, err := tx.IDs("SELECT id FROM ports WHERE network_id = ? AND device_owner IN (?, ?)", n.ID, weft.OwnerRouterGateway, weft.OwnerFloatingIP)
	if err != nil {
		return err
	}
	if len(used) > 0 {
		return weft.Errorf(weft.Conflict, "ExternalNetworkInUse",
			"External network %s cannot be updated to be made non-external, since it has existing gateway ports.", n.ID).BlockedBy("port", used...)
	}
	// Access given to single projects ends with it as well.
	return sharing.Internal(tx, n.ID)
}

func each[T any](all []T, err error, do func(T) error) error {
	for _, v := range all {
		if err == nil {
			err = do(v)
		}
	}
	return err
}

// autoOwners own ports that exist for the network's own sake and go with it.
var autoOwners = []string{weft.OwnerDHCP, "network:distributed", "network:floatingip_agent_gateway"}

// DeleteNetwork removes a network with its subnets and the ports that serve it;
// NetworkInUse while there are others.
func (s *Service) DeleteNetwork(tx *store.Tx, n *weft.Network) error {
	for _, hook := range s.NetworkDeleting {
		if err := hook(tx, n); err != nil {
			return err
		}
	}
	blocking, err := tx.IDs(`SELECT id FROM ports WHERE network_id = ? AND device_owner NOT IN (?, ?, ?)`,
		append([]any{n.ID}, store.Strings(autoOwners)...)...)
	if err != nil {
		return err
	}
	if len(blocking) > 0 {
		return weft.Errorf(weft.Conflict, "NetworkInUse",
			"Unable to complete operation on network %s. There are one or more ports still in use on the network, id for these ports is: %s.",
			n.ID, strings.Join(blocking, ",")).BlockedBy("port", blocking...)
	}
	ports, err := store.Ports.Find(tx, store.Eq("network_id", n.ID))
	if err := each(ports, err, func(p *weft.Port) error { return s.DeletePort(tx, p) }); err != nil {
		return err
	}
	subnets, err := store.Subnets.Find(tx, store.Eq("network_id", n.ID))
	if err := each(subnets, err, func(sn *weft.Subnet) error { return s.dropSubnet(tx, sn) }); err != nil {
		return err
	}
	if err := sharing.Unshare(tx, "network", n.ID); err != nil {
		return err
	}
	return store.Networks.Delete(tx, n)
}

func isAuto(owner string) bool { return slices.Contains(autoOwners, owner) }
