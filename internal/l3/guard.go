package l3

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Routers and floating IPs have ports of their own, which users see among theirs. What
// would take such a port from under its holder is refused here, where a user asks for
// it by the port; the holder's own requests do the same in order.

// interfaceKinds own the ports by which routers are on networks inside.
var interfaceKinds = []string{weft.OwnerRouterInterface, weft.OwnerDVRInterface, weft.OwnerHAInterface, weft.OwnerHAPort,
	weft.OwnerSNAT}

// holder is the noun that a port serves by its device owner, "" if none of ours.
func holder(p *weft.Port) string {
	switch {
	case p.DeviceOwner == weft.OwnerRouterGateway, slices.Contains(interfaceKinds, p.DeviceOwner):
		return "router"
	case p.DeviceOwner == weft.OwnerFloatingIP:
		return "floatingip"
	}
	return ""
}

// held reports whether the router or floating IP of a port is there.
func held(tx *store.Tx, p *weft.Port) (bool, error) {
	switch holder(p) {
	case "router":
		return tx.Exists("SELECT 1 FROM routers WHERE id = ?", p.DeviceID)
	case "floatingip":
		return tx.Exists("SELECT 1 FROM floatingips WHERE id = ?", p.DeviceID)
	}
	return false, nil
}

// GuardPortDelete refuses, with ServicePortInUse, that a user deletes a port which
// a router or a floating IP lives on. A port whose router or floating IP is gone is in
// nobody's way.
func (s *Service) GuardPortDelete(tx *store.Tx, p *weft.Port) error {
	lives, err := held(tx, p)
	if err == nil && lives {
		err = servicePort(p)
	}
	return err
}

func servicePort(p *weft.Port) error {
	return weft.Errorf(weft.Conflict, "ServicePortInUse",
		"Port %s cannot be deleted directly via the port API: has device owner %s.", p.ID, p.DeviceOwner).
		BlockedBy(holder(p), p.DeviceID)
}

// GuardPortUpdate refuses that a user changes the addresses of a router's port inside
// (extension l3-port-ip-change-not-allowed) or of a floating IP, and that such a port or
// a gateway is declared to be another's. An interface may cease to be one: see
// PortUpdating. Call it with the addresses that are asked for.
func (s *Service) GuardPortUpdate(tx *store.Tx, old, p *weft.Port, given weft.Given) error {
	moved := given["fixed_ips"] && old.DeviceOwner != weft.OwnerRouterGateway && !kept(old.FixedIPs, p.FixedIPs)
	taken := (p.DeviceOwner != old.DeviceOwner || p.DeviceID != old.DeviceID) && !old.RouterInterface()
	if !moved && !taken {
		return nil
	}
	lives, err := held(tx, old)
	switch {
	case err != nil || !lives:
		return err
	case taken:
		return servicePort(old)
	}
	return bad("ports", "IP updates for port %s are not allowed", p.ID)
}

// kept reports whether the addresses asked for are those held; of each only what it
// names counts.
func kept(held, want []weft.FixedIP) bool {
	return len(held) == len(want) && !slices.ContainsFunc(want, func(w weft.FixedIP) bool {
		return !slices.ContainsFunc(held, func(h weft.FixedIP) bool {
			return (w.SubnetID == "" || w.SubnetID == h.SubnetID) && (!w.IPAddress.IsValid() || w.IPAddress == h.IPAddress)
		})
	})
}
