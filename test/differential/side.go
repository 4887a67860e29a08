package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// side is one of the two that are compared, with the users of this run.
type side struct {
	name     string
	endpoint *endpoint
	run      string
	users    map[string]token
	made     []string // URLs below the identity API to delete at the end
	globals  vars
}

// people are the users that are made: their project and role there. nobody has no
// token, stranger has one that nobody gave out.
var people = []struct{ name, project, role string }{
	{"alice", "A", "member"}, {"rob", "A", "reader"}, {"bob", "B", "member"}, {"carol", "C", "member"},
}

const noSuch = "00000000-0000-4000-8000-00000000dead"

// populate makes projects and users.
func (s *side) populate(ctx context.Context, run string) error {
	s.run = run
	s.globals = vars{"RUN": run, "NONE": noSuch}
	admin, err := s.endpoint.token(ctx, s.endpoint.admin)
	if err != nil {
		return err
	}
	s.users = map[string]token{"admin": admin, "nobody": {}, "stranger": {id: "gAAAAABno-such-token"}}
	s.globals["ADMIN"] = admin.project
	for _, p := range people {
		if err := s.enlist(ctx, p.name, p.project, p.role); err != nil {
			return err
		}
	}
	return nil
}

func (s *side) enlist(ctx context.Context, name, project, role string) error {
	var err error
	if s.globals[project] == nil {
		if s.globals[project], err = s.create(ctx, "project", map[string]any{"name": s.run + project, "domain_id": "default"}); err != nil {
			return err
		}
	}
	password := s.run + "-Secret"
	user, err := s.create(ctx, "user", map[string]any{"name": s.run + name, "domain_id": "default", "password": password})
	if err != nil {
		return err
	}
	var roles struct{ Roles []struct{ ID, Name string } }
	a, err := s.identity(ctx, http.MethodGet, "/roles?name="+role, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.body, &roles); err != nil || len(roles.Roles) != 1 {
		return fmt.Errorf("there is no role %s: %s", role, a.body)
	}
	path := fmt.Sprintf("/projects/%v/users/%s/roles/%s", s.globals[project], user, roles.Roles[0].ID)
	if _, err := s.identity(ctx, http.MethodPut, path, nil); err != nil {
		return err
	}
	s.users[name], err = s.endpoint.token(ctx, login{s.run + name, password, s.run + project})
	return err
}

// create makes a noun of the identity API and returns its id.
func (s *side) create(ctx context.Context, noun string, in map[string]any) (string, error) {
	body, err := json.Marshal(map[string]any{noun: in})
	if err != nil {
		return "", err
	}
	a, err := s.identity(ctx, http.MethodPost, "/"+noun+"s", body)
	if err != nil {
		return "", err
	}
	var out map[string]struct{ ID string }
	if err := json.Unmarshal(a.body, &out); err != nil {
		return "", err
	}
	s.made = append(s.made, "/"+noun+"s/"+out[noun].ID)
	return out[noun].ID, nil
}

func (s *side) identity(ctx context.Context, method, path string, body []byte) (answer, error) {
	a, err := s.endpoint.send(ctx, method, s.endpoint.identity+path, body, http.Header{"X-Auth-Token": {s.users["admin"].id}})
	if err == nil && a.status >= 300 {
		err = fmt.Errorf("%s %s: %d %s", method, path, a.status, a.body)
	}
	return a, err
}

// leave takes the users and projects away again, also after an interrupt.
func leave(sides []*side) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, s := range sides {
		s.forget(ctx)
		for i := len(s.made) - 1; i >= 0; i-- {
			if _, err := s.identity(ctx, http.MethodDelete, s.made[i], nil); err != nil {
				fmt.Printf("%s keeps %s: %v\n", s.name, s.made[i], err)
			}
		}
	}
}

// forget removes what comes with a project by itself: its default group and quota.
func (s *side) forget(ctx context.Context) {
	for _, project := range []string{"A", "B", "C"} {
		id, ok := s.globals[project].(string)
		if !ok {
			continue
		}
		var groups struct {
			Groups []struct{ ID string } `json:"security_groups"`
		}
		a, err := s.ask(ctx, "admin", http.MethodGet, "/v2.0/security-groups?fields=id&project_id="+id, nil, nil)
		if err == nil && json.Unmarshal(a.body, &groups) == nil {
			for _, g := range groups.Groups {
				s.ask(ctx, "admin", http.MethodDelete, "/v2.0/security-groups/"+g.ID, nil, nil)
			}
		}
		s.ask(ctx, "admin", http.MethodDelete, "/v2.0/quotas/"+id, nil, nil)
	}
}

// ask sends a request to the network service.
func (s *side) ask(ctx context.Context, who, method, path string, body []byte, h http.Header) (answer, error) {
	t, ok := s.users[who]
	if !ok {
		return answer{}, fmt.Errorf("nobody is called %s", who)
	}
	if h == nil {
		h = http.Header{}
	}
	if t.id != "" {
		h.Set("X-Auth-Token", t.id)
	}
	return s.endpoint.send(ctx, method, s.endpoint.network+strings.ReplaceAll(path, " ", "%20"), body, h)
}
