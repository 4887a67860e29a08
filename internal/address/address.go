// Package address keeps address groups: sets of prefixes that rules of security
// groups can name. What a set admits is decided on the hosts.
package address

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/sharing"
	"github.com/weftnet/weft/internal/store"
)

// Groups are the verbs of address groups. All run inside the transaction they are
// given.
type Groups struct{}

// CreateAddressGroup stores a new group.
func (Groups) CreateAddressGroup(tx *store.Tx, g *weft.AddressGroup) error {
	g.Addresses = ordered(g.Addresses)
	return store.AddressGroups.Insert(tx, g)
}

// UpdateAddressGroup stores what changed; addresses have verbs of their own.
func (Groups) UpdateAddressGroup(tx *store.Tx, g *weft.AddressGroup) error {
	return store.AddressGroups.Update(tx, g)
}

// DeleteAddressGroup removes a group and whatever shares it; AddressGroupInUse while
// a rule names it, whosever the rule is.
func (Groups) DeleteAddressGroup(tx *store.Tx, g *weft.AddressGroup) error {
	used, err := tx.Exists(`SELECT 1 FROM security_group_rules WHERE remote_address_group_id = ?
		UNION ALL SELECT 1 FROM default_security_group_rules WHERE remote_address_group_id = ?`, g.ID, g.ID)
	if err != nil {
		return err
	}
	if used {
		return weft.Errorf(weft.Conflict, "AddressGroupInUse", "Address group %s is in use on one or more security group rules.", g.ID)
	}
	if err := sharing.Unshare(tx, store.AddressGroups.Noun, g.ID); err != nil {
		return err
	}
	return store.AddressGroups.Delete(tx, g)
}

// AddAddresses adds prefixes to a group; AddressesAlreadyExist if it has one of them.
func (Groups) AddAddresses(tx *store.Tx, g *weft.AddressGroup, more []netip.Prefix) error {
	more = ordered(more)
	if twice := intersect(more, g.Addresses); len(twice) > 0 {
		return weft.Errorf(weft.BadRequest, "AddressesAlreadyExist", "Addresses %s already exist in the address group %s.", quoted(twice), g.ID)
	}
	g.Addresses = ordered(slices.Concat(g.Addresses, more))
	return store.AddressGroups.Update(tx, g)
}

// RemoveAddresses takes prefixes from a group; AddressesNotFound if it lacks one of
// them.
func (Groups) RemoveAddresses(tx *store.Tx, g *weft.AddressGroup, less []netip.Prefix) error {
	less = ordered(less)
	if strange := subtract(less, g.Addresses); len(strange) > 0 {
		return weft.Errorf(weft.NotFound, "AddressesNotFound", "Addresses %s not found in the address group %s.", quoted(strange), g.ID)
	}
	g.Addresses = subtract(g.Addresses, less)
	return store.AddressGroups.Update(tx, g)
}

// ordered is prefixes without host bits, each once, in order of their text.
func ordered(prefixes []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(prefixes))
	for i, p := range prefixes {
		out[i] = p.Masked()
	}
	slices.SortFunc(out, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

func intersect(a, b []netip.Prefix) []netip.Prefix {
	in := setOf(b)
	return slices.DeleteFunc(slices.Clone(a), func(p netip.Prefix) bool { return !in[p] })
}

func subtract(a, b []netip.Prefix) []netip.Prefix {
	in := setOf(b)
	return slices.DeleteFunc(slices.Clone(a), func(p netip.Prefix) bool { return in[p] })
}

func setOf(prefixes []netip.Prefix) map[netip.Prefix]bool {
	set := make(map[netip.Prefix]bool, len(prefixes))
	for _, p := range prefixes {
		set[p] = true
	}
	return set
}

// quoted is a list as Neutron's messages have it.
func quoted(prefixes []netip.Prefix) string {
	texts := make([]string, len(prefixes))
	for i, p := range prefixes {
		texts[i] = "'" + p.String() + "'"
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
