package placement

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/peer"
)

// python is a difference as Neutron's messages have it.
func python(difference map[string]map[string]int64) string {
	var providers []string
	for _, id := range slices.Sorted(maps.Keys(difference)) {
		var amounts []string
		for _, class := range slices.Sorted(maps.Keys(difference[id])) {
			amounts = append(amounts, fmt.Sprintf("'%s': %d", class, difference[id][class]))
		}
		providers = append(providers, fmt.Sprintf("'%s': {%s}", id, strings.Join(amounts, ", ")))
	}
	return "{" + strings.Join(providers, ", ") + "}"
}

// allocations are what a consumer, which is an instance, has been given.
type allocations struct {
	Allocations map[string]*allocation `json:"allocations"`
	Project     string                 `json:"project_id"`
	User        string                 `json:"user_id"`
	Generation  *int64                 `json:"consumer_generation"`
}

type allocation struct {
	Generation int64            `json:"generation,omitempty"`
	Resources  map[string]int64 `json:"resources"`
}

// Reallocate changes what a consumer has been given, by amounts by class, by provider.
// Errors are Neutron's:
// QosPlacementAllocationUpdateConflict if there is not so much, PlacementAllocationRemoved
// and PlacementAllocationRpNotExists if the consumer has nothing, or nothing of a
// provider, PlacementAllocationGenerationConflict if others change the same all the time;
// and weft.Unavailable if Placement cannot be asked.
func (a *API) Reallocate(ctx context.Context, request, consumer string, difference map[string]map[string]int64) error {
	path := "/allocations/" + consumer
	for range attempts {
		var have allocations
		if err := a.doFor(ctx, request, http.MethodGet, path, nil, &have); err != nil {
			return a.unanswered(consumer, err)
		}
		if err := have.change(consumer, difference); err != nil {
			return err
		}
		err := a.doFor(ctx, request, http.MethodPut, path, have, nil)
		switch {
		case err == nil:
			return nil
		case refused(err, http.StatusConflict, concurrentUpdate):
		case refused(err, http.StatusConflict, ""):
			return weft.Errorf(weft.Conflict, "QosPlacementAllocationUpdateConflict", "Updating placement allocation with %s for "+
				"consumer %s failed. The requested resources would exceed the capacity available.", python(difference), consumer)
		default:
			return a.unanswered(consumer, err)
		}
	}
	return weft.Errorf(weft.Conflict, "PlacementAllocationGenerationConflict",
		"Resource allocation has been changed for consumer %s in Placement while Neutron tried to update it.", consumer)
}

// change applies a difference. What is down to nothing goes.
func (a *allocations) change(consumer string, difference map[string]map[string]int64) error {
	if len(a.Allocations) == 0 {
		return weft.Errorf(weft.BadRequest, "PlacementAllocationRemoved", "Resource allocation is deleted for consumer %s", consumer)
	}
	for id, amounts := range difference {
		have := a.Allocations[id]
		if have == nil {
			return weft.Errorf(weft.BadRequest, "PlacementAllocationRpNotExists",
				"Resource provider %s for %s does not exist", id, consumer)
		}
		for class, more := range amounts {
			if have.Resources[class] += more; have.Resources[class] <= 0 {
				delete(have.Resources, class)
			}
		}
		if len(have.Resources) == 0 {
			delete(a.Allocations, id)
		}
	}
	return nil
}

// unanswered is the error where Placement has not said whether there is so much. Why is
// for the operator to know.
func (a *API) unanswered(consumer string, err error) error {
	err = fmt.Errorf("changing the allocations of %s: %w", consumer, err)
	var said *peer.Error
	if errors.As(err, &said) && said.Status < http.StatusInternalServerError {
		return err
	}
	a.log.Error("placement", "error", err)
	return weft.Errorf(weft.Unavailable, "ServiceUnavailable", "The placement service is temporarily unavailable.")
}
