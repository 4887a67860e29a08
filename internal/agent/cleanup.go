package agent

import (
	"context"
	"errors"

	"github.com/weftnet/weft/internal/dataplane/netns"
)

// Cleanup removes what a cloud has on the host: its links, then its namespaces. It
// goes on after a failure and returns all of them. Filters are not marked: they go
// when nobody has anything here any more.
func Cleanup(ctx context.Context, l2 L2, cloud string) error {
	errs := []error{l2.Cleanup(ctx, cloud)}
	names, err := netns.List(cloud)
	errs = append(errs, err)
	for _, name := range names {
		errs = append(errs, netns.Delete(name, cloud))
	}
	return errors.Join(errs...)
}
