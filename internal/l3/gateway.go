package l3

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// asked is the gateway that a request asks for: what it did not name is left to
// the defaults, whatever the noun says.
func asked(g *weft.Gateway, given weft.Given) *weft.Gateway {
	if g == nil {
		return nil
	}
	want := &weft.Gateway{NetworkID: g.NetworkID, EnableSNAT: true}
	if given[givenQoS] {
		want.QoSPolicyID = g.QoSPolicyID
	}
	if given[givenSNAT] {
		want.EnableSNAT = g.EnableSNAT
	}
	if given[givenFixedIPs] {
		want.ExternalFixedIPs = slices.Clone(g.ExternalFixedIPs)
	}
	return want
}

func copied(g *weft.Gateway) *weft.Gateway {
	if g == nil {
		return nil
	}
	c := *g
	c.ExternalFixedIPs = slices.Clone(g.ExternalFixedIPs)
	return &c
}

// changeGateway makes the gateway of a router the one asked for; the router is not
// yet stored.
func (s *Service) changeGateway(tx *store.Tx, r *weft.Router, want *weft.Gateway) error {
	if want != nil {
		old := weft.ID("")
		if r.Gateway != nil {
			old = r.Gateway.QoSPolicyID
		}
		if err := s.checkQoS(tx, old, want.QoSPolicyID); err != nil {
			return err
		}
	}
	if r.Gateway != nil && want != nil && r.Gateway.NetworkID == want.NetworkID {
		return s.moveGateway(tx, r, want)
	}
	if err := s.closeGateway(tx, r); err != nil {
		return err
	}
	if want == nil {
		promote(r)
		return nil
	}
	return s.openGateway(tx, r, want)
}

// openGateway gives a router without one a gateway: a port of no project on an
// external network. Errors: NetworkNotFound, BadRequest when the network is not
// external, an address is that of the subnet's own gateway, or the router is on
// overlapping subnets already, and what core says about addresses.
func (s *Service) openGateway(tx *store.Tx, r *weft.Router, want *weft.Gateway) error {
	p, err := s.gatewayPort(tx, r, want)
	if err != nil {
		return err
	}
	r.GatewayPortID, r.Gateway = p.ID, want
	want.ExternalFixedIPs = p.FixedIPs
	showGateways(r, further(r))
	return nil
}

