package main

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"
)

//go:embed heat
var templates embed.FS

func (s *stack) startHeat(ctx context.Context) error {
	if err := s.start("heat-engine", nil, "heat-engine", "--config-file", s.conf("heat.conf")); err != nil {
		return err
	}
	if err := s.ready(ctx, "heat-engine", func(ctx context.Context) bool {
		out, err := s.sql(ctx, "select count(*) from heat.service")
		return err == nil && out != "0"
	}); err != nil {
		return err
	}
	return s.serve(ctx, "heat-api", "http://127.0.0.1:8004", nil, "heat-api", "--config-file", s.conf("heat.conf"))
}

// heat makes a stack of everything a member may have, and one of what only an
// administrator may.
func heat(ctx context.Context, t *trial) error {
	if err := t.startHeat(ctx); err != nil {
		return err
	}
	c, err := t.cloud(ctx)
	if err != nil {
		return err
	}
	for name, by := range map[string]*caller{"member": t.demo, "administrator": t.admin} {
		if err := t.template(ctx, name, by, c); err != nil {
			t.wrong("%s: %w", name, err)
		}
	}
	// Heat leaves a quota behind: its resource has no way to delete one.
	return remove(ctx, t.admin, "quotas", t.demo.project)
}

// template creates, checks, updates and deletes a stack; nothing is to be left.
func (t *trial) template(ctx context.Context, name string, by *caller, c cloud) error {
	text, err := templates.ReadFile("heat/" + name + ".yaml")
	if err != nil {
		return err
	}
	before, err := t.everything(ctx)
	if err != nil {
		return err
	}
	in := func(stage string) map[string]any {
		target := t.admin.project
		if name == "administrator" {
			target = t.demo.project
		}
		return map[string]any{"stack_name": name, "template": string(text), "timeout_mins": 10,
			"parameters": map[string]any{"public": c.public, "name": stage, "target": target}}
	}
	url := heatURL + "/" + by.project + "/stacks"
	var made struct{ Stack named }
	if err := by.do(ctx, "POST", url, in("before"), &made); err != nil {
		return err
	}
	url += "/" + name + "/" + made.Stack.ID
	t.later(func(ctx context.Context) error {
		if err := by.do(ctx, "DELETE", url, nil, nil); err != nil && !refused(err, 404) {
			return err
		}
		return nil
	})
	for _, do := range []struct {
		what string
		do   func() error
	}{
		{"CREATE", func() error { return nil }},
		{"CHECK", func() error { return by.do(ctx, "POST", url+"/actions", map[string]any{"check": nil}, nil) }},
		{"UPDATE", func() error { return by.do(ctx, "PUT", url, in("after"), nil) }},
		{"DELETE", func() error { return by.do(ctx, "DELETE", url, nil, nil) }},
	} {
		if err := do.do(); err != nil {
			return fmt.Errorf("%s: %w", do.what, err)
		}
		if err := t.stackEnds(ctx, by, url, do.what); err != nil {
			return err
		}
	}
	return t.asBefore(ctx, before)
}

// stackEnds waits until what is done with a stack is complete, and names what failed.
func (t *trial) stackEnds(ctx context.Context, by *caller, url, what string) error {
	began := time.Now()
	var out struct {
		Stack struct {
			Status string `json:"stack_status"`
			Reason string `json:"stack_status_reason"`
		}
	}
	err := eventually(ctx, 5*time.Minute, func(ctx context.Context) (bool, error) {
		if err := by.do(ctx, "GET", url, nil, &out); err != nil {
			return false, err
		}
		return out.Stack.Status == what+"_COMPLETE" || out.Stack.Status == what+"_FAILED", nil
	})
	if err != nil && !(what == "DELETE" && refused(err, 404)) {
		return fmt.Errorf("%s: %w (%s)", what, err, out.Stack.Status)
	}
	var in struct {
		Resources []struct {
			Name   string `json:"resource_name"`
			Type   string `json:"resource_type"`
			Status string `json:"resource_status"`
			Reason string `json:"resource_status_reason"`
		}
	}
	if err := by.do(ctx, "GET", url+"/resources", nil, &in); err != nil {
		return err
	}
	types := map[string]bool{}
	var failed []string
	for _, r := range in.Resources {
		types[r.Type] = true
		if strings.HasSuffix(r.Status, "_FAILED") {
			failed = append(failed, fmt.Sprintf("%s (%s): %s", r.Name, r.Type, r.Reason))
		}
	}
	if out.Stack.Status == what+"_FAILED" || len(failed) > 0 {
		return fmt.Errorf("%s: %s: %s", what, out.Stack.Reason, strings.Join(failed, "; "))
	}
	t.saw("%s of %d resources of %d types as %s in %.1f s", what, len(in.Resources), len(types), by.user,
		time.Since(began).Seconds())
	return nil
}

// collections are those of which nothing may be left when a stack is deleted.
var collections = []string{"networks", "subnets", "ports", "routers", "floatingips", "security-groups", "subnetpools",
	"address-scopes", "trunks",
	"rbac-policies", "segments", "qos/policies", "metering/metering-labels"}

// everything is the ids of all nouns at weft.
func (s *stack) everything(ctx context.Context) ([]string, error) {
	var all []string
	for _, c := range collections {
		var out map[string]any
		if err := s.admin.do(ctx, "GET", networkURL+"/v2.0/"+c, nil, &out); err != nil {
			return nil, err
		}
		for _, l := range out {
			of, is := l.([]any)
			if !is {
				continue
			}
			for _, n := range of {
				all = append(all, c+"/"+fmt.Sprint(n.(map[string]any)["id"]))
			}
		}
	}
	return all, nil
}

// asBefore is whether weft has nothing that it did not have before.
func (t *trial) asBefore(ctx context.Context, before []string) error {
	now, err := t.everything(ctx)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(now, func(id string) bool { return slices.Contains(before, id) })
	if len(left) > 0 {
		return fmt.Errorf("left behind: %v", left)
	}
	return nil
}
