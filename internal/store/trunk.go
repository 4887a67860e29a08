package store

import (
	"slices"

	"github.com/weftnet/weft"
)

// Trunks keeps trunks and, beside them, which ports are their subports.
var Trunks = Table[weft.Trunk]{
	Name: "trunks", Noun: "trunk", NotFound: "TrunkNotFound", Quota: true,
	Columns: []Column[weft.Trunk]{
		{Name: "name", Value: func(t *weft.Trunk) any { return t.Name }},
		{Name: "description", Value: func(t *weft.Trunk) any { return t.Description }},
		{Name: "port_id", Value: func(t *weft.Trunk) any { return t.PortID }},
		{Name: "admin_state_up", Value: func(t *weft.Trunk) any { return btoi(t.AdminStateUp) }},
		{Name: "status", Value: func(t *weft.Trunk) any { return t.Status }},
	},
	Index: indexSubPorts,
}.Ready()

// trunkDetails is the trunk whose parent a port is, for the port's document.
const trunkDetails = `(SELECT '{"trunk_id":"' || tr.id || '","sub_ports":[' || COALESCE((SELECT STRING_AGG('{"port_id":"' || sp.port_id
	|| '","segmentation_type":"' || sp.segmentation_type || '","segmentation_id":' || sp.segmentation_id || ',"mac_address":"' || p.mac_address || '"}', ',')
	FROM trunk_subports sp JOIN ports p ON p.id = sp.port_id WHERE sp.trunk_id = tr.id), '') || ']}' FROM trunks tr WHERE tr.port_id = t.id)`

func indexSubPorts(tx *Tx, old, t *weft.Trunk) error {
	if t == nil || old != nil && slices.Equal(old.SubPorts, t.SubPorts) {
		return nil // the side table goes with the row
	}
	if old != nil && len(old.SubPorts) > 0 {
		if _, err := tx.Exec("DELETE FROM trunk_subports WHERE trunk_id = ?", t.ID); err != nil {
			return err
		}
	}
	for _, s := range t.SubPorts {
		if _, err := tx.Exec("INSERT INTO trunk_subports (port_id, trunk_id, segmentation_type, segmentation_id) VALUES (?, ?, ?, ?)",
			s.PortID, t.ID, s.SegmentationType, s.SegmentationID); err != nil {
			return err
		}
	}
	return nil
}

// TrunkOf is the id of the trunk that has the port as its parent, and of the one
// that has it as a subport; "" is none.
func TrunkOf(tx *Tx, portID string) (parent, sub string, err error) {
	_, err = tx.QueryRow(`SELECT COALESCE((SELECT id FROM trunks WHERE port_id = ?), ''), COALESCE((SELECT trunk_id FROM trunk_subports WHERE port_id = ?), '')`,
		[]any{portID, portID}, &parent, &sub)
	return parent, sub, err
}

// TrunksWith are the trunks that have one of the ports, as parent or as subport.
func TrunksWith(tx *Tx, portIDs ...any) ([]*weft.Trunk, error) {
	parent, sub := In("port_id", portIDs...), In("port_id", portIDs...)
	return Trunks.Find(tx, Where("("+parent.SQL+") OR t.id IN (SELECT t.trunk_id FROM trunk_subports t WHERE "+sub.SQL+")", append(parent.Args, sub.Args...)...))
}
