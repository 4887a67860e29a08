package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// rally is the sample tasks that Debian's rally-openstack has for Neutron, each a
// test. Their own limits judge them: not one request may fail.
type rally struct{}

const rallySamples = "/usr/share/doc/python3-rally-openstack/samples/tasks/scenarios/neutron"

// foreignSamples are about services of others: balancers, VPNs, servers.
var foreignSamples = regexp.MustCompile(`bgpvpn|associations|health|pools|vips|loadbalancers|boot-server`)

func (rally) name() string { return "rally" }

func (r rally) prepare(context.Context, string) error {
	if err := has("rally"); err != nil {
		return err
	}
	_, err := r.samples()
	return err
}

func (rally) samples() ([]string, error) {
	all, err := filepath.Glob(rallySamples + "/*.yaml")
	var own []string
	for _, path := range all {
		if !foreignSamples.MatchString(filepath.Base(path)) {
			own = append(own, path)
		}
	}
	if err == nil && len(own) == 0 {
		err = fmt.Errorf("needs Debian's python3-rally-openstack with its documents: nothing is in %s", rallySamples)
	}
	return own, err
}

func (r rally) play(ctx context.Context, c *cloud, w work) error {
	samples, err := r.samples()
	if err != nil {
		return err
	}
	only, err := regexp.Compile(w.only)
	if err != nil {
		return err
	}
	run, err := r.deploy(ctx, c, w)
	if err != nil {
		return err
	}
	for _, path := range samples {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		if !only.MatchString(name) {
			continue
		}
		out, err := run("task", "start", path)
		var exit *exec.ExitError
		switch {
		case err == nil:
			w.results.add(name, passed, "")
		case errors.As(err, &exit) && ctx.Err() == nil:
			w.results.add(name, failed, out)
		default:
			return err
		}
	}
	return nil
}

// deploy tells rally of the cloud, and returns what runs it.
func (rally) deploy(ctx context.Context, c *cloud, w work) (run func(args ...string) (string, error), err error) {
	conf := filepath.Join(w.dir, "rally.conf")
	text := fmt.Sprintf("[DEFAULT]\n[database]\nconnection = sqlite:///%s\n", filepath.Join(w.dir, "rally.sqlite"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	a := c.admin()
	env := []string{"OS_AUTH_URL=" + a.AuthURL, "OS_USERNAME=" + a.Username, "OS_PASSWORD=" + a.Password,
		"OS_PROJECT_NAME=" + a.ProjectName,
		"OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default", "OS_IDENTITY_API_VERSION=3", "OS_REGION_NAME=RegionOne"}
	run = func(args ...string) (string, error) {
		cmd := w.command(ctx, env, "rally", append([]string{"--config-file", conf}, args...)...)
		out, err := cmd.Output()
		w.log.Write(out)
		return string(out), err
	}
	for _, args := range [][]string{{"db", "create"}, {"deployment", "create", "--fromenv", "--name", "weft"},
		{"deployment", "check"}} {
		if out, err := run(args...); err != nil {
			return nil, fmt.Errorf("rally %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return run, nil
}
