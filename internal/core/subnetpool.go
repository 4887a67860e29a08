package core

import (
	"net/netip"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/sharing"
	"github.com/weftnet/weft/internal/store"
)

// CreateSubnetPool stores a new pool. Errors: EmptySubnetPoolPrefixList,
// PrefixVersionMismatch, IllegalSubnetPoolPrefixBounds, InvalidInput for a second default pool, and those
// of address scopes.
func (s *Service) CreateSubnetPool(tx *store.Tx, p *weft.SubnetPool, given weft.Given) error {
	if err := fillPool(p, given); err != nil {
		return err
	}
	p.ID = uuid.NewString() // a refusal may name it
	if err := checkPool(tx, p); err != nil {
		return err
	}
	return store.SubnetPools.Insert(tx, p)
}

// fillPool settles version, prefixes and bounds.
func fillPool(p *weft.SubnetPool, given weft.Given) error {
	if len(p.Prefixes) == 0 {
		return weft.Errorf(weft.BadRequest, "EmptySubnetPoolPrefixList", "Empty subnet pool prefix list.")
	}
	p.IPVersion = version(p.Prefixes[0].Addr())
	if err := oneVersion(p); err != nil {
		return err
	}
	p.Prefixes = compact(p.Prefixes)
	widest, narrowest := 8, 32
	if p.IPVersion == 6 {
		widest, narrowest = 64, 128
	}
	if !given["min_prefixlen"] {
		p.MinPrefixlen = weft.Digits(widest)
	}
	if !given["max_prefixlen"] {
		p.MaxPrefixlen = weft.Digits(narrowest)
	}
	if !given["default_prefixlen"] {
		p.DefaultPrefixlen = p.MinPrefixlen
	}
	return nil
}

