package ipam

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Request is what decides a port's addresses.
type Request struct {
	NetworkID string
	Subnets   []*weft.Subnet // of the network
	Owner     string         // the port's device owner
	MAC       weft.MAC
	Asked     []weft.FixedIP // an entry may lack its subnet or its address
	Given     bool           // Asked was given, if only as []
	Old       []weft.FixedIP // what the port has; none on create
	Draw      Draw           // nil: by chance
}

// Draw chooses a number below n: which of the addresses of the pools is tried.
type Draw func(n uint64) uint64

// routerOwners own ports that take no automatic addresses: a router's interface
// has the addresses it is told.
var routerOwners = []string{
	weft.OwnerRouterInterface, "network:router_interface_distributed",
	"network:ha_router_replicated_interface", "network:router_centralized_snat",
}

// IsRouterOwner reports whether ports of the owner are interfaces of a router.
func IsRouterOwner(owner string) bool { return slices.Contains(routerOwners, owner) }

// Assign chooses the addresses of a new port. Errors are refusals that name what
// cannot be had: IpAddressGenerationFailure, IpAddressAlreadyAllocated,
// InvalidIpForNetwork, InvalidIpForSubnet, AllocationOnAutoAddressSubnet,
// IpAddressGenerationFailureNoMatchingSubnet, InvalidInput.
func Assign(tx *store.Tx, rq Request) ([]weft.FixedIP, error) {
	a := newAssignment(tx, rq)
	var err error
	switch {
	case len(rq.Subnets) > 0 && len(a.usable) == 0 && !(rq.Given && len(rq.Asked) == 0):
		err = weft.Errorf(weft.Conflict, "IpAddressGenerationFailureNoMatchingSubnet",
			"No valid service subnet for the given device owner, network %s, service type %s.", rq.NetworkID, rq.Owner)
	case rq.Given:
		err = a.each(rq.Asked)
	default:
		err = a.usual()
	}
	if err != nil {
		return nil, err
	}
	a.derive()
	return Ordered(a.ips), nil
}

// Reassign chooses the addresses of a port whose addresses or MAC change: an
// address asked for by name, and one of a subnet asked for, stays if the port has
// it; so do addresses derived from the MAC, as long as the MAC stays.
func Reassign(tx *store.Tx, rq Request) ([]weft.FixedIP, error) {
	a := newAssignment(tx, rq)
	asked := rq.Asked
	if !rq.Given {
		asked = a.lasting()
	}
	if err := a.each(a.match(asked)); err != nil {
		return nil, err
	}
	if rq.Given {
		a.derive()
		return Ordered(a.ips), nil
	}
	// Only the MAC changed: what derives from it is derived again.
	for _, ip := range rq.Old {
		if a.derived(ip) {
			a.auto(a.subnet(ip.SubnetID))
		}
	}
	return Ordered(a.ips), nil
}

// Ordered puts addresses into the order in which ports show them, Neutron's: by the text
// of the address, then by the subnet. It changes the list it is given.
func Ordered(ips []weft.FixedIP) []weft.FixedIP {
	if len(ips) > 1 {
		slices.SortFunc(ips, func(x, y weft.FixedIP) int {
			return cmp.Or(strings.Compare(x.IPAddress.String(), y.IPAddress.String()), strings.Compare(x.SubnetID, y.SubnetID))
		})
	}
	return ips
}

// assignment is the addresses chosen so far.
type assignment struct {
	finder
	rq     Request
	usable []*weft.Subnet // those that ports of this owner may use, best first
	byID   map[string]*weft.Subnet
	held   map[netip.Addr][]weft.FixedIP // of Old, by address: one, but for the same in several subnets
	ips    []weft.FixedIP
}

