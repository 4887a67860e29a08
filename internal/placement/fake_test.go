package placement_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/weftnet/weft/internal/peer"
)

// fake is a Placement of few words.
type fake struct {
	mu        sync.Mutex
	providers map[string]*provider
	traits    map[string]bool
	consumers map[string]*consumer
	changes   []string // requests that were to change something
	before    func(r peer.Request) error
}

type provider struct {
	Name        string         `json:"name"`
	UUID        string         `json:"uuid"`
	Parent      string         `json:"parent_provider_uuid"`
	Generation  int64          `json:"generation"`
	Inventories map[string]any `json:"-"`
	Traits      []any          `json:"-"`
}

type consumer struct {
	Allocations map[string]struct {
		Resources map[string]int64 `json:"resources"`
	} `json:"allocations"`
	Project    string `json:"project_id"`
	User       string `json:"user_id"`
	Generation *int64 `json:"consumer_generation"`
}

func newFake() *fake {
	return &fake{providers: map[string]*provider{}, traits: map[string]bool{}, consumers: map[string]*consumer{}}
}

// Do implements placement.Service.
func (f *fake) Do(_ context.Context, r peer.Request) (*peer.Answer, error) {
	if f.before != nil {
		if err := f.before(r); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method != http.MethodGet {
		f.changes = append(f.changes, r.Method+" "+r.Path)
	}
	text, err := json.Marshal(r.Body)
	if err != nil {
		return nil, err
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		return nil, err
	}
	path, query, _ := strings.Cut(r.Path, "?")
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	var out any
	status, code := http.StatusOK, ""
	switch parts[0] {
	case "traits":
		f.traits[parts[1]] = true
	case "allocations":
		out, status, code = f.allocations(r.Method, parts[1], text)
	case "resource_providers":
		out, status, code = f.provider(r.Method, parts[1:], strings.TrimPrefix(query, "name="), body)
	}
	if status >= 300 {
		return nil, &peer.Error{Service: "placement", Method: r.Method, Path: r.Path, Status: status, Code: code, Message: code}
	}
	answer, err := json.Marshal(out)
	return &peer.Answer{Status: status, Body: answer}, err
}

const concurrent = "placement.concurrent_update"

func (f *fake) provider(method string, path []string, name string, body map[string]any) (any, int, string) {
	if len(path) == 0 && method == http.MethodGet {
		list := []*provider{}
		for _, p := range f.providers {
			if p.Name == name {
				list = append(list, p)
			}
		}
		return map[string]any{"resource_providers": list}, http.StatusOK, ""
	}
	if len(path) == 0 {
		id, _ := body["uuid"].(string)
		f.providers[id] = &provider{UUID: id, Inventories: map[string]any{}, Traits: []any{}}
		return f.place(f.providers[id], body)
	}
	p := f.providers[path[0]]
	if p == nil {
		return nil, http.StatusNotFound, ""
	}
	switch {
	case len(path) == 1 && method == http.MethodDelete:
		return f.remove(p)
	case len(path) == 1 && method == http.MethodPut:
		return f.place(p, body)
	case len(path) == 1:
		return p, http.StatusOK, ""
	case method == http.MethodPut && body["resource_provider_generation"] != float64(p.Generation):
		return nil, http.StatusConflict, concurrent
	case method == http.MethodPut:
		p.Generation++
	}
	if path[1] == "traits" {
		if method == http.MethodPut {
			for _, t := range body["traits"].([]any) {
				if !f.traits[t.(string)] {
					return nil, http.StatusBadRequest, "no such trait"
				}
			}
			p.Traits = body["traits"].([]any)
		}
		return map[string]any{"traits": p.Traits, "resource_provider_generation": p.Generation}, http.StatusOK, ""
	}
	if method == http.MethodPut {
		p.Inventories = body["inventories"].(map[string]any)
	}
	return map[string]any{"inventories": p.Inventories, "resource_provider_generation": p.Generation}, http.StatusOK, ""
}

func (f *fake) place(p *provider, body map[string]any) (any, int, string) {
	p.Name, _ = body["name"].(string)
	p.Parent, _ = body["parent_provider_uuid"].(string)
	if p.Parent != "" && f.providers[p.Parent] == nil {
		return nil, http.StatusBadRequest, "no such parent"
	}
	return p, http.StatusOK, ""
}

func (f *fake) remove(p *provider) (any, int, string) {
	for _, other := range f.providers {
		if other.Parent == p.UUID {
			return nil, http.StatusConflict, "placement.resource_provider.cannot_delete_parent"
		}
	}
	for _, c := range f.consumers {
		if _, ok := c.Allocations[p.UUID]; ok {
			return nil, http.StatusConflict, "placement.resource_provider.inuse"
		}
	}
	delete(f.providers, p.UUID)
	return nil, http.StatusNoContent, ""
}

func (f *fake) allocations(method, id string, text []byte) (any, int, string) {
	have := f.consumers[id]
	if method == http.MethodGet && have == nil {
		return map[string]any{"allocations": map[string]any{}}, http.StatusOK, ""
	}
	if method == http.MethodGet {
		return have, http.StatusOK, ""
	}
	var want consumer
	if json.Unmarshal(text, &want) != nil || want.Project == "" || want.User == "" {
		return nil, http.StatusBadRequest, "malformed"
	}
	if have != nil && (want.Generation == nil || *want.Generation != *have.Generation) {
		return nil, http.StatusConflict, concurrent
	}
	for rp, a := range want.Allocations {
		for class, n := range a.Resources {
			if f.used(rp, class, id)+n > f.total(rp, class) {
				return nil, http.StatusConflict, "placement.undefined_code"
			}
		}
	}
	next := int64(1)
	if have != nil {
		next = *have.Generation + 1
	}
	want.Generation = &next
	if f.consumers[id] = &want; len(want.Allocations) == 0 {
		delete(f.consumers, id)
	}
	return nil, http.StatusNoContent, ""
}

func (f *fake) total(rp, class string) int64 {
	p := f.providers[rp]
	if p == nil {
		return 0
	}
	inventory, _ := p.Inventories[class].(map[string]any)
	total, _ := inventory["total"].(float64)
	return int64(total)
}

func (f *fake) used(rp, class, except string) (n int64) {
	for id, c := range f.consumers {
		if id != except {
			n += c.Allocations[rp].Resources[class]
		}
	}
	return n
}

// taken are the requests since it was last asked that were to change something.
func (f *fake) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.changes
	f.changes = nil
	return out
}

// names are the providers that there are.
func (f *fake) names() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]string{}
	for id, p := range maps.All(f.providers) {
		out[p.Name] = id
	}
	return out
}
