package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// serverDoc is what the scenarios read of a server.
type serverDoc struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Status    string  `json:"status"`
	Task      *string `json:"OS-EXT-STS:task_state"`
	Host      string  `json:"OS-EXT-SRV-ATTR:host"`
	Fault     struct{ Message string }
	Addresses map[string][]struct {
		Addr string `json:"addr"`
		Type string `json:"OS-EXT-IPS:type"`
	}
}

// addresses are those of one kind: fixed or floating.
func (d serverDoc) addresses(kind string) []string {
	var all []string
	for _, of := range d.Addresses {
		for _, a := range of {
			if a.Type == kind {
				all = append(all, a.Addr)
			}
		}
	}
	return all
}

// boot asks for a server and is its id and that of the request.
func (t *trial) boot(ctx context.Context, c cloud, name string, on map[string]any) (id, request string, err error) {
	var out struct{ Server named }
	in := map[string]any{"name": name, "flavorRef": c.flavor, "imageRef": c.image, "networks": []any{on}}
	if _, is := on["port"]; !is {
		in["security_groups"] = []any{map[string]any{"name": c.group}}
	}
	var h http.Header
	if h, err = t.demo.call(ctx, "POST", novaURL+"/servers", map[string]any{"server": in}, &out); err != nil {
		return "", "", err
	}
	id = out.Server.ID
	t.later(func(ctx context.Context) error { return t.deleteServer(ctx, id) })
	return id, h.Get("X-Compute-Request-Id"), nil
}

func (s *stack) server(ctx context.Context, id string) (serverDoc, error) {
	var out struct{ Server serverDoc }
	err := s.admin.do(ctx, "GET", novaURL+"/servers/"+id, nil, &out)
	return out.Server, err
}

// becomes waits until a server is in a state, and nothing is done with it any more.
func (s *stack) becomes(ctx context.Context, id, status string, within time.Duration) (serverDoc, error) {
	var d serverDoc
	err := eventually(ctx, within, func(ctx context.Context) (bool, error) {
		now, err := s.server(ctx, id)
		if err != nil {
			return false, err
		}
		d = now
		if d.Status == "ERROR" && status != "ERROR" {
			return false, fmt.Errorf("in state ERROR: %s", d.Fault.Message)
		}
		return d.Status == status && d.Task == nil, nil
	})
	if err != nil {
		return d, fmt.Errorf("server %s is %s, want %s: %w", d.Name, d.Status, status, err)
	}
	return d, nil
}

// act does something with a server.
func (s *stack) act(ctx context.Context, id, what string, with any) error {
	return s.demo.do(ctx, "POST", novaURL+"/servers/"+id+"/action", map[string]any{what: with}, nil)
}

// acts does something with a server and waits until it is in a state.
func (s *stack) acts(ctx context.Context, id, what string, with any, status string) error {
	if err := s.act(ctx, id, what, with); err != nil {
		return err
	}
	if _, err := s.becomes(ctx, id, status, 3*time.Minute); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// deleteServer deletes a server and waits until it is gone.
func (s *stack) deleteServer(ctx context.Context, id string) error {
	if err := s.admin.do(ctx, "DELETE", novaURL+"/servers/"+id, nil, nil); refused(err, 404) {
		return nil
	} else if err != nil {
		return err
	}
	err := eventually(ctx, 2*time.Minute, func(ctx context.Context) (bool, error) {
		_, err := s.server(ctx, id)
		if refused(err, 404) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("deleting server %s: %w", id, err)
	}
	return nil
}

// console is what a guest printed.
func (s *stack) console(ctx context.Context, id string) string {
	var out struct{ Output string }
	if err := s.admin.do(ctx, "POST", novaURL+"/servers/"+id+"/action", map[string]any{"os-getConsoleOutput": map[string]any{}},
		&out); err != nil {
		return err.Error()
	}
	return last(out.Output, 2000)
}