func newAssignment(tx *store.Tx, rq Request) *assignment {
	a := &assignment{rq: rq, usable: serving(rq.Subnets, rq.Owner), byID: map[string]*weft.Subnet{},
		held: map[netip.Addr][]weft.FixedIP{}}
	for _, sn := range a.usable {
		a.byID[sn.ID] = sn
	}
	for _, old := range rq.Old {
		a.held[old.IPAddress] = append(a.held[old.IPAddress], old)
	}
	a.finder = finder{tx: tx, draw: rq.Draw, lowest: rq.Owner == weft.OwnerDHCP, pending: map[weft.FixedIP]bool{}}
	if a.finder.draw == nil {
		a.finder.draw = rand.Uint64N
	}
	return a
}

// serving is the subnets for ports of the owner: those for its kind of service
// first, then those for all. A DHCP server is needed on every subnet.
func serving(subnets []*weft.Subnet, owner string) []*weft.Subnet {
	var special, general []*weft.Subnet
	for _, sn := range subnets {
		switch {
		case len(sn.ServiceTypes) == 0:
			general = append(general, sn)
		case owner == weft.OwnerDHCP, slices.ContainsFunc(sn.ServiceTypes, func(t string) bool { return strings.HasPrefix(owner, t) }):
			special = append(special, sn)
		}
	}
	older := func(x, y *weft.Subnet) int {
		if c := x.CreatedAt.Compare(y.CreatedAt.Time); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	}
	slices.SortFunc(special, older)
	slices.SortFunc(general, older)
	return append(special, general...)
}

func (a *assignment) subnet(id string) *weft.Subnet { return a.byID[id] }

func (a *assignment) take(f weft.FixedIP) {
	if !a.pending[f] {
		a.pending[f] = true
		a.ips = append(a.ips, f)
	}
}

// usual takes an address of one IPv4 subnet and of one IPv6 subnet that gives
// addresses out.
func (a *assignment) usual() error {
	for _, v6 := range []bool{false, true} {
		var from []*weft.Subnet
		for _, sn := range a.usable {
			if sn.CIDR.Addr().Is6() == v6 && !sn.AutoAddress() {
				from = append(from, sn)
			}
		}
		if len(from) == 0 {
			continue
		}
		if err := a.any(from); err != nil {
			return err
		}
	}
	return nil
}

// any takes a free address of the first subnet that has one.
func (a *assignment) any(from []*weft.Subnet) error {
	for _, sn := range from {
		ip, ok, err := a.free(sn)
		if err != nil {
			return err
		}
		if ok {
			a.take(weft.FixedIP{SubnetID: sn.ID, IPAddress: ip})
			return nil
		}
	}
	return weft.Errorf(weft.Conflict, "IpAddressGenerationFailure", "No more IP addresses available on network %s.", a.rq.NetworkID)
}

// each takes what every entry asks for. Addresses asked for by name come first,
// so that none is given away to an entry without one.
func (a *assignment) each(asked []weft.FixedIP) error {
	if slices.Contains(asked, weft.FixedIP{}) {
		return weft.Invalid("IP allocation requires subnet_id or ip_address")
	}
	for _, ip := range asked {
		if ip.IPAddress.IsValid() {
			if err := a.named(ip); err != nil {
				return err
			}
		}
	}
	for _, ip := range asked {
		if ip.IPAddress.IsValid() {
			continue
		}
		sn, err := a.mustSubnet(ip.SubnetID)
		if err != nil {
			return err
		}
		if sn.AutoAddress() && !IsRouterOwner(a.rq.Owner) {
			a.auto(sn)
			continue
		}
		if err := a.any([]*weft.Subnet{sn}); err != nil {
			return err
		}
	}
	return nil
}

func (a *assignment) mustSubnet(id string) (*weft.Subnet, error) {
	if sn := a.subnet(id); sn != nil {
		return sn, nil
	}
	if _, err := store.Subnets.Get(a.tx, id); err != nil {
		return nil, err // SubnetNotFound, where there is none at all
	}
	if len(a.rq.Subnets) == 0 {
		return nil, weft.Invalid("IP allocation requires subnets for network")
	}
	return nil, weft.Invalid("Failed to create port on network %s, because fixed_ips included invalid subnet %s", a.rq.NetworkID, id)
}