func oneVersion(p *weft.SubnetPool) error {
	for _, q := range p.Prefixes {
		if version(q.Addr()) != p.IPVersion {
			return weft.Errorf(weft.BadRequest, "PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
		}
	}
	return nil
}

// checkPool refuses bounds that contradict each other, a second default pool, and
// an address scope that cannot take the pool.
func checkPool(tx *store.Tx, p *weft.SubnetPool) error {
	if err := checkBounds(p); err != nil {
		return err
	}
	if p.IsDefault {
		other, err := store.SubnetPools.First(tx, store.Eq("is_default", 1), store.Eq("ip_version", p.IPVersion), store.Where("t.id <> ?", p.ID))
		if err != nil {
			return err
		}
		if other != nil {
			return weft.Invalid("A default subnetpool for this IP family has already been set. Only one default may exist per IP family")
		}
	}
	return checkScope(tx, p)
}

func checkBounds(p *weft.SubnetPool) error {
	bits := weft.Digits(32)
	if p.IPVersion == 6 {
		bits = 128
	}
	illegal := func(name string, v weft.Digits, base string, b weft.Digits) error {
		return weft.Errorf(weft.BadRequest, "IllegalSubnetPoolPrefixBounds", "Illegal prefix bounds: %s=%d, %s=%d.", name, v, base, b)
	}
	switch {
	case p.MinPrefixlen > p.MaxPrefixlen:
		return illegal("min_prefixlen", p.MinPrefixlen, "max_prefixlen", p.MaxPrefixlen)
	case p.MaxPrefixlen > bits:
		return illegal("max_prefixlen", p.MaxPrefixlen, "ip_version_max", bits)
	case p.DefaultPrefixlen < p.MinPrefixlen:
		return illegal("default_prefixlen", p.DefaultPrefixlen, "min_prefixlen", p.MinPrefixlen)
	case p.DefaultPrefixlen > p.MaxPrefixlen:
		return illegal("default_prefixlen", p.DefaultPrefixlen, "max_prefixlen", p.MaxPrefixlen)
	}
	return nil
}

// checkScope refuses an address scope of other version, one that the caller may
// not use, and prefixes that another pool of the scope has.
func checkScope(tx *store.Tx, p *weft.SubnetPool) error {
	if p.AddressScopeID == "" {
		return nil
	}
	scope, err := store.AddressScopes.Get(tx, string(p.AddressScopeID))
	if err != nil {
		return err
	}
	shared, err := store.SharedAs("address_scope").With(tx, scope.ID, tx.Caller.ProjectID)
	switch mine := tx.Caller.Admin || scope.ProjectID == tx.Caller.ProjectID; {
	case err != nil:
		return err
	case !mine && !shared:
		return store.AddressScopes.Missing(scope.ID)
	case p.IPVersion != scope.IPVersion:
		return weft.Errorf(weft.BadRequest, "IllegalSubnetPoolIpVersionAssociationToAddressScope",
			"Illegal subnetpool association: subnetpool %s cannot associate with address scope %s because subnetpool ip_version is not %d.",
			p.ID, scope.ID, scope.IPVersion)
	}
	others, err := store.SubnetPools.Find(tx, store.Eq("address_scope_id", scope.ID), store.Where("t.id <> ?", p.ID))
	return each(others, err, func(o *weft.SubnetPool) error {
		if overlap(o.Prefixes, p.Prefixes) {
			return weft.Errorf(weft.Conflict, "AddressScopePrefixConflict",
				"Failed to associate address scope: subnetpools within an address scope must have unique prefixes.")
		}
		return nil
	})
}

// UpdateSubnetPool stores what changed. Prefixes can only be added. Errors:
// IllegalSubnetPoolPrefixUpdate, IllegalSubnetPoolUpdate, and those of creation.
func (s *Service) UpdateSubnetPool(tx *store.Tx, old, p *weft.SubnetPool, given weft.Given) error {
	if err := checkForeignScope(tx, old, p); err != nil {
		return err
	}
	if given["prefixes"] {
		p.Prefixes = compact(p.Prefixes)
		for _, o := range old.Prefixes {
			if !covered(p.Prefixes, o) {
				return weft.Errorf(weft.BadRequest, "IllegalSubnetPoolPrefixUpdate",
					"Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes.")
			}
		}
		if err := oneVersion(p); err != nil {
			return err
		}
	}
	if err := checkPool(tx, p); err != nil {
		return err
	}
	if err := checkScopeChange(tx, old, p); err != nil {
		return err
	}
	return store.SubnetPools.Update(tx, p)
}

// checkForeignScope refuses to change a pool in another project's shared scope.
func checkForeignScope(tx *store.Tx, old, p *weft.SubnetPool) error {
	if old.AddressScopeID == "" || tx.Caller.Admin {
		return nil
	}
	scope, err := store.AddressScopes.Get(tx, string(old.AddressScopeID))
	if err == nil && scope.ProjectID != tx.Caller.ProjectID {
		err = weft.Errorf(weft.BadRequest, "IllegalSubnetPoolUpdate",
			"Illegal subnetpool update : subnetpool %s cannot be updated when associated with shared address scope %s.", p.ID, scope.ID)
	}
	return err
}

// checkScopeChange refuses a scope in which a network's subnets would part ways.
func checkScopeChange(tx *store.Tx, old, p *weft.SubnetPool) error {
	if old.AddressScopeID == p.AddressScopeID {
		return nil
	}
	split, err := tx.Exists(`SELECT 1 FROM subnets a JOIN subnets b ON b.network_id = a.network_id AND b.ip_version = a.ip_version
		WHERE a.subnetpool_id = ? AND b.subnetpool_id <> a.subnetpool_id`, p.ID)
	if err == nil && split {
		err = weft.Errorf(weft.BadRequest, "NetworkAddressScopeAffinityError",
			"Subnets of the same address family hosted on the same network must all participate in the same address scope.")
	}
	return err
}

// DeleteSubnetPool removes a pool from which no subnet has been taken;
// SubnetPoolDeleteError otherwise.
func (s *Service) DeleteSubnetPool(tx *store.Tx, p *weft.SubnetPool) error {
	used, err := tx.Exists("SELECT 1 FROM subnets WHERE subnetpool_id = ?", p.ID)
	if err != nil {
		return err
	}
	if used {
		return weft.Errorf(weft.BadRequest, "SubnetPoolDeleteError", "Unable to delete subnet pool: Subnet pool has existing allocations.")
	}
	if err := sharing.Unshare(tx, "subnetpool", p.ID); err != nil {
		return err
	}
	return store.SubnetPools.Delete(tx, p)
}

// AddPrefixes adds to a pool's prefixes. The errors are those of UpdateSubnetPool.
func (s *Service) AddPrefixes(tx *store.Tx, p *weft.SubnetPool, more []netip.Prefix) error {
	old := weft.Clone(p)
	p.Prefixes = append(p.Prefixes, more...)
	return s.UpdateSubnetPool(tx, old, p, weft.Given{"prefixes": true})
}

// RemovePrefixes takes from a pool prefixes that no subnet lies in;
// IllegalSubnetPoolPrefixUpdate otherwise.
func (s *Service) RemovePrefixes(tx *store.Tx, p *weft.SubnetPool, less []netip.Prefix) error {
	taken, err := store.Subnets.Find(tx, store.Eq("subnetpool_id", p.ID))
	if err != nil {
		return err
	}
	if overlap(prefixesOf(taken), less) {
		return weft.Errorf(weft.BadRequest, "IllegalSubnetPoolPrefixUpdate",
			"Illegal update to prefixes: One or more the prefixes to be removed is in use by a subnet..")
	}
	p.Prefixes = compact(subtract(p.Prefixes, less))
	return store.SubnetPools.Update(tx, p)
}

// Onboard takes the subnets of a network that are of the pool's version into the pool,
// whose prefixes grow by theirs, and returns them. Errors: NetworkNotFound,
// NotAuthorized for the network of another project, IllegalSubnetPoolUpdate where a
// subnet of the pool has the addresses already, and those of UpdateSubnetPool.
func (s *Service) Onboard(tx *store.Tx, p *weft.SubnetPool, networkID string) ([]*weft.Subnet, error) {
	if err := mustOwn(tx, networkID); err != nil {
		return nil, err
	}
	subnets, err := store.Subnets.Find(tx, store.Eq("network_id", networkID), store.Eq("ip_version", p.IPVersion))
	if err != nil || len(subnets) == 0 {
		return nil, err
	}
	taken, err := store.Subnets.Find(tx, store.Eq("subnetpool_id", p.ID))
	if err != nil {
		return nil, err
	}
	var more []netip.Prefix
	used := compact(prefixesOf(taken))
	for _, sn := range subnets {
		if overlaps(used, sn.CIDR) {
			return nil, weft.Errorf(weft.BadRequest, "IllegalSubnetPoolUpdate",
				"Illegal subnetpool update : Onboarding subnet %s: %s conflicts with allocated prefixes in subnet pool %s.", sn.ID, sn.CIDR, p.ID)
		}
		more = append(more, sn.CIDR)
	}
	if err := s.AddPrefixes(tx, p, more); err != nil {
		return nil, err
	}
	for _, sn := range subnets {
		sn.SubnetPoolID = weft.ID(p.ID)
		if err := store.Subnets.Update(tx, sn); err != nil {
			return nil, err
		}
	}
	return subnets, store.Networks.Touch(tx, networkID)
}

// mustOwn refuses, with NotAuthorized, a network that the caller sees but does not own.
func mustOwn(tx *store.Tx, networkID string) error {
	n, err := store.Networks.Get(tx, networkID)
	if err != nil {
		return err
	}
	if err := mustSee(tx, n); err != nil {
		return err
	}
	if !tx.Caller.Admin && n.ProjectID != tx.Caller.ProjectID {
		return weft.Errorf(weft.Forbidden, "NotAuthorized", "Not authorized.")
	}
	return nil
}

// CreateAddressScope stores a new address scope.
func (s *Service) CreateAddressScope(tx *store.Tx, a *weft.AddressScope) error {
	return store.AddressScopes.Insert(tx, a)
}

// UpdateAddressScope stores what changed.
func (s *Service) UpdateAddressScope(tx *store.Tx, a *weft.AddressScope) error {
	return store.AddressScopes.Update(tx, a)
}

// ShareAddressScope gives every project access to a scope; AddressScopeUpdateError
// for taking it back, which only RBAC policies can.
func (s *Service) ShareAddressScope(tx *store.Tx, a *weft.AddressScope, share bool) error {
	shared, err := store.SharedAs("address_scope").With(tx, a.ID, tx.Caller.ProjectID)
	switch {
	case err != nil:
		return err
	case shared && !share:
		return weft.Errorf(weft.BadRequest, "AddressScopeUpdateError", "Unable to update address scope %s : Shared address scope can't be unshared.", a.ID)
	}
	return sharing.Share(tx, "address_scope", a.ID, share)
}

// DeleteAddressScope removes a scope in which no pool is; AddressScopeInUse
// otherwise.
func (s *Service) DeleteAddressScope(tx *store.Tx, a *weft.AddressScope) error {
	used, err := tx.Exists("SELECT 1 FROM subnetpools WHERE address_scope_id = ?", a.ID)
	if err != nil {
		return err
	}
	if used {
		return weft.Errorf(weft.Conflict, "AddressScopeInUse",
			"Unable to complete operation on address scope %s. There are one or more subnet pools in use on the address scope.", a.ID)
	}
	if err := sharing.Unshare(tx, "address_scope", a.ID); err != nil {
		return err
	}
	return store.AddressScopes.Delete(tx, a)
}
