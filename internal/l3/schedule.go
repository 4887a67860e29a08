package l3

import (
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// place gives a router without a host one, and binds its ports there. If no L3
// agent is alive the router stays without; see PlaceRouters. The router is not
// yet stored.
func (s *Service) place(tx *store.Tx, r *weft.Router, ports []*weft.Port) error {
	if r.HostID != "" {
		return nil
	}
	host, err := leastLoaded(tx, s.downTime, r.AvailabilityZoneHints)
	if err != nil || host == "" {
		return err
	}
	r.HostID = host
	for _, old := range ports {
		p := weft.Clone(old)
		p.HostID = host
		if err := s.ports.UpdatePort(tx, old, p, weft.Given{"binding:host_id": true}); err != nil {
			return err
		}
		*old = *p // the caller's view of the port goes on to be used
	}
	return nil
}

// leastLoaded is the host of the alive L3 agent that carries the fewest routers,
// among those in the hinted zones if there are hints; "" if there is none.
func leastLoaded(tx *store.Tx, downTime time.Duration, zones []string) (host string, err error) {
	zone := store.Where("1 = 1")
	if len(zones) > 0 {
		zone = store.In("availability_zone", store.Strings(zones)...)
	}
	args := append([]any{weft.AgentL3, tx.Now().Add(-downTime).Unix()}, zone.Args...)
	_, err = tx.QueryRow(`SELECT t.host FROM agents t WHERE t.agent_type = ? AND t.admin_state_up = 1 AND t.heartbeat >= ? AND `+zone.SQL+`
		ORDER BY (SELECT COUNT(*) FROM routers r WHERE r.host_id = t.host), t.host LIMIT 1`, args, &host)
	return host, err
}

// PlaceRouters gives a host to every router that needs one and has none: to be
// called when an L3 agent comes up.
func (s *Service) PlaceRouters(tx *store.Tx) error {
	routers, err := store.Routers.Find(tx, store.Where(`t.host_id = '' AND (t.gw_port_id <> '' OR EXISTS
		(SELECT 1 FROM ports p WHERE p.device_id = t.id AND p.device_owner = 'network:router_interface'))`))
	if err != nil {
		return err
	}
	for _, r := range routers {
		a, err := attachmentsOf(tx, r)
		if err != nil {
			return err
		}
		if err := s.place(tx, r, a.all()); err != nil {
			return err
		}
		if err := store.Routers.Update(tx, r); err != nil {
			return err
		}
	}
	return nil
}
