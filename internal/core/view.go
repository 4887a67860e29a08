package core

import (
	"encoding/json"
	"fmt"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// view is what a port needs to know of its network, read at once.
type view struct {
	network   *weft.Network
	subnets   []*weft.Subnet
	macTaken  bool     // another port of the network has the MAC that was asked about
	dhcpHosts []string // hosts that are to answer DHCP for it
	tentative bool     // not before a port of it is bound, and then maybe others
}

const viewSQL = `SELECT 0, doc FROM networks WHERE id = ?
	UNION ALL SELECT 1, doc FROM subnets WHERE network_id = ?
	UNION ALL SELECT 2, id FROM ports WHERE network_id = ? AND mac_address = ?
	UNION ALL SELECT 3 + tentative, host FROM dhcp_hosts WHERE network_id = ?`

// look reads a network as seen by a port with this MAC; NetworkNotFound if there
// is none. One query, because every port begins with it.
func look(tx *store.Tx, networkID string, mac weft.MAC) (*view, error) {
	v := &view{}
	args := []any{networkID, networkID, networkID, mac.String(), networkID}
	err := tx.Query(viewSQL, args, func(scan func(...any) error) error {
		var kind int
		var doc []byte
		if err := scan(&kind, &doc); err != nil {
			return err
		}
		return v.add(kind, doc)
	})
	if err == nil && v.network == nil {
		err = store.Networks.Missing(networkID)
	}
	return v, err
}

func (v *view) add(kind int, doc []byte) error {
	switch kind {
	case 0:
		v.network = new(weft.Network)
		return decode(doc, v.network)
	case 1:
		sn := new(weft.Subnet)
		v.subnets = append(v.subnets, sn)
		return decode(doc, sn)
	case 2:
		v.macTaken = true
	case 3, 4:
		v.tentative = v.tentative || kind == 4
		v.dhcpHosts = append(v.dhcpHosts, string(doc))
	}
	return nil
}

func decode(doc []byte, v any) error {
	if err := json.Unmarshal(doc, v); err != nil {
		return fmt.Errorf("decoding %T: %w", v, err)
	}
	return nil
}

// mustSee hides a network from callers who may not see it.
func mustSee(tx *store.Tx, n *weft.Network) error {
	c := tx.Caller
	if c.Admin || n.ProjectID == c.ProjectID {
		return nil
	}
	shared, err := tx.Exists("SELECT 1 FROM rbac_policies WHERE object_id = ? AND object_type = 'network' AND target_tenant IN ('*', ?)", n.ID, c.ProjectID)
	if err == nil && !shared {
		err = store.Networks.Missing(n.ID)
	}
	return err
}
