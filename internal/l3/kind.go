package l3

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Networks is what l3 needs of core for the networks that highly available routers
// watch each other on.
type Networks interface {
	CreateNetwork(tx *store.Tx, n *weft.Network, given weft.Given) error
	CreateSubnet(tx *store.Tx, sn *weft.Subnet, given weft.Given) error
	DeleteNetwork(tx *store.Tx, n *weft.Network) error
}

// The attributes that say what kind a router is.
const (
	givenDistributed = "distributed"
	givenHA          = "ha"
)

// Kind is what a flavor says about a router.
type Kind struct {
	Provider        string
	Distributed, HA bool
}

// fits refuses a request for another kind of router than the provider has.
func (k Kind) fits(r *weft.Router, given weft.Given) error {
	word := map[bool]string{true: "True", false: "False"}
	switch {
	case given[givenDistributed] && r.Distributed != k.Distributed:
		return weft.Invalid("Provider %s does not support distributed=%s", k.Provider, word[r.Distributed])
	case given[givenHA] && r.HA != k.HA:
		return weft.Invalid("Provider %s does not support ha=%s", k.Provider, word[r.HA])
	}
	return nil
}

// checkFlavor refuses a flavor that cannot be had, or not for the router that is
// asked for. As in Neutron it does not say what kind the router is: the request does.
func (s *Service) checkFlavor(tx *store.Tx, r *weft.Router, given weft.Given) error {
	if r.FlavorID == "" {
		return nil
	}
	if s.KindOf == nil {
		return store.Flavors.Missing(string(r.FlavorID))
	}
	kind, err := s.KindOf(tx, string(r.FlavorID))
	if err != nil {
		return err
	}
	return kind.fits(r, given)
}

// keepFlavor refuses to change the kind of a router that was made by a flavor.
func (s *Service) keepFlavor(tx *store.Tx, old, r *weft.Router, given weft.Given) error {
	if old.FlavorID == "" || !given[givenDistributed] && !given[givenHA] {
		return nil
	}
	err := s.checkFlavor(tx, r, given)
	if weft.IsType(err, "InvalidInput") {
		return weft.Invalid("Changing the 'ha' and 'distributed' attributes on a router associated with a flavor is not supported")
	}
	return err
}

// chooseKind settles what a request leaves open about the kind of a new router.
func (s *Service) chooseKind(r *weft.Router, given weft.Given) {
	if !given[givenDistributed] {
		r.Distributed = s.cfg.Distributed
	}
	if !given[givenHA] {
		r.HA = s.cfg.HA
	}
}

// changeKind settles the kind of a router that is updated, and refuses to change it
// while the router is up: for distributed it must have been down before.
func changeKind(old, r *weft.Router, given weft.Given) error {
	if !given[givenDistributed] {
		r.Distributed = old.Distributed
	}
	if !given[givenHA] {
		r.HA = old.HA
	}
	const ask = "Please set router admin_state_up to False prior to upgrade"
	if r.Distributed != old.Distributed && (old.AdminStateUp || r.AdminStateUp) {
		return badRouter("Cannot change the 'distributed' attribute of active routers. %s", ask)
	}
	if r.HA != old.HA && r.AdminStateUp {
		return badRouter("Cannot change HA attribute of active routers. %s", ask)
	}
	return nil
}

// interfaceOwner is the device owner of the interfaces of a router of its kind.
func interfaceOwner(r *weft.Router) string {
	switch {
	case r.Distributed:
		return weft.OwnerDVRInterface
	case r.HA:
		return weft.OwnerHAInterface
	}
	return weft.OwnerRouterInterface
}

