package store

import (
	"fmt"

	"github.com/weftnet/weft"
)

// AddressUse is a subnet of a network and how many of its addresses are taken. A
// network without subnets has one without a Subnet.
type AddressUse struct {
	NetworkID, ProjectID, NetworkName string

	Subnet *weft.Subnet
	Used   int
}

// AddressUses is the use of addresses on the networks that meet the conditions, in
// order of their ids, read by one statement; with a limit of the first networks, or of
// the last. With versions it is that of their subnets of these IP versions.
func AddressUses(tx *Tx, networks []Cond, versions []any, limit int, last bool) ([]AddressUse, error) {
	join, args := "LEFT JOIN subnets s ON s.network_id = n.id", []any(nil)
	if len(versions) > 0 {
		in := In("ip_version", versions...)
		networks = append(networks[:len(networks):len(networks)], Where("t.id IN (SELECT t.network_id FROM subnets t WHERE "+in.SQL+")", in.Args...))
		join += " AND s.ip_version IN (" + marks(len(versions)) + ")"
	}
	clause, args := and(networks, args)
	args = append(args, versions...)
	inner := "SELECT t.id, t.project_id, t.name FROM networks t" + clause + " ORDER BY t.id"
	if last {
		inner += " DESC"
	}
	if limit > 0 {
		inner += fmt.Sprintf(" LIMIT %d", limit)
	}
	var out []AddressUse
	err := tx.queryOnce(`SELECT n.id, n.project_id, n.name, COALESCE(s.doc, ''),
		(SELECT COUNT(*) FROM ip_allocations a WHERE a.subnet_id = s.id)
		FROM (`+inner+`) n `+join+` ORDER BY n.id, s.ip_version, s.id`, args, func(scan func(...any) error) error {
		var u AddressUse
		var doc []byte
		if err := scan(&u.NetworkID, &u.ProjectID, &u.NetworkName, &doc, &u.Used); err != nil {
			return err
		}
		if len(doc) > 0 {
			var err error
			if u.Subnet, err = Subnets.decode(doc); err != nil {
				return err
			}
		}
		out = append(out, u)
		return nil
	})
	return out, err
}
