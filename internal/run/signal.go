package run

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

// Signals is a task that ends its group when the process gets one of the signals.
// Only the first is caught: a second one, from somebody who has lost patience, acts
// as if nobody listened.
func Signals(list ...os.Signal) Task {
	return New("signals", func(ctx context.Context, ready func()) error {
		caught := make(chan os.Signal, 1)
		signal.Notify(caught, list...)
		defer signal.Stop(caught)
		ready()
		select {
		case <-ctx.Done():
			return nil
		case s := <-caught:
			return fmt.Errorf("%w: %v", ErrStop, s)
		}
	})
}
