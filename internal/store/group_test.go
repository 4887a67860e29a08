package store_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// Who brings many writes waits behind his own.
func TestWritersTakeTurns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		hold, begun := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			db.Update(t.Context(), admin(), func(*store.Tx) error { close(begun); <-hold; return nil })
		})
		<-begun
		var order []string
		for _, project := range []string{"flood", "flood", "flood", "flood", "calm"} {
			all.Go(func() {
				caller := &weft.Caller{ProjectID: project, UserID: "user"}
				err := db.Update(t.Context(), caller, func(*store.Tx) error { order = append(order, project); return nil })
				if err != nil {
					t.Error(err)
				}
			})
			time.Sleep(20 * time.Millisecond) // until it waits
		}
		close(hold)
		all.Wait()
		if i := slices.Index(order, "calm"); i != 1 {
			t.Errorf("the writes ran in the order %v", order)
		}
	})
}
