package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"github.com/goccy/go-yaml"

	"github.com/weftnet/weft/internal/client"
	"github.com/weftnet/weft/internal/identity"
)

// cloudUsers is the clouds of clouds.yaml: weft is the administrator, weft-demo an
// ordinary member. Each user's project has the user's name.
var cloudUsers = map[string]string{"weft": identity.AdminUser, "weft-demo": identity.DemoUser}

// userCloud is the entry of clouds.yaml for one of these users.
func userCloud(authURL, user, password string) client.Cloud {
	var c client.Cloud
	c.Auth = client.Auth{AuthURL: authURL, Username: user, Password: password, ProjectName: user,
		UserDomainName: "Default", ProjectDomainName: "Default"}
	c.RegionName, c.IdentityAPIVersion = "RegionOne", 3
	return c
}

// pending is clouds.yaml while it is not known yet whether its passwords will be
// good: they are kept before the database gets them, and a weft that dies between
// the two goes on with them.
func (d stateDir) pending() string { return d.clouds() + ".new" }

// passwords are those of clouds.yaml, and for users that it does not have, who are
// also listed as lost, those that are pending or new ones. Anew, clouds.yaml counts as
// having none.
func (d stateDir) passwords(anew bool) (all map[string]string, lost []string, err error) {
	known, err := readClouds(d.clouds())
	if err != nil {
		return nil, nil, err
	}
	pending, err := readClouds(d.pending())
	if err != nil {
		return nil, nil, err
	}
	all = map[string]string{}
	for cloud, user := range cloudUsers {
		if all[user] = known.Clouds[cloud].Auth.Password; all[user] != "" && !anew {
			continue
		}
		lost = append(lost, user)
		if all[user] = pending.Clouds[cloud].Auth.Password; all[user] == "" {
			all[user] = rand.Text()
		}
	}
	return all, lost, nil
}

// readClouds reads a clouds.yaml; one that is not there has no clouds.
func readClouds(path string) (client.Clouds, error) {
	c, err := client.ReadClouds(path)
	if errors.Is(err, os.ErrNotExist) {
		return client.Clouds{}, nil
	}
	return c, err
}

// proposeClouds keeps the users' clouds, and whatever else clouds.yaml has, as
// pending.
func (d stateDir) proposeClouds(authURL string, passwords map[string]string) error {
	clouds := map[string]client.Cloud{}
	for cloud, user := range cloudUsers {
		clouds[cloud] = userCloud(authURL, user, passwords[user])
	}
	return d.mergeClouds(d.pending(), clouds)
}

// acceptClouds makes clouds.yaml of what is pending.
func (d stateDir) acceptClouds() error { return os.Rename(d.pending(), d.clouds()) }

// forgetClouds drops what is pending.
func (d stateDir) forgetClouds() error { return os.Remove(d.pending()) }

// keepCloud writes one cloud of clouds.yaml and keeps the others as they are.
func (d stateDir) keepCloud(name string, c client.Cloud) error {
	return d.mergeClouds(d.clouds(), map[string]client.Cloud{name: c})
}

// mergeClouds writes clouds.yaml to a path, with these clouds and its others as they
// are.
func (d stateDir) mergeClouds(path string, clouds map[string]client.Cloud) error {
	var file struct {
		Clouds map[string]any `yaml:"clouds"`
	}
	data, err := os.ReadFile(d.clouds())
	if err == nil {
		err = yaml.Unmarshal(data, &file)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if file.Clouds == nil {
		file.Clouds = map[string]any{}
	}
	for name, c := range clouds {
		file.Clouds[name] = c
	}
	if data, err = yaml.Marshal(file); err != nil {
		return fmt.Errorf("encoding clouds.yaml: %w", err)
	}
	return writePrivate(path, data)
}
