package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// terraform is the acceptance tests of Terraform's provider for OpenStack that are
// about networks: all of them as a member of a project, and again as the
// administrator, since some are for one of the two only.
type terraform struct{}

var (
	terraformModule = goModule{"github.com/terraform-provider-openstack/terraform-provider-openstack/v3", "v3.4.0",
		"h1:Ap8gvameIY5ZM7CMh7fngP/VoIyeupzKX3izoyfp9yg="}
	// tofuModule does what the tests want of terraform where that is not installed.
	tofuModule = goModule{"github.com/opentofu/opentofu", "v1.10.6", ""}
)

func (terraform) name() string { return "terraform" }

// binary is where the program that plans and applies is, or will be.
func (t terraform) binary(dir string) string {
	if path, err := exec.LookPath("terraform"); err == nil {
		return path
	}
	return filepath.Join(dir, "tofu")
}

func (t terraform) prepare(ctx context.Context, dir string) error {
	if err := terraformModule.copy(ctx, filepath.Join(dir, t.name())); err != nil {
		return err
	}
	to := t.binary(dir)
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, "go", "install", tofuModule.path+"/cmd/tofu@"+tofuModule.version)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0")
	cmd.Dir = os.TempDir() // in no module
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("neither is terraform installed nor can OpenTofu be built: %w\n%s", err, out)
	}
	return nil
}

func (t terraform) play(ctx context.Context, c *cloud, w work) error {
	binary := t.binary(w.dir)
	w.dir = filepath.Join(w.dir, t.name())
	regex := "^TestAccNetworking"
	if w.only != "" {
		regex = w.only
	}
	for _, as := range []struct{ prefix, cloud string }{{"member.", "weft-demo"}, {"admin.", "weft"}} {
		a := c.clouds.Clouds[as.cloud].Auth
		env := []string{"TF_ACC=1", "TF_ACC_TERRAFORM_PATH=" + binary, "CHECKPOINT_DISABLE=1",
			"OS_AUTH_URL=" + a.AuthURL, "OS_USERNAME=" + a.Username, "OS_PASSWORD=" + a.Password, "OS_PROJECT_NAME=" + a.ProjectName,
			"OS_USER_DOMAIN_ID=default", "OS_PROJECT_DOMAIN_ID=default", "OS_DOMAIN_ID=default",
			"OS_REGION_NAME=RegionOne", "OS_IDENTITY_API_VERSION=3",
			// What the tests ask of a cloud before they begin.
			"OS_EXTGW_ID=" + c.external, "OS_POOL_NAME=public", "OS_NETWORK_ID=" + c.private, "OS_IMAGE_ID=none", "OS_FLAVOR_ID=1",
			"OS_PORT_FORWARDING_ENVIRONMENT=1"}
		if err := goTest(ctx, w, env, terraformModule.path, as.prefix, "-timeout=30m", "-parallel=4", "-run="+regex,
			"./openstack"); err != nil {
			return err
		}
	}
	return nil
}