// gatewayPort makes a port for a gateway of a router, the first or a further one.
func (s *Service) gatewayPort(tx *store.Tx, r *weft.Router, want *weft.Gateway) (*weft.Port, error) {
	a, err := attachmentsOf(tx, r)
	if err != nil {
		return nil, err
	}
	outside, err := externalSubnets(tx, want)
	if err != nil {
		return nil, err
	}
	if err := a.disjoint(outside...); err != nil {
		return nil, err
	}
	if err := s.place(tx, r, a.all()); err != nil {
		return nil, err
	}
	p := &weft.Port{NetworkID: want.NetworkID, AdminStateUp: true, DeviceOwner: weft.OwnerRouterGateway, FixedIPs: want.ExternalFixedIPs}
	if err := s.createPort(tx, r, p); err != nil {
		return nil, err
	}
	for _, ip := range p.FixedIPs {
		if err := without(a.interfaces, ip.SubnetID); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// createPort makes a port of a router where the router is.
func (s *Service) createPort(tx *store.Tx, r *weft.Router, p *weft.Port) error {
	p.DeviceID, p.HostID = r.ID, r.HostID
	given := weft.Given{"network_id": true, "admin_state_up": true, "device_id": true, "device_owner": true}
	given["fixed_ips"] = len(p.FixedIPs) > 0
	given["binding:host_id"] = p.HostID != ""
	return s.ports.CreatePort(tx, p, given)
}

// externalSubnets are the subnets of the network that a gateway is to be on.
func externalSubnets(tx *store.Tx, want *weft.Gateway) ([]*weft.Subnet, error) {
	n, err := store.Networks.GetVisible(tx, want.NetworkID)
	if err != nil {
		return nil, err
	}
	if !n.External {
		return nil, badRouter("Network %s is not an external network", n.ID)
	}
	subnets, err := store.Subnets.Find(tx, store.Eq("network_id", n.ID))
	if err != nil {
		return nil, err
	}
	for _, ip := range want.ExternalFixedIPs {
		for _, sub := range subnets {
			if ip.IPAddress.IsValid() && ip.IPAddress == sub.GatewayIP.Addr {
				return nil, badRouter("External IP %s is the same as the gateway IP", ip.IPAddress)
			}
		}
	}
	return subnets, nil
}

// moveGateway changes what can be changed of a gateway that stays on its network.
func (s *Service) moveGateway(tx *store.Tx, r *weft.Router, want *weft.Gateway) error {
	if _, err := externalSubnets(tx, want); err != nil {
		return err
	}
	if err := s.gatewayChanging(tx, r, want); err != nil {
		return err
	}
	r.Gateway.EnableSNAT, r.Gateway.QoSPolicyID = want.EnableSNAT, want.QoSPolicyID
	if !differs(r.Gateway.ExternalFixedIPs, want.ExternalFixedIPs) {
		return nil
	}
	held, err := s.readdress(tx, r.GatewayPortID, want.ExternalFixedIPs)
	if err != nil {
		return err
	}
	r.Gateway.ExternalFixedIPs = held
	showGateways(r, further(r))
	return nil
}

// readdress gives a gateway's port other addresses, and returns those it then has.
func (s *Service) readdress(tx *store.Tx, port string, ips []weft.FixedIP) ([]weft.FixedIP, error) {
	old, err := store.Ports.Get(tx, port)
	if err != nil {
		return nil, err
	}
	p := weft.Clone(old)
	p.FixedIPs = ips
	err = s.ports.UpdatePort(tx, old, p, weft.Given{"fixed_ips": true})
	return p.FixedIPs, err
}

func (s *Service) gatewayChanging(tx *store.Tx, r *weft.Router, want *weft.Gateway) error {
	for _, hook := range s.GatewayChanging {
		if err := hook(tx, r, want); err != nil {
			return err
		}
	}
	return nil
}

// differs reports whether the addresses asked for are others than those held. As
// in Neutron an empty list asks for nothing, and otherwise the subnets and the
// addresses that are named count, not how often: one address more on a subnet that
// has one is asked for by naming it.
func differs(held, want []weft.FixedIP) bool {
	if len(want) == 0 {
		return false
	}
	return !maps.Equal(subnetsOf(held), subnetsOf(want)) || !maps.Equal(addressesOf(held), addressesOf(want))
}

func subnetsOf(ips []weft.FixedIP) map[string]bool {
	set := map[string]bool{}
	for _, ip := range ips {
		if ip.SubnetID != "" {
			set[ip.SubnetID] = true
		}
	}
	return set
}

func addressesOf(ips []weft.FixedIP) map[netip.Addr]bool {
	set := map[netip.Addr]bool{}
	for _, ip := range ips {
		if ip.IPAddress.IsValid() {
			set[ip.IPAddress] = true
		}
	}
	return set
}

// closeGateway takes the gateway of a router away, if it has one. The error is
// RouterExternalGatewayInUseByFloatingIp while floating IPs go through it.
func (s *Service) closeGateway(tx *store.Tx, r *weft.Router) error {
	if r.GatewayPortID == "" {
		return nil
	}
	if err := s.gatewayChanging(tx, r, nil); err != nil {
		return err
	}
	ways := further(r)
	if err := needless(tx, r, r.Gateway.NetworkID, ways); err != nil {
		return err
	}
	p, err := store.Ports.Get(tx, r.GatewayPortID)
	if err != nil {
		return err
	}
	r.GatewayPortID, r.Gateway = "", nil
	showGateways(r, ways)
	return s.ports.DeletePort(tx, p)
}

// needless refuses that a gateway goes which floating IPs go through, unless one of
// the ways that remain is on the same network.
func needless(tx *store.Tx, r *weft.Router, network string, remain []way) error {
	if slices.ContainsFunc(remain, func(w way) bool { return w.NetworkID == network }) {
		return nil
	}
	used, err := tx.Exists("SELECT 1 FROM floatingips WHERE router_id = ? AND floating_network_id = ?", r.ID, network)
	if err == nil && used {
		err = weft.Errorf(weft.Conflict, "RouterExternalGatewayInUseByFloatingIp",
			"Gateway cannot be updated for router %s, since a gateway to external network %s is required by one or more floating IPs.", r.ID, network)
	}
	return err
}
