package trunk

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Leave takes a port out of trunks, so that it can go: the trunk that it is the
// parent of goes, one that it is a subport of is without it.
func (s *Service) Leave(tx *store.Tx, p *weft.Port) error {
	parent, sub, err := store.TrunkOf(tx, p.ID)
	if err != nil {
		return err
	}
	if sub != "" {
		t, err := store.Trunks.Get(tx, sub)
		if err != nil {
			return err
		}
		if err := s.RemoveSubPorts(tx, t, []string{p.ID}); err != nil {
			return err
		}
	}
	if parent == "" {
		return nil
	}
	t, err := store.Trunks.Get(tx, parent)
	if err != nil {
		return err
	}
	if err := store.Trunks.Delete(tx, t); err != nil {
		return err
	}
	return s.detach(tx, t.SubPorts)
}
