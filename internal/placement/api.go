// Package placement keeps Placement, which Nova's scheduler asks, up to date about
// networks: a Syncer sees to it that Placement has the resource providers of package
// tree for every agent, and an API moves what an instance has been given of them when
// the QoS policy of one of its ports changes.
//
// Nothing here is called while a transaction is open: see docs/decisions/0013.
package placement

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/weftnet/weft/internal/peer"
	"github.com/weftnet/weft/internal/placement/tree"
)

// Service is Placement as a user of Keystone's sees it.
type Service interface {
	Do(ctx context.Context, r peer.Request) (*peer.Answer, error)
}

// API is what weft asks of Placement. An answer that it has not done as it was asked
// is a *peer.Error.
type API struct {
	log     *slog.Logger
	service Service
}

// New makes one that asks the service.
func New(log *slog.Logger, s Service) *API { return &API{log, s} }

// microversion is the first that lets providers be moved from one parent to another.
const microversion = "placement 1.37"

// concurrentUpdate is what Placement calls it that somebody else was faster.
const concurrentUpdate = "placement.concurrent_update"

// attempts is how often something is tried anew because somebody else was faster.
const attempts = 10

func (a *API) do(ctx context.Context, method, path string, body, into any) error {
	return a.doFor(ctx, "", method, path, body, into)
}

// doFor asks on behalf of a client's request, by its global id.
func (a *API) doFor(ctx context.Context, request, method, path string, body, into any) error {
	answer, err := a.service.Do(ctx, peer.Request{Method: method, Path: path, Body: body, Request: request,
		Header: map[string]string{"OpenStack-API-Version": microversion}})
	if err != nil {
		return err
	}
	if into == nil || len(answer.Body) == 0 {
		return nil
	}
	return answer.Decode(into)
}

// refused reports whether an error is Placement's answer of a status and, unless it is
// "", a code.
func refused(err error, status int, code string) bool {
	var e *peer.Error
	return errors.As(err, &e) && e.Status == status && (code == "" || e.Code == code)
}

// State is a provider as Placement has it.
type State struct {
	Name        string
	Parent      string
	Generation  int64
	Inventories map[string]tree.Inventory
	Traits      []string // sorted
}

// Observed is what Placement has of what an agent is about.
type Observed struct {
	Hypervisors map[string]string // uuids by name
	Providers   map[string]*State // by uuid; what there is not is not here
}

// observe looks at the providers, and at those of their hypervisors. The error tells
// of a hypervisor that there is not: Nova makes its provider when it first hears of it.
func (a *API) observe(ctx context.Context, want []tree.Provider) (*Observed, error) {
	o := &Observed{Hypervisors: map[string]string{}, Providers: map[string]*State{}}
	for _, p := range want {
		if o.Hypervisors[p.Hypervisor] == "" {
			id, err := a.hypervisor(ctx, p.Hypervisor)
			if err != nil {
				return nil, err
			}
			o.Hypervisors[p.Hypervisor] = id
		}
		s, err := a.provider(ctx, p.UUID)
		if err != nil {
			return nil, err
		}
		if s != nil {
			o.Providers[p.UUID] = s
		}
	}
	return o, nil
}

func (a *API) hypervisor(ctx context.Context, name string) (string, error) {
	var list struct {
		Providers []struct{ UUID string } `json:"resource_providers"`
	}
	if err := a.do(ctx, http.MethodGet, "/resource_providers?name="+url.QueryEscape(name), nil, &list); err != nil {
		return "", fmt.Errorf("looking for the hypervisor %s: %w", name, err)
	}
	if len(list.Providers) == 0 {
		return "", fmt.Errorf("placement has no hypervisor %s (yet): is it the name that Nova knows it by?", name)
	}
	return list.Providers[0].UUID, nil
}

// provider is nil if there is none.
func (a *API) provider(ctx context.Context, id string) (*State, error) {
	var p struct {
		Name       string
		Parent     string `json:"parent_provider_uuid"`
		Generation int64
	}
	err := a.do(ctx, http.MethodGet, "/resource_providers/"+id, nil, &p)
	if refused(err, http.StatusNotFound, "") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking at provider %s: %w", id, err)
	}
	s := &State{Name: p.Name, Parent: p.Parent, Generation: p.Generation}
	var inventories struct{ Inventories map[string]tree.Inventory }
	if err := a.do(ctx, http.MethodGet, "/resource_providers/"+id+"/inventories", nil, &inventories); err != nil {
		return nil, fmt.Errorf("looking at the inventories of %s: %w", p.Name, err)
	}
	var traits struct{ Traits []string }
	if err := a.do(ctx, http.MethodGet, "/resource_providers/"+id+"/traits", nil, &traits); err != nil {
		return nil, fmt.Errorf("looking at the traits of %s: %w", p.Name, err)
	}
	s.Inventories, s.Traits = inventories.Inventories, slices.Sorted(slices.Values(traits.Traits))
	return s, nil
}

// converge makes Placement have the providers, and reports how many requests that
// changed something it took.
func (a *API) converge(ctx context.Context, want []tree.Provider) (changes int, err error) {
	for range attempts {
		seen, err := a.observe(ctx, want)
		if err != nil {
			return changes, err
		}
		n, err := a.apply(ctx, Plan(want, seen), seen)
		changes += n
		if !refused(err, http.StatusConflict, concurrentUpdate) {
			return changes, err
		}
	}
	return changes, fmt.Errorf("others have changed the same providers %d times in a row", attempts)
}

// apply carries out the operations until one fails.
func (a *API) apply(ctx context.Context, ops []Op, seen *Observed) (done int, err error) {
	generations := map[string]int64{}
	for id, s := range seen.Providers {
		generations[id] = s.Generation
	}
	for _, op := range ops {
		body := any(op.Body)
		switch {
		case op.Body == nil:
			body = nil
		case op.Versioned:
			versioned := maps.Clone(op.Body)
			versioned["resource_provider_generation"] = generations[op.Provider]
			body = versioned
		}
		var now struct {
			Generation *int64
			Versioned  *int64 `json:"resource_provider_generation"`
		}
		if err := a.do(ctx, op.Method, op.Path, body, &now); err != nil {
			return done, fmt.Errorf("%s: %w", op, err)
		}
		done++
		for _, g := range []*int64{now.Generation, now.Versioned} {
			if g != nil {
				generations[op.Provider] = *g
			}
		}
	}
	return done, nil
}

// remove deletes a provider, if it is there. The error is a *peer.Error of status 409
// while something is allocated from it or there is a provider below.
func (a *API) remove(ctx context.Context, id string) error {
	err := a.do(ctx, http.MethodDelete, "/resource_providers/"+id, nil, nil)
	if refused(err, http.StatusNotFound, "") {
		return nil
	}
	return err
}
