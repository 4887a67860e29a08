// Package topology makes, for a project that asks for it, a network with subnets out
// of the default pools and a router to the default external network, and takes it away
// again.
package topology

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/l3"
	"github.com/weftnet/weft/internal/store"
)

// Networks is what it needs of networks and subnets.
type Networks interface {
	CreateNetwork(tx *store.Tx, n *weft.Network, given weft.Given) error
	CreateSubnet(tx *store.Tx, sn *weft.Subnet, given weft.Given) error
	DeleteNetwork(tx *store.Tx, n *weft.Network) error
}

// Routers is what it needs of routers.
type Routers interface {
	CreateRouter(tx *store.Tx, r *weft.Router, given weft.Given) error
	AddInterface(tx *store.Tx, r *weft.Router, subnetID, portID string) (*l3.Interface, error)
	RemoveInterface(tx *store.Tx, r *weft.Router, subnetID, portID string) (*l3.Interface, error)
	DeleteRouter(tx *store.Tx, r *weft.Router) error
}

// Service makes topologies. Its methods run inside the transaction they are given: a
// topology is there as a whole or not at all.
type Service struct {
	networks Networks
	routers  Routers
}

// New makes a service.
func New(n Networks, r Routers) *Service { return &Service{n, r} }

// Find is the network of the project's topology, empty if it has none.
func (s *Service) Find(tx *store.Tx, projectID string) (networkID string, err error) {
	_, err = tx.QueryRow("SELECT network_id FROM auto_allocated_topologies WHERE project_id = ?", []any{projectID}, &networkID)
	return networkID, err
}

// Check refuses with AutoAllocationFailure where Make could not begin: without a
// default external network and without a default subnet pool that the caller may use.
func (s *Service) Check(tx *store.Tx) error {
	if _, err := external(tx); err != nil {
		return err
	}
	pools, err := defaultPools(tx)
	if err == nil && len(pools) == 0 {
		err = failure("No default subnetpools defined")
	}
	return err
}

// Make is the network of the project's topology, which it makes if there is none. The
// errors are AutoAllocationFailure for what the deployment lacks, and conflicts met
// on the way.
func (s *Service) Make(tx *store.Tx, projectID string) (networkID string, err error) {
	if networkID, err = s.Find(tx, projectID); networkID != "" || err != nil {
		return networkID, err
	}
	outside, err := external(tx)
	if err != nil {
		return "", err
	}
	n, subnets, err := s.network(tx, projectID)
	if err != nil {
		return "", deployment(err, "Unable to provide tenant private network")
	}
	r, err := s.router(tx, projectID, outside.ID, subnets)
	if err != nil {
		return "", deployment(err, "Unable to provide external connectivity")
	}
	_, err = tx.Exec("INSERT INTO auto_allocated_topologies (project_id, network_id, router_id) VALUES (?, ?, ?)", projectID, n.ID, r.ID)
	return n.ID, err
}

func failure(reason string) error {
	return weft.Errorf(weft.Conflict, "AutoAllocationFailure", "Deployment error: %s.", reason)
}

// deployment says of refusals that only the operator can do something about them.
func deployment(err error, reason string) error {
	if weft.IsKind(err, weft.BadRequest) || weft.IsKind(err, weft.NotFound) || weft.IsType(err, "SubnetAllocationError") {
		return failure(reason)
	}
	return err
}

func external(tx *store.Tx) (*weft.Network, error) {
	n, err := store.Networks.First(tx, store.Eq("is_default", 1), store.Eq("external", 1))
	if err == nil && n == nil {
		err = failure("No default router:external network")
	}
	return n, err
}

// defaultPools are the default pools that the caller may use, that for IPv4 first.
func defaultPools(tx *store.Tx) ([]*weft.SubnetPool, error) {
	var out []*weft.SubnetPool
	for _, version := range []int{4, 6} {
		p, err := store.SubnetPools.First(tx, store.Eq("is_default", 1), store.Eq("ip_version", version), store.SubnetPools.VisibleTo(tx.Caller))
		if err != nil {
			return nil, err
		}
		if p != nil {
			out = append(out, p)
		}
	}
	return out, nil
}

func (s *Service) network(tx *store.Tx, projectID string) (*weft.Network, []*weft.Subnet, error) {
	pools, err := defaultPools(tx)
	if err != nil {
		return nil, nil, err
	}
	if len(pools) == 0 {
		return nil, nil, failure("Unable to provide tenant private network")
	}
	n := &weft.Network{Name: "auto_allocated_network", AdminStateUp: true, PortSecurity: true}
	n.ProjectID = projectID
	if err := s.networks.CreateNetwork(tx, n, nil); err != nil {
		return nil, nil, err
	}
	var subnets []*weft.Subnet
	for _, p := range pools {
		name := map[int]string{4: "auto_allocated_subnet_v4", 6: "auto_allocated_subnet_v6"}[p.IPVersion]
		sn := &weft.Subnet{Name: name, NetworkID: n.ID, IPVersion: p.IPVersion, SubnetPoolID: weft.ID(p.ID), EnableDHCP: true}
		sn.ProjectID = projectID
		if err := s.networks.CreateSubnet(tx, sn, nil); err != nil {
			return nil, nil, err
		}
		subnets = append(subnets, sn)
	}
	return n, subnets, nil
}

func (s *Service) router(tx *store.Tx, projectID, outside string, subnets []*weft.Subnet) (*weft.Router, error) {
	r := &weft.Router{Name: "auto_allocated_router", AdminStateUp: true, Gateway: &weft.Gateway{NetworkID: outside}}
	r.ProjectID = projectID
	if err := s.routers.CreateRouter(tx, r, weft.Given{"external_gateway_info": true}); err != nil {
		return nil, err
	}
	for _, sn := range subnets {
		if _, err := s.routers.AddInterface(tx, r, sn.ID, ""); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Delete removes the project's topology, if it has one. What the project has put on it
// refuses that, as it refuses the deletion of the network and of the router.
func (s *Service) Delete(tx *store.Tx, projectID string) error {
	var networkID, routerID string
	found, err := tx.QueryRow("SELECT network_id, router_id FROM auto_allocated_topologies WHERE project_id = ?", []any{projectID}, &networkID, &routerID)
	if err != nil || !found {
		return err
	}
	if err := s.deleteRouter(tx, routerID, networkID); err != nil {
		return err
	}
	n, err := store.Networks.Get(tx, networkID)
	if err != nil {
		return err
	}
	return s.networks.DeleteNetwork(tx, n) // and the row that says so with it
}

// deleteRouter removes the router, which the project may have removed itself.
func (s *Service) deleteRouter(tx *store.Tx, routerID, networkID string) error {
	r, err := store.Routers.Get(tx, routerID)
	if weft.IsKind(err, weft.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	subnets, err := store.Subnets.Find(tx, store.Eq("network_id", networkID))
	if err != nil {
		return err
	}
	for _, sn := range subnets {
		if _, err := s.routers.RemoveInterface(tx, r, sn.ID, ""); err != nil && !weft.IsKind(err, weft.NotFound) {
			return err
		}
	}
	if r, err = store.Routers.Get(tx, routerID); err != nil {
		return err
	}
	return s.routers.DeleteRouter(tx, r)
}
