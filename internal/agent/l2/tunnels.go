package l2

import (
	"reflect"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
)

// tunnels remembers which tunnel devices were seen to have the entries they shall
// have. Listing entries means listing those of all bridges, and only weft changes
// those of its tunnels; so it is done when they must change, and now and then.
type tunnels struct {
	lasts time.Duration // how long the memory is trusted
	since time.Time     // when the entries were looked at
	right map[string]tunnel
}

type tunnel struct {
	index int
	peers []host.Peer
}

// have reports whether the entries of all tunnels of the State are known to be
// right.
func (t *tunnels) have(s *host.State, o *observed) bool {
	for i := range s.Networks {
		n := &s.Networks[i]
		if n.Segment.Type != weft.TypeVXLAN {
			continue
		}
		if t == nil || time.Since(t.since) >= t.lasts {
			return false
		}
		was, ok := t.right[n.ID]
		if !ok || was.index != o.byName[vxlanName(n.Segment.ID)].Index || !reflect.DeepEqual(was.peers, n.Peers) {
			return false
		}
	}
	return true
}

// note remembers what Prepare has looked at and put right.
func (t *tunnels) note(s *host.State, o *observed, index map[string]int, failed map[string]error) {
	if len(failed) > 0 {
		t.right = nil
		return
	}
	if !o.entries {
		return
	}
	t.since, t.right = time.Now(), map[string]tunnel{}
	for i := range s.Networks {
		if n := &s.Networks[i]; n.Segment.Type == weft.TypeVXLAN {
			t.right[n.ID] = tunnel{index[vxlanName(n.Segment.ID)], n.Peers}
		}
	}
}
