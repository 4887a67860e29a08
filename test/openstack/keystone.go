package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
)

// startKeystone makes Keystone's tables and keys, starts it, and registers what a
// deployment registers.
func (s *stack) startKeystone(ctx context.Context) error {
	for _, keys := range []string{"fernet", "credential"} {
		if err := writeKeys(filepath.Join(s.dir, "keystone", keys)); err != nil {
			return err
		}
	}
	conf := []string{"--config-file", s.conf("keystone.conf")}
	if _, err := s.tool(ctx, nil, "keystone-manage", append(conf, "db_sync")...); err != nil {
		return err
	}
	if _, err := s.tool(ctx, nil, "keystone-manage", append(conf, "bootstrap", "--bootstrap-password", password,
		"--bootstrap-region-id", "RegionOne",
		"--bootstrap-public-url", keystoneURL, "--bootstrap-internal-url", keystoneURL, "--bootstrap-admin-url",
		keystoneURL)...); err != nil {
		return err
	}
	if err := s.wsgi(ctx, "keystone", keystoneURL, 5000, "/usr/bin/keystone-wsgi-public",
		"OS_KEYSTONE_CONFIG_FILES="+s.conf("keystone.conf")); err != nil {
		return err
	}
	return s.register(ctx)
}

// writeKeys writes the two keys that Keystone starts with, as keystone-manage does.
func writeKeys(dir string) error {
	for _, name := range []string{"0", "1"} {
		key := make([]byte, 32)
		rand.Read(key)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(base64.URLEncoding.EncodeToString(key)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// registrar makes things at Keystone and remembers the first error, so that what is
// made can be written as a list.
type registrar struct {
	ctx context.Context
	by  *caller
	err error
}

// make creates a noun and returns its id.
func (r *registrar) make(path, noun string, in map[string]any) string {
	var out map[string]struct{ ID string }
	if r.err == nil {
		r.err = r.by.do(r.ctx, "POST", keystoneURL+path, map[string]any{noun: in}, &out)
	}
	return out[noun].ID
}

// id looks a noun up by its name.
func (r *registrar) id(path, name string) string {
	var out map[string]any
	if r.err == nil {
		r.err = r.by.do(r.ctx, "GET", keystoneURL+path+"?name="+name, nil, &out)
	}
	for _, list := range out {
		if l, is := list.([]any); is && len(l) == 1 {
			return l[0].(map[string]any)["id"].(string)
		}
	}
	return ""
}

func (r *registrar) grant(on, user, role string) {
	if r.err == nil {
		r.err = r.by.do(r.ctx, "PUT", keystoneURL+on+"/users/"+user+"/roles/"+role, nil, nil)
	}
}

// register makes the users of the services, the catalogue, a domain for the users
// that Heat makes, and a project with a member.
func (s *stack) register(ctx context.Context) error {
	admin, err := login(ctx, "admin", "admin")
	if err != nil {
		return err
	}
	r := &registrar{ctx: ctx, by: admin}
	role := map[string]string{}
	for _, name := range []string{"service", "heat_stack_owner", "heat_stack_user"} {
		role[name] = r.make("/roles", "role", map[string]any{"name": name})
	}
	for _, name := range []string{"admin", "member"} {
		role[name] = r.id("/roles", name)
	}
	services := r.make("/projects", "project", map[string]any{"name": "service", "domain_id": "default"})
	for _, name := range []string{"neutron", "nova", "glance", "placement", "heat"} {
		user := r.make("/users", "user", map[string]any{"name": name, "password": password, "domain_id": "default"})
		r.grant("/projects/"+services, user, role["admin"])
		r.grant("/projects/"+services, user, role["service"])
	}
	demo := r.make("/projects", "project", map[string]any{"name": "demo", "domain_id": "default"})
	user := r.make("/users", "user", map[string]any{"name": "demo", "password": password, "domain_id": "default"})
	r.grant("/projects/"+demo, user, role["member"])
	r.grant("/projects/"+demo, user, role["heat_stack_owner"])
	heat := r.make("/domains", "domain", map[string]any{"name": "heat"})
	user = r.make("/users", "user", map[string]any{"name": "heat_domain_admin", "password": password, "domain_id": heat})
	r.grant("/domains/"+heat, user, role["admin"])
	r.catalogue()
	return r.err
}

func (r *registrar) catalogue() {
	for _, s := range []struct{ name, kind, url string }{
		{"neutron", "network", networkURL}, {"nova", "compute", novaURL}, {"glance", "image", glanceURL},
		{"placement", "placement", placementURL},
		{"heat", "orchestration", heatURL + "/%(tenant_id)s"},
	} {
		id := r.make("/services", "service", map[string]any{"name": s.name, "type": s.kind})
		for _, i := range []string{"public", "internal", "admin"} {
			r.make("/endpoints", "endpoint", map[string]any{"service_id": id, "interface": i, "region_id": "RegionOne", "url": s.url})
		}
	}
}

// login makes the callers of the scenarios.
func (s *stack) login(ctx context.Context) error {
	var err error
	if s.admin, err = login(ctx, "admin", "admin"); err != nil {
		return err
	}
	s.demo, err = login(ctx, "demo", "demo")
	return err
}