// settle brings the ports of a router, which may not be stored yet, in line with its
// kind: the owner of its interfaces, the ports of its centralized part, and those
// that its instances watch each other by. Call it after every change; old is the
// router before it, where its kind may have changed.
func (s *Service) settle(tx *store.Tx, old, r *weft.Router) error {
	if !r.HA && !r.Distributed && (old == nil || !old.HA && !old.Distributed) {
		return nil
	}
	return elevated(tx, func() error {
		for _, step := range []func(*store.Tx, *weft.Router) error{s.settleHA, s.settleOwners, s.settleSNAT} {
			if err := step(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// elevated does what the cloud does for itself, whoever caused it.
func elevated(tx *store.Tx, do func() error) error {
	caller := tx.Caller
	tx.Caller = weft.SystemCaller("l3")
	defer func() { tx.Caller = caller }()
	return do()
}

func portsOf(tx *store.Tx, r *weft.Router, owner string) ([]*weft.Port, error) {
	return store.Ports.Find(tx, store.Eq("device_id", r.ID), store.Eq("device_owner", owner))
}

// settleOwners makes the interfaces those of a router of its kind.
func (s *Service) settleOwners(tx *store.Tx, r *weft.Router) error {
	owner := interfaceOwner(r)
	ports, err := store.Ports.Find(tx, store.Eq("device_id", r.ID), store.Where("t.device_owner IN ("+interfaceOwners+") AND t.device_owner <> ?", owner))
	if err != nil {
		return err
	}
	for _, old := range ports {
		p := weft.Clone(old)
		p.DeviceOwner = owner
		if err := s.ports.UpdatePort(tx, old, p, weft.Given{"device_owner": true}); err != nil {
			return err
		}
	}
	return nil
}

// settleSNAT gives a distributed router with a gateway a port on each of its subnets
// for its centralized part; IPv6 subnets of one network share one.
func (s *Service) settleSNAT(tx *store.Tx, r *weft.Router) error {
	have, err := portsOf(tx, r, weft.OwnerSNAT)
	if err != nil || len(have) == 0 && (!r.Distributed || r.GatewayPortID == "") {
		return err
	}
	a, err := attachmentsOf(tx, r)
	if err != nil {
		return err
	}
	want := map[string][]weft.FixedIP{} // by subnet, or for IPv6 by network
	if r.Distributed && r.GatewayPortID != "" {
		for _, p := range a.interfaces {
			for _, ip := range p.FixedIPs {
				key := snatKey(p, ip)
				want[key] = append(want[key], weft.FixedIP{SubnetID: ip.SubnetID})
			}
		}
	}
	for _, p := range have {
		key := snatKey(p, p.FixedIPs[0])
		if same(p.FixedIPs, want[key]) {
			delete(want, key)
		} else if err := s.ports.DeletePort(tx, p); err != nil {
			return err
		}
	}
	return s.openSNAT(tx, r, a, want)
}

func snatKey(p *weft.Port, ip weft.FixedIP) string {
	if ip.IPAddress.Is6() {
		return p.NetworkID
	}
	return ip.SubnetID
}

// same reports whether addresses are of just these subnets.
func same(held, want []weft.FixedIP) bool {
	return len(held) == len(want) && !slices.ContainsFunc(held, func(h weft.FixedIP) bool {
		return !slices.ContainsFunc(want, func(w weft.FixedIP) bool { return w.SubnetID == h.SubnetID })
	})
}

func (s *Service) openSNAT(tx *store.Tx, r *weft.Router, a *attachments, want map[string][]weft.FixedIP) error {
	for _, in := range a.interfaces { // in a fixed order
		for _, ip := range in.FixedIPs {
			ips, ok := want[snatKey(in, ip)]
			if !ok {
				continue
			}
			delete(want, snatKey(in, ip))
			// It has no host: the one that carries the router needs no port of its own to
			// translate what leaves by the gateway.
			p := &weft.Port{NetworkID: in.NetworkID, AdminStateUp: true, DeviceOwner: weft.OwnerSNAT, DeviceID: r.ID, FixedIPs: ips}
			if err := s.ports.CreatePort(tx, p, weft.Given{"device_id": true, "device_owner": true, "fixed_ips": true}); err != nil {
				return err
			}
		}
	}
	return nil
}

// How highly available routers of a project watch each other, as in Neutron.
const haCIDR = "169.254.192.0/18"

// settleHA gives a highly available router its network, its id on that, and a port on
// each host that stands ready for it; and takes all from one that is none any more.
func (s *Service) settleHA(tx *store.Tx, r *weft.Router) error {
	if !r.HA {
		return s.endHA(tx, r)
	}
	network, err := s.haNetwork(tx, r)
	if err != nil {
		return err
	}
	if err := chooseVRID(tx, r, network); err != nil {
		return err
	}
	ports, err := portsOf(tx, r, weft.OwnerHAPort)
	if err != nil {
		return err
	}
	hosts := map[string]bool{}
	for _, p := range ports {
		hosts[p.HostID] = true
	}
	agents, err := s.candidates(tx, r)
	if err != nil {
		return err
	}
	if r.HostID != "" && !hosts[r.HostID] { // it was not highly available before
		agents = append([]*weft.Agent{{Host: r.HostID}}, agents...)
	}
	for _, a := range agents {
		if hosts[a.Host] || s.cfg.HAAgents > 0 && len(hosts) >= s.cfg.HAAgents {
			continue
		}
		hosts[a.Host] = true
		if err := s.standBy(tx, r, network, a.Host); err != nil {
			return err
		}
		if r.HostID == "" {
			if err := s.moveAll(tx, r, a.Host); err != nil {
				return err
			}
		}
	}
	return nil
}

// standBy has a host stand ready for a router.
func (s *Service) standBy(tx *store.Tx, r *weft.Router, network, host string) error {
	p := &weft.Port{Name: "HA port tenant " + r.ProjectID, NetworkID: network, AdminStateUp: true, DeviceOwner: weft.OwnerHAPort, DeviceID: r.ID, HostID: host}
	return s.ports.CreatePort(tx, p, weft.Given{"device_id": true, "device_owner": true, "binding:host_id": true})
}

// haNetwork is the network of the highly available routers of a project, made when
// the first needs it.
func (s *Service) haNetwork(tx *store.Tx, r *weft.Router) (string, error) {
	id := ""
	if found, err := tx.QueryRow("SELECT network_id FROM ha_networks WHERE project_id = ?", []any{r.ProjectID}, &id); found || err != nil {
		return id, err
	}
	n := &weft.Network{Name: "HA network tenant " + r.ProjectID, AdminStateUp: true, PortSecurity: true}
	if err := s.Networks.CreateNetwork(tx, n, weft.Given{"name": true, "admin_state_up": true}); err != nil {
		return "", fmt.Errorf("making the network of highly available routers: %w", err)
	}
	sn := &weft.Subnet{Name: "HA subnet tenant " + r.ProjectID, NetworkID: n.ID, IPVersion: 4, CIDR: netip.MustParsePrefix(haCIDR)}
	if err := s.Networks.CreateSubnet(tx, sn, weft.Given{"gateway_ip": true, "enable_dhcp": true, "cidr": true}); err != nil {
		return "", fmt.Errorf("making the subnet of highly available routers: %w", err)
	}
	_, err := tx.Exec("INSERT INTO ha_networks (project_id, network_id) VALUES (?, ?)", r.ProjectID, n.ID)
	return n.ID, err
}

// maxVRID is the largest id that VRRP has.
const maxVRID = 254

// chooseVRID gives a router the least id that is free on its network. The error is
// NoVRIDAvailable.
func chooseVRID(tx *store.Tx, r *weft.Router, network string) error {
	taken := map[int]bool{}
	had := false
	err := tx.Query("SELECT vr_id, router_id FROM ha_vrids WHERE network_id = ?", []any{network}, func(scan func(...any) error) error {
		id, router := 0, ""
		err := scan(&id, &router)
		taken[id], had = true, had || router == r.ID
		return err
	})
	if err != nil || had {
		return err
	}
	for id := 1; id <= maxVRID; id++ {
		if !taken[id] {
			_, err := tx.Exec("INSERT INTO ha_vrids (network_id, vr_id, router_id) VALUES (?, ?, ?)", network, id, r.ID)
			return err
		}
	}
	return weft.Errorf(weft.Conflict, "NoVRIDAvailable",
		"No more Virtual Router Identifier (VRID) available when creating router %s. The limit of number of HA Routers per tenant is 254.", r.ID)
}

// endHA takes a router's part in high availability away, and with the last of a
// project their network.
func (s *Service) endHA(tx *store.Tx, r *weft.Router) error {
	n, err := tx.Exec("DELETE FROM ha_vrids WHERE router_id = ?", r.ID)
	if err != nil || n == 0 {
		return err
	}
	ports, err := portsOf(tx, r, weft.OwnerHAPort)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if err := s.ports.DeletePort(tx, p); err != nil {
			return err
		}
	}
	network := ""
	last, err := tx.QueryRow(`SELECT h.network_id FROM ha_networks h WHERE h.project_id = ?
		AND NOT EXISTS (SELECT 1 FROM ha_vrids v WHERE v.network_id = h.network_id)`, []any{r.ProjectID}, &network)
	if err != nil || !last {
		return err
	}
	used, err := store.Networks.Get(tx, network)
	if err != nil {
		return err
	}
	return s.Networks.DeleteNetwork(tx, used)
}

// moveAll has a host carry a router with all its ports. The router is not yet stored.
func (s *Service) moveAll(tx *store.Tx, r *weft.Router, host string) error {
	a, err := attachmentsOf(tx, r)
	if err != nil {
		return err
	}
	return s.move(tx, r, host, a.all())
}

// standbys are the hosts that stand ready for a router and whose agents are alive
// and switched on.
func (s *Service) standbys(tx *store.Tx, r *weft.Router) ([]string, error) {
	return tx.IDs(`SELECT p.host_id FROM ports p WHERE p.device_id = ? AND p.device_owner = 'network:router_ha_interface' AND p.host_id <> ?
		AND p.host_id IN (SELECT a.host FROM agents a WHERE a.agent_type = ? AND a.admin_state_up = 1 AND a.heartbeat > ?) ORDER BY p.host_id`,
		r.ID, r.HostID, weft.AgentL3, tx.Now().Add(-s.cfg.AgentDownTime).Unix())
}
