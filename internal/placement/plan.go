package placement

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/placement/tree"
)

// Op is one request that changes Placement.
type Op struct {
	Method    string
	Path      string
	Body      map[string]any
	Provider  string // that it is about; "": none
	Versioned bool   // the body needs the provider's generation
}

func (o Op) String() string {
	s := o.Method + " " + o.Path
	if o.Body == nil {
		return s
	}
	text, err := json.Marshal(o.Body)
	if err != nil {
		return s
	}
	return s + " " + string(text)
}

// Plan is what has to be done so that Placement has the providers, parents first. What
// is right is not touched.
func Plan(want []tree.Provider, seen *Observed) []Op {
	var ops []Op
	known := map[string]bool{} // traits that there are, since some provider has them
	for _, s := range seen.Providers {
		for _, t := range s.Traits {
			known[t] = true
		}
	}
	for _, p := range want {
		s := seen.Providers[p.UUID]
		ops = append(ops, place(p, s, seen)...)
		if s == nil {
			s = &State{}
		}
		ops = append(ops, mark(p, s, known)...)
		if !maps.Equal(p.Inventories, s.Inventories) {
			ops = append(ops, Op{Method: http.MethodPut, Path: "/resource_providers/" + p.UUID + "/inventories", Provider: p.UUID,
				Versioned: true, Body: map[string]any{"inventories": p.Inventories}})
		}
	}
	return ops
}

// place makes a provider, or gives it its name and its place in the tree.
func place(p tree.Provider, s *State, seen *Observed) []Op {
	parent := p.Agent
	if parent == "" {
		parent = seen.Hypervisors[p.Hypervisor]
	}
	body := map[string]any{"name": p.Name, "parent_provider_uuid": parent}
	switch {
	case s == nil:
		body["uuid"] = p.UUID
		return []Op{{Method: http.MethodPost, Path: "/resource_providers", Body: body, Provider: p.UUID}}
	case s.Name != p.Name || s.Parent != parent:
		return []Op{{Method: http.MethodPut, Path: "/resource_providers/" + p.UUID, Body: body, Provider: p.UUID}}
	}
	return nil
}

// mark gives a provider its traits, which have to exist first. Traits that are not of
// our making stay: operators steer servers by them.
func mark(p tree.Provider, s *State, known map[string]bool) []Op {
	traits := slices.Clone(p.Traits)
	for _, t := range s.Traits {
		if !strings.HasPrefix(t, weft.PhysnetTrait("")) && !strings.HasPrefix(t, weft.VNICTypeTrait("")) {
			traits = append(traits, t)
		}
	}
	slices.Sort(traits)
	if slices.Equal(traits, s.Traits) {
		return nil
	}
	var ops []Op
	for _, t := range p.Traits {
		if !known[t] {
			known[t] = true
			ops = append(ops, Op{Method: http.MethodPut, Path: "/traits/" + t})
		}
	}
	return append(ops, Op{Method: http.MethodPut, Path: "/resource_providers/" + p.UUID + "/traits", Provider: p.UUID,
		Versioned: true, Body: map[string]any{"traits": traits}})
}
