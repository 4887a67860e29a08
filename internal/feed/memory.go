package feed

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// memory is the ports of a state, by the digest of their documents: from one state
// to the next most are the same, and decoding them is most of the work. What is in
// it is shared and never changed.
type memory map[[sha256.Size]byte]*weft.Port

// findPorts is store.Ports.Find by way of the memory.
func (c *computation) findPorts(where ...store.Cond) ([]*weft.Port, error) {
	var out []*weft.Port
	err := store.Ports.Rows(c.tx, store.Query{Where: where, Compute: []string{}}, func(r store.Row) error {
		digest := sha256.Sum256(r.Doc)
		p := c.before[digest]
		if p == nil {
			p = new(weft.Port)
			if err := json.Unmarshal(r.Doc, p); err != nil {
				return fmt.Errorf("decoding a port: %w", err)
			}
		}
		c.seen[digest] = p
		out = append(out, p)
		return nil
	})
	slices.SortFunc(out, func(a, b *weft.Port) int { return strings.Compare(a.ID, b.ID) })
	return out, err
}
