package main

import (
	"context"
	"path/filepath"
)

// gophercloud is the acceptance tests in gophercloud's own module.
type gophercloud struct{}

var gophercloudModule = goModule{"github.com/gophercloud/gophercloud/v2", "v2.15.0",
	"h1:4zLiLYTFraZMlJ77FH1Kzq7itjfVP+BIbWcCurCrgic="}

const gophercloudTests = "internal/acceptance/openstack/networking/v2"

func (gophercloud) name() string { return "gophercloud" }

func (g gophercloud) prepare(ctx context.Context, dir string) error {
	return gophercloudModule.copy(ctx, filepath.Join(dir, g.name()))
}

func (g gophercloud) play(ctx context.Context, c *cloud, w work) error {
	a := c.admin()
	env := []string{"OS_AUTH_URL=" + a.AuthURL, "OS_USERNAME=" + a.Username, "OS_PASSWORD=" + a.Password, "OS_PROJECT_NAME=" + a.ProjectName,
		"OS_DOMAIN_ID=default", "OS_REGION_NAME=RegionOne", "OS_IDENTITY_API_VERSION=3",
		// What the tests ask of a cloud before they begin; those of networking use the
		// external network only.
		"OS_EXTGW_ID=" + c.external, "OS_POOL_NAME=public", "OS_NETWORK_NAME=private", "OS_IMAGE_ID=none", "OS_FLAVOR_ID=1", "OS_FLAVOR_ID_RESIZE=2",
		"OS_BRANCH=master"}
	args := []string{"-p=1", "-timeout=20m", "-tags=fixtures acceptance"}
	if w.only != "" {
		args = append(args, "-run="+w.only)
	}
	w.dir = filepath.Join(w.dir, g.name())
	return goTest(ctx, w, env, gophercloudModule.path+"/"+gophercloudTests, "", append(args, "./"+gophercloudTests+"/...")...)
}
