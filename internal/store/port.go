package store

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/weftnet/weft"
)

// Ports keeps ports and, beside them, which addresses they hold and which
// security groups they are in.
var Ports = Table[weft.Port]{
	Name: "ports", Noun: "port", NotFound: "PortNotFound", Quota: true,
	Columns: []Column[weft.Port]{
		{Name: "name", Value: func(p *weft.Port) any { return p.Name }},
		{Name: "description", Value: func(p *weft.Port) any { return p.Description }},
		{Name: "network_id", Value: func(p *weft.Port) any { return p.NetworkID }},
		{Name: "admin_state_up", Value: func(p *weft.Port) any { return btoi(p.AdminStateUp) }},
		{Name: "status", Value: func(p *weft.Port) any { return p.Status }},
		{Name: "mac_address", Value: func(p *weft.Port) any { return p.MAC.String() }},
		{Name: "device_id", Value: func(p *weft.Port) any { return p.DeviceID }},
		{Name: "device_owner", Value: func(p *weft.Port) any { return p.DeviceOwner }},
		{Name: "host_id", Attr: "binding:host_id", Value: func(p *weft.Port) any { return p.HostID }},
		{Name: "ip_allocation", Value: func(p *weft.Port) any { return p.IPAllocation }},
		{Name: "qos_policy_id", Value: func(p *weft.Port) any { return string(p.QoSPolicyID) }},
	},
	Computed: []Computed{qosNetworkPolicy("network_id"), resourceRequest(), {Attr: "trunk_details", SQL: trunkDetails, Only: "SELECT 1 FROM trunks"}},
	Filters: map[string]Filter{
		"fixed_ips": fixedIPFilter,
		"security_groups": func(_ *weft.Caller, values []any) Cond {
			c := In("group_id", values...)
			return Where("t.id IN (SELECT t.port_id FROM port_security_groups t WHERE "+c.SQL+")", c.Args...)
		},
	},
	Visible: func(c *weft.Caller) Cond {
		return Where("t.project_id = ? OR t.network_id IN (SELECT n.id FROM networks n WHERE n.project_id = ?)", c.ProjectID, c.ProjectID)
	},
	Index: indexPort,
}.Ready()

// SortKey is an address in a form whose text order is the numeric order.
func SortKey(a netip.Addr) string { return hex.EncodeToString(a.AsSlice()) }

// FromSortKey is the address of a sort key.
func FromSortKey(s string) (netip.Addr, bool) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(b)
}

// fixedIPFilter understands ip_address=, subnet_id= and ip_address_substr=. Values
// of one key are alternatives, different keys must all hold for one address.
func fixedIPFilter(_ *weft.Caller, values []any) Cond {
	byKey := map[string][]any{}
	for _, v := range values {
		s, _ := v.(string)
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			continue // refused before it comes here
		}
		byKey[key] = append(byKey[key], value)
	}
	var conds []Cond
	for key, vals := range byKey {
		switch key {
		case "subnet_id":
			conds = append(conds, In("subnet_id", vals...))
		case "ip_address":
			conds = append(conds, In("ip", canonical(vals)...))
		case "ip_address_substr":
			conds = append(conds, substring("t.ip", vals))
		}
	}
	if len(conds) == 0 { // other keys mean nothing
		return Where("1 = 1")
	}
	clause, args := and(conds, nil)
	return Where("t.id IN (SELECT t.port_id FROM ip_allocations t"+clause+")", args...)
}

func canonical(values []any) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
		if s, ok := v.(string); ok {
			if a, err := netip.ParseAddr(s); err == nil {
				out[i] = a.String()
			}
		}
	}
	return out
}

func substring(column string, values []any) Cond {
	var c Cond
	for _, v := range values {
		s, _ := v.(string)
		c.Args = append(c.Args, "%"+strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(s)+"%")
	}
	// As rows: databases take only so many conditions joined by OR.
	rows := strings.TrimPrefix(strings.Repeat(", (?)", len(values)), ", ")
	c.SQL = "EXISTS (SELECT 1 FROM (VALUES " + rows + ") v WHERE " + column + ` LIKE v.column1 ESCAPE '\')`
	return c
}

