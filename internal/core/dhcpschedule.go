package core

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// schedule puts the DHCP service of a network on the host where its first port is
// bound, or if no DHCP agent serves there on the least loaded host where one does.
// Ports before that have a host chosen, so that clients see one, but nothing made on
// it. Neutron makes it at the first subnet; here a network that no host uses costs
// the hosts nothing.
func (s *Service) schedule(tx *store.Tx, v *view, p *weft.Port) error {
	if p.Trusted() || !servesDHCP(v.subnets) {
		return nil
	}
	host := ""
	if p.Bound() {
		host = p.HostID
	}
	if len(v.dhcpHosts) > 0 && (!v.tentative || host == "") {
		return nil
	}
	return s.scheduleDHCP(tx, v, host)
}

// scheduleDHCP has as many hosts answer DHCP for a network as the operator wants, of
// those whose agents can. Without any the network waits for PlaceNetworks. The choice
// is tentative while no port is bound to a host; bound is one, which is preferred.
func (s *Service) scheduleDHCP(tx *store.Tx, v *view, bound string) error {
	if v.tentative {
		if _, err := tx.Exec("DELETE FROM dhcp_hosts WHERE network_id = ?", v.network.ID); err != nil {
			return err
		}
		v.dhcpHosts = nil
	}
	v.tentative = bound == ""
	hosts, err := s.dhcpCandidates(tx, v, bound)
	if err != nil {
		return err
	}
	for _, host := range hosts[:min(len(hosts), max(1, s.cfg.DHCPAgents)-len(v.dhcpHosts))] {
		if err := s.serveDHCP(tx, v, host); err != nil {
			return err
		}
	}
	return nil
}

// dhcpCandidates are the hosts that could also answer DHCP for a network, best first:
// their agent is alive, not switched off, and in a zone that the network asks for.
func (s *Service) dhcpCandidates(tx *store.Tx, v *view, prefer string) (hosts []string, err error) {
	text, args := `SELECT t.host FROM agents t WHERE t.agent_type = ? AND t.admin_state_up = 1 AND t.heartbeat > ?`,
		[]any{weft.AgentDHCP, tx.Now().Add(-s.cfg.AgentDownTime).Unix()}
	if zones := v.network.AvailabilityZoneHints; len(zones) > 0 {
		in := store.In("availability_zone", store.Strings(zones)...)
		text, args = text+" AND "+in.SQL, append(args, in.Args...)
	}
	text += ` ORDER BY CASE t.host WHEN ? THEN 0 ELSE 1 END, (SELECT COUNT(*) FROM dhcp_hosts d WHERE d.host = t.host), t.host`
	err = tx.Query(text, append(args, prefer), func(scan func(...any) error) error {
		var host string
		if err := scan(&host); err != nil {
			return err
		}
		if !slices.Contains(v.dhcpHosts, host) {
			hosts = append(hosts, host)
		}
		return nil
	})
	return hosts, err
}

// serveDHCP has a host answer DHCP for a network, if tentative in time to come.
func (s *Service) serveDHCP(tx *store.Tx, v *view, host string) error {
	tentative := 0
	if v.tentative {
		tentative = 1
	}
	if _, err := tx.Exec("INSERT INTO dhcp_hosts (network_id, host, tentative) VALUES (?, ?, ?)", v.network.ID, host, tentative); err != nil {
		return err
	}
	v.dhcpHosts = append(v.dhcpHosts, host)
	if v.tentative || !servesDHCP(v.subnets) {
		return nil
	}
	return s.createDHCPPort(tx, v, host)
}

// AddNetworkToDHCPAgent has an agent answer DHCP for a network, and with it those
// that were chosen for it tentatively. Errors:
// NetworkNotFound, InvalidDHCPAgent, NetworkHostedByDHCPAgent.
func (s *Service) AddNetworkToDHCPAgent(tx *store.Tx, a *weft.Agent, networkID string) error {
	v, err := look(tx, networkID, weft.MAC{})
	if err != nil {
		return err
	}
	if a.AgentType != weft.AgentDHCP || !a.AdminStateUp {
		return weft.Errorf(weft.NotFound, "InvalidDHCPAgent", "Agent %s is not a valid DHCP Agent or has been disabled.", a.ID)
	}
	if slices.Contains(v.dhcpHosts, a.Host) {
		return weft.Errorf(weft.Conflict, "NetworkHostedByDHCPAgent",
			"The network %s has been already hosted by the DHCP Agent %s.", networkID, a.ID)
	}
	if v.tentative {
		if _, err := tx.Exec("UPDATE dhcp_hosts SET tentative = 0 WHERE network_id = ?", networkID); err != nil {
			return err
		}
		v.tentative = false
		if err := s.syncDHCP(tx, v); err != nil {
			return err
		}
	}
	return s.serveDHCP(tx, v, a.Host)
}

