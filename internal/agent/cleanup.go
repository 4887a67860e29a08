package agent

import (
	"context"
	"errors"

	"github.com/weftnet/weft/internal/dataplane/netns"
)

// Cleanup removes every trace of weft from the host: links that are ours, then
// what the given functions remove (firewalls go after what they protect), then
// namespaces that are ours. It goes on after a failure and returns all of them.
func Cleanup(ctx context.Context, l2 L2, more ...func(context.Context) error) error {
	errs := []error{l2.Cleanup(ctx)}
	for _, f := range more {
		errs = append(errs, f(ctx))
	}
	names, err := netns.List()
	errs = append(errs, err)
	for _, name := range names {
		errs = append(errs, netns.Delete(name))
	}
	return errors.Join(errs...)
}