// named takes an address asked for by name, which the port may have already.
func (a *assignment) named(ip weft.FixedIP) error {
	for _, old := range a.held[ip.IPAddress] {
		if ip.SubnetID == "" || ip.SubnetID == old.SubnetID {
			if !a.derived(old) { // derive knows better, the MAC may have changed
				a.take(old)
			}
			return nil
		}
	}
	sn, err := a.home(ip)
	if err != nil {
		return err
	}
	ip.SubnetID = sn.ID
	if sn.AutoAddress() && !IsRouterOwner(a.rq.Owner) {
		if ip.IPAddress == weft.EUI64(sn.CIDR, a.rq.MAC) { // the one that it has in any case
			a.auto(sn)
			return nil
		}
		return weft.Errorf(weft.BadRequest, "AllocationOnAutoAddressSubnet",
			"IPv6 address %s cannot be directly assigned to a port on subnet %s as the subnet is configured for automatic addresses", ip.IPAddress, sn.ID)
	}
	used, err := taken(a.tx, sn.ID, ip.IPAddress)
	if err != nil {
		return err
	}
	if used || a.pending[ip] {
		return weft.Errorf(weft.Conflict, "IpAddressAlreadyAllocated", "IP address %s already allocated in subnet %s", ip.IPAddress, sn.ID)
	}
	a.take(ip)
	return nil
}

// home is the subnet that an address asked for by name belongs to.
func (a *assignment) home(ip weft.FixedIP) (*weft.Subnet, error) {
	router := IsRouterOwner(a.rq.Owner)
	if ip.SubnetID != "" {
		sn, err := a.mustSubnet(ip.SubnetID)
		if err == nil && !Assignable(sn.CIDR, ip.IPAddress, router) {
			err = weft.Errorf(weft.BadRequest, "InvalidIpForSubnet", "IP address %s is not a valid IP for the specified subnet.", ip.IPAddress)
		}
		return sn, err
	}
	for _, sn := range a.usable {
		if Assignable(sn.CIDR, ip.IPAddress, router) {
			return sn, nil
		}
	}
	return nil, weft.Errorf(weft.BadRequest, "InvalidIpForNetwork",
		"IP address %s is not a valid IP for any of the subnets on the specified network.", ip.IPAddress)
}

// auto takes the address that a port derives from its MAC.
func (a *assignment) auto(sn *weft.Subnet) {
	a.take(weft.FixedIP{SubnetID: sn.ID, IPAddress: weft.EUI64(sn.CIDR, a.rq.MAC)})
}

// derive adds the addresses that a port derives by itself on every subnet that
// advertises its prefix.
func (a *assignment) derive() {
	if IsRouterOwner(a.rq.Owner) {
		return
	}
	for _, sn := range a.usable {
		if sn.AutoAddress() {
			a.auto(sn)
		}
	}
}

// derived reports whether the port has the address because of its MAC.
func (a *assignment) derived(ip weft.FixedIP) bool {
	sn := a.subnet(ip.SubnetID)
	return sn != nil && sn.AutoAddress() && !IsRouterOwner(a.rq.Owner)
}

// lasting is the addresses of the port that do not derive from its MAC.
func (a *assignment) lasting() []weft.FixedIP {
	return slices.DeleteFunc(slices.Clone(a.rq.Old), a.derived)
}

// match completes entries that name only a subnet with the address that the port
// has there, so that it keeps it.
func (a *assignment) match(asked []weft.FixedIP) []weft.FixedIP {
	out := slices.Clone(asked)
	used := map[weft.FixedIP]bool{}
	for _, ip := range asked {
		if ip.IPAddress.IsValid() {
			for _, old := range a.held[ip.IPAddress] {
				used[old] = true
			}
		}
	}
	left := map[string][]weft.FixedIP{} // by subnet, what no entry has taken
	for _, old := range a.rq.Old {
		if !used[old] && !a.derived(old) {
			left[old.SubnetID] = append(left[old.SubnetID], old)
		}
	}
	for i, ip := range out {
		if there := left[ip.SubnetID]; !ip.IPAddress.IsValid() && len(there) > 0 {
			out[i], left[ip.SubnetID] = there[0], there[1:]
		}
	}
	return out
}