// RemoveNetworkFromDHCPAgent ends that. The port stays, reserved for the next agent.
// The error is NetworkNotHostedByDhcpAgent.
func (s *Service) RemoveNetworkFromDHCPAgent(tx *store.Tx, a *weft.Agent, networkID string) error {
	n, err := int64(0), error(nil)
	if a.AgentType == weft.AgentDHCP {
		n, err = tx.Exec("DELETE FROM dhcp_hosts WHERE network_id = ? AND host = ?", networkID, a.Host)
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return weft.Errorf(weft.Conflict, "NetworkNotHostedByDhcpAgent", "The network %s is not hosted by the DHCP Agent %s.", networkID, a.ID)
	}
	return s.releaseDHCP(tx, networkID, a.Host)
}

// releaseDHCP reserves the DHCP port that a network has on a host.
func (s *Service) releaseDHCP(tx *store.Tx, networkID, host string) error {
	v, err := look(tx, networkID, weft.MAC{})
	if err != nil {
		return err
	}
	ports, err := store.Ports.Find(tx, store.Eq("network_id", networkID), store.Eq("device_id", DHCPDeviceID(host, networkID)))
	return each(ports, err, func(p *weft.Port) error { return s.moveDHCPPort(tx, v, p, "") })
}

// RemoveDHCPAgent takes an agent that is deleted off its networks.
func (s *Service) RemoveDHCPAgent(tx *store.Tx, a *weft.Agent) error {
	ids, err := column(tx, "SELECT network_id FROM dhcp_hosts WHERE host = ? ORDER BY network_id", a.Host)
	return each(ids, err, func(id string) error { return s.RemoveNetworkFromDHCPAgent(tx, a, id) })
}

// PlaceNetworks is to be called now and then: it finds an agent for networks with
// ports that have none, makes the DHCP ports that could not be made before, and if the
// operator wants fail-over moves the DHCP services of dead agents to living ones.
func (s *Service) PlaceNetworks(tx *store.Tx) error {
	if s.cfg.DHCPFailover {
		if err := s.failOver(tx); err != nil {
			return err
		}
	}
	ids, err := column(tx, `SELECT DISTINCT s.network_id FROM subnets s WHERE s.enable_dhcp = 1 AND s.ip_version = 4 AND (
		NOT EXISTS (SELECT 1 FROM dhcp_hosts d WHERE d.network_id = s.network_id)
			AND EXISTS (SELECT 1 FROM ports p WHERE p.network_id = s.network_id AND p.device_owner NOT LIKE 'network:%')
		OR EXISTS (SELECT 1 FROM dhcp_hosts d WHERE d.network_id = s.network_id AND d.tentative = 0 AND NOT EXISTS (SELECT 1 FROM ports p
			WHERE p.device_owner = 'network:dhcp' AND p.network_id = d.network_id AND p.host_id = d.host))) ORDER BY 1`)
	return each(ids, err, func(id string) error {
		v, err := look(tx, id, weft.MAC{})
		if err != nil {
			return err
		}
		return s.syncDHCP(tx, v)
	})
}

// failOver moves what dead agents serve, as far as there are others to serve it.
func (s *Service) failOver(tx *store.Tx) error {
	dead, err := store.Agents.Find(tx, store.Eq("agent_type", weft.AgentDHCP),
		store.Where("t.heartbeat <= ? AND t.host IN (SELECT d.host FROM dhcp_hosts d)", tx.Now().Add(-s.cfg.AgentDownTime).Unix()))
	return each(dead, err, func(a *weft.Agent) error {
		ids, err := column(tx, "SELECT network_id FROM dhcp_hosts WHERE host = ? ORDER BY network_id", a.Host)
		return each(ids, err, func(id string) error {
			v, err := look(tx, id, weft.MAC{})
			if err != nil {
				return err
			}
			hosts, err := s.dhcpCandidates(tx, v, "")
			if err != nil || len(hosts) == 0 {
				return err
			}
			if err := s.RemoveNetworkFromDHCPAgent(tx, a, id); err != nil {
				return err
			}
			return s.serveDHCP(tx, v, hosts[0])
		})
	})
}

// column is the one column that a query selects.
func column(tx *store.Tx, query string, args ...any) (out []string, err error) {
	err = tx.Query(query, args, func(scan func(...any) error) error {
		var s string
		err := scan(&s)
		out = append(out, s)
		return err
	})
	return out, err
}