func indexPort(tx *Tx, old, p *weft.Port) error {
	if p == nil {
		return nil // the side tables go with the row
	}
	if old == nil || !slices.Equal(old.FixedIPs, p.FixedIPs) {
		if old != nil && len(old.FixedIPs) > 0 {
			if _, err := tx.Exec("DELETE FROM ip_allocations WHERE port_id = ?", p.ID); err != nil {
				return err
			}
		}
		for _, ip := range p.FixedIPs {
			if _, err := tx.Exec("INSERT INTO ip_allocations (subnet_id, sort, ip, port_id) VALUES (?, ?, ?, ?)",
				ip.SubnetID, SortKey(ip.IPAddress), ip.IPAddress.String(), p.ID); err != nil {
				return err
			}
		}
	}
	if old == nil || !slices.Equal(old.SecurityGroups, p.SecurityGroups) {
		return indexPortGroups(tx, old, p)
	}
	return nil
}

func indexPortGroups(tx *Tx, old, p *weft.Port) error {
	if old != nil && len(old.SecurityGroups) > 0 {
		if _, err := tx.Exec("DELETE FROM port_security_groups WHERE port_id = ?", p.ID); err != nil {
			return err
		}
	}
	for _, g := range p.SecurityGroups {
		if _, err := tx.Exec("INSERT INTO port_security_groups (group_id, port_id) VALUES (?, ?)", g, p.ID); err != nil {
			return err
		}
	}
	return nil
}

// GroupMembers is the addresses of the ports in each of the security groups,
// allowed address pairs included, sorted and without duplicates.
func GroupMembers(tx *Tx, groups []any) (map[string][]netip.Prefix, error) {
	out := map[string][]netip.Prefix{}
	if len(groups) == 0 {
		return out, nil
	}
	in := In("group_id", groups...)
	err := tx.Query("SELECT t.group_id, a.ip FROM port_security_groups t JOIN ip_allocations a ON a.port_id = t.port_id WHERE "+in.SQL, in.Args,
		func(scan func(...any) error) error {
			var group, text string
			if err := scan(&group, &text); err != nil {
				return err
			}
			addr, err := netip.ParseAddr(text)
			out[group] = append(out[group], netip.PrefixFrom(addr, addr.BitLen()))
			return err
		})
	if err != nil {
		return nil, err
	}
	if err := pairMembers(tx, in, out); err != nil {
		return nil, err
	}
	for id, list := range out {
		slices.SortFunc(list, func(a, b netip.Prefix) int { return a.Compare(b) })
		out[id] = slices.Compact(list)
	}
	return out, nil
}

// pairMembers adds the allowed address pairs of the groups' ports.
func pairMembers(tx *Tx, in Cond, out map[string][]netip.Prefix) error {
	return tx.Query(`SELECT t.group_id, p.doc FROM port_security_groups t JOIN ports p ON p.id = t.port_id
		WHERE p.doc LIKE '%"allowed_address_pairs":[{%' AND `+in.SQL, in.Args, func(scan func(...any) error) error {
		var group string
		var doc []byte
		if err := scan(&group, &doc); err != nil {
			return err
		}
		p, err := Ports.decode(doc)
		if err != nil {
			return err
		}
		for _, pair := range p.AllowedPairs {
			out[group] = append(out[group], pair.Prefix())
		}
		return nil
	})
}

// OwnPort is a port that the caller may put to use: one of the project's own. Those of
// others are missing, even where the caller sees them because the network is its own.
func OwnPort(tx *Tx, id string) (*weft.Port, error) {
	p, err := Ports.GetVisible(tx, id)
	if err == nil && p.ProjectID != tx.Caller.ProjectID && !tx.Caller.Admin {
		return nil, Ports.Missing(id)
	}
	return p, err
}
