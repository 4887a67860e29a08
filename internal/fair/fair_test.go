package fair_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/weftnet/weft/internal/fair"
)

// order is in which order requests are served that come, one after the other, while
// the only place is taken.
func order(t *testing.T, g *fair.Gate, requests ...[2]string) []string {
	t.Helper()
	leave, err := g.Enter(t.Context(), "first", "")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var served []string
	var all sync.WaitGroup
	for i, r := range requests {
		all.Go(func() {
			leave, err := g.Enter(t.Context(), r[0], r[1])
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			served = append(served, fmt.Sprint(i))
			mu.Unlock()
			leave()
		})
		synctest.Wait()
	}
	leave()
	all.Wait()
	return served
}

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flood := [2]string{"flood", "x"}
		got := order(t, fair.New(1, 1, 10), flood, flood, flood, [2]string{"flood", "y"}, [2]string{"calm", "z"})
		if want := []string{"0", "4", "3", "1", "2"}; !slices.Equal(got, want) {
			t.Errorf("served in the order %v, not %v", got, want)
		}
	})
}

func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fair.New(3, 2, 10)
		leave, _ := g.Enter(t.Context(), "a", "")
		g.Enter(t.Context(), "a", "")
		third := make(chan struct{})
		go func() {
			g.Enter(t.Context(), "a", "")
			close(third)
		}()
		synctest.Wait()
		if _, err := g.Enter(t.Context(), "b", ""); err != nil {
			t.Fatal(err)
		}
		if inside, waiting := g.State(); inside != 3 || waiting != 1 {
			t.Fatalf("%d are inside, and %d wait", inside, waiting)
		}
		leave()
		<-third
	})
}

func TestFullAndGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fair.New(1, 1, 1)
		leave, _ := g.Enter(t.Context(), "a", "")
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := g.Enter(ctx, "b", "")
			gone <- err
		}()
		synctest.Wait()
		if _, err := g.Enter(t.Context(), "b", ""); !errors.Is(err, fair.ErrFull) {
			t.Errorf("the second in the queue of one: %v", err)
		}
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("gone: %v", err)
		}
		if _, waiting := g.State(); waiting != 0 {
			t.Errorf("%d wait", waiting)
		}
		leave()
		if _, err := g.Enter(t.Context(), "c", ""); err != nil {
			t.Error(err)
		}
	})
}

// However requests come and give up, places are neither lost nor made.
func TestPlacesStay(t *testing.T) {
	g := fair.New(3, 2, 100)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%3 == 0 {
				go cancel()
			}
			defer cancel()
			if leave, err := g.Enter(ctx, fmt.Sprint(i%5), fmt.Sprint(i%7)); err == nil {
				leave()
			}
		})
	}
	all.Wait()
	for i := range 3 {
		if _, err := g.Enter(t.Context(), fmt.Sprint(i), ""); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Enter(ctx, "one more", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("a fourth place: %v", err)
	}
}
