package main

import (
	"context"
	"fmt"
)

// policies is how many RBAC policies share measures lists beside.
const policies = 5000

// sharing measures what thousands of RBAC policies cost the lists of an administrator
// and of a member. The member's project owns what is listed, so that the answers are
// the same before and after.
func (b *bench) sharing(context.Context) error {
	s := b.server
	admin := s.token
	member, err := b.member()
	if err != nil {
		return err
	}
	networks, err := b.networks(500)
	if err != nil {
		return err
	}
	lists := func(beside string) error {
		defer func() { s.token = admin }()
		for _, who := range []struct{ name, token string }{{"administrator", admin}, {"member", member}} {
			s.token = who.token
			for _, noun := range []string{"networks", "ports"} {
				if err := b.list(fmt.Sprintf("list %s, %s%s", noun, who.name, beside), noun, aim{}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := lists(""); err != nil {
		return err
	}
	err = b.run("create RBAC policy", 8, policies, aim{}, func(i int) error {
		_, err := s.create("rbac-policies", "rbac_policy", map[string]any{"object_type": "network", "object_id": networks[i%len(networks)],
			"action": "access_as_shared", "target_tenant": fmt.Sprintf("%032x", i)})
		return err
	})
	if err != nil {
		return err
	}
	return lists(fmt.Sprintf(", %d RBAC policies", policies))
}

// member is the token of a user who is no more than a member of the project of the
// measurements.
func (b *bench) member() (string, error) {
	s := b.server
	const name, password = "bench-member", "bench-member"
	var user struct{ User struct{ ID string } }
	in := map[string]any{"user": map[string]any{"name": name, "password": password}}
	if err := s.call("POST", "/users", in, &user); err != nil {
		return "", err
	}
	var roles struct{ Roles []struct{ ID string } }
	if err := s.call("GET", "/roles?name=member", nil, &roles); err != nil {
		return "", err
	}
	var project struct{ Project struct{ Name string } }
	if err := s.call("GET", "/projects/"+s.project, nil, &project); err != nil {
		return "", err
	}
	if _, err := s.send("PUT", "/projects/"+s.project+"/users/"+user.User.ID+"/roles/"+roles.Roles[0].ID, nil); err != nil {
		return "", err
	}
	t, err := s.login(name, password, project.Project.Name)
	return t.id, err
}

// networks makes the networks up to a number, and returns the ids of all.
func (b *bench) networks(upTo int) ([]string, error) {
	s := b.server
	var have struct{ Networks []struct{ ID string } }
	if err := s.call("GET", "networks?fields=id", nil, &have); err != nil {
		return nil, err
	}
	var ids []string
	for _, n := range have.Networks {
		ids = append(ids, n.ID)
	}
	for i := len(ids); i < upTo; i++ {
		id, err := s.create("networks", "network", map[string]any{"name": fmt.Sprint("more", i)})
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}
