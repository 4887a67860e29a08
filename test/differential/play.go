package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// actor plays the requests of one file at one side.
type actor struct {
	*side
	vars  vars
	names *names
	undo  []undo
}

// undo is a request that takes away what another one made.
type undo struct{ method, path, body string }

// play sends every request of a file to weft and to the Neutron, or takes what is on
// record of that, and tells the report what differs. What the file leaves behind is
// removed.
func play(ctx context.Context, sides []*side, f file, rec record, rep *report) error {
	actors := make([]*actor, len(sides))
	for i, s := range sides {
		actors[i] = &actor{side: s, vars: maps.Clone(s.globals), names: newNames(s)}
		defer actors[i].cleanUp(rep)
	}
	for n, rq := range f.requests {
		got := make([]outcome, len(actors))
		var wg sync.WaitGroup
		for i, a := range actors {
			wg.Go(func() { got[i] = a.perform(ctx, rq) })
		}
		wg.Wait()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(got) == 2 {
			rec.add(f.noun, rq.again, got[1])
		}
		rep.compare(rq, rec.find(f.noun, n, rq.again), got[0])
	}
	return nil
}

// outcome is an answer in the form that is compared.
type outcome struct {
	Unasked string // why the request could not be made
	Status  int
	Header  map[string]string
	Body    any
	raw     string
}

// watched are the headers that clients read.
var watched = []string{"Content-Type", "Allow", "Location", "Retry-After", "Www-Authenticate"}

func (a *actor) perform(ctx context.Context, rq request) outcome {
	path, err := a.vars.fill(rq.path)
	if err != nil {
		return outcome{Unasked: err.Error()}
	}
	body, err := a.vars.fill(rq.body)
	if err != nil {
		return outcome{Unasked: err.Error()}
	}
	value, err := a.vars.fill(rq.value)
	if err != nil {
		return outcome{Unasked: err.Error()}
	}
	h := http.Header{}
	if rq.header != "" {
		h.Set(rq.header, value)
	}
	var in []byte
	if body != "" {
		in = []byte(body)
	}
	a.names.sent(path + " " + body)
	res, err := a.ask(ctx, rq.who, rq.method, path, in, h)
	if err != nil {
		return outcome{Unasked: err.Error()}
	}
	return a.digest(rq, path, body, res)
}

// digest remembers what is to be remembered of an answer, and normalises it.
func (a *actor) digest(rq request, path, body string, res answer) outcome {
	out := outcome{Status: res.status, Header: map[string]string{}, raw: string(res.body)}
	for _, name := range watched {
		if v := res.header.Get(name); v != "" {
			out.Header[name] = a.names.text(v)
		}
	}
	if id := res.header.Get("X-Openstack-Request-Id"); id != "" {
		out.Header["X-Openstack-Request-Id"] = a.names.text(id)
	}
	var doc any
	if err := json.Unmarshal(res.body, &doc); err != nil {
		out.Body = a.names.text(string(res.body))
		return out
	}
	if res.status < 300 {
		if rq.as != "" {
			a.vars[rq.as] = only(doc)
			a.names.learn(rq.as, only(doc))
		}
		a.remember(rq, path, body, doc)
	}
	out.Body = a.names.value("", doc, ordered(path))
	return out
}

// ordered reports whether the order of a list means something.
func ordered(path string) bool { return sorted.MatchString(path) }

var sorted = regexp.MustCompile(`sort_key=[^&]`)

// only is the noun in its envelope, or the whole.
func only(doc any) any {
	m, ok := doc.(map[string]any)
	if !ok {
		return doc
	}
	var found any
	n := 0
	for k, v := range m {
		if !strings.HasSuffix(k, "_links") {
			found, n = v, n+1
		}
	}
	if n != 1 {
		return doc
	}
	return found
}

// remember notes how to take away what was made.
func (a *actor) remember(rq request, path, body string, doc any) {
	path, _, _ = strings.Cut(path, "?")
	switch {
	case rq.method == http.MethodPost && strings.Contains(path, "/tags"):
	case rq.method == http.MethodPost:
		list, bulk := only(doc).([]any)
		if !bulk {
			list = []any{only(doc)}
		}
		for _, v := range list {
			m, _ := v.(map[string]any)
			if id, ok := m["id"].(string); ok {
				a.undo = append(a.undo, undo{http.MethodDelete, path + "/" + id, ""})
			}
		}
	case rq.method == http.MethodPut && strings.HasSuffix(path, "/add_router_interface"):
		a.undo = append(a.undo, undo{http.MethodPut, strings.Replace(path, "/add_", "/remove_", 1), body})
	case rq.method == http.MethodPut && strings.HasSuffix(path, "/add_extraroutes"):
		a.undo = append(a.undo, undo{http.MethodPut, strings.Replace(path, "/add_", "/remove_", 1), body})
	}
}

// passes is how often what could not be removed is tried again.
const passes = 4

// cleanUp removes what the file has left, the newest first, until nothing changes.
func (a *actor) cleanUp(rep *report) {
	ctx := context.Background()
	for range passes {
		var left []undo
		for i := len(a.undo) - 1; i >= 0; i-- {
			u := a.undo[i]
			var body []byte
			if u.body != "" {
				body = []byte(u.body)
			}
			res, err := a.ask(ctx, "admin", u.method, u.path, body, nil)
			if err != nil || res.status >= 400 && res.status != http.StatusNotFound && u.method == http.MethodDelete {
				left = append([]undo{u}, left...)
			}
		}
		if a.undo = left; len(left) == 0 {
			return
		}
	}
	for _, u := range a.undo {
		rep.note(fmt.Sprintf("%s keeps %s", a.name, u.path))
	}
}
