package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// gophercloud is the acceptance tests in gophercloud's own module, of this version
// and content. It is no dependency of weft.
type gophercloud struct{}

const (
	gophercloudModule = "github.com/gophercloud/gophercloud/v2"
	gophercloudAt     = "v2.15.0"
	gophercloudSum    = "h1:4zLiLYTFraZMlJ77FH1Kzq7itjfVP+BIbWcCurCrgic="
	gophercloudTests  = "internal/acceptance/openstack/networking/v2"
)

func (gophercloud) name() string { return "gophercloud" }

// prepare copies the module, whose tests only build in its own tree, and fetches
// what it depends on.
func (g gophercloud) prepare(ctx context.Context, dir string) error {
	from, err := g.download(ctx, dir)
	if err != nil {
		return err
	}
	tree := filepath.Join(dir, g.name())
	if err := os.CopyFS(tree, os.DirFS(from)); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download")
	cmd.Dir = tree
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go mod download: %w\n%s", err, out)
	}
	return nil
}

// download brings the module into the module cache and returns where it is.
func (gophercloud) download(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", gophercloudModule+"@"+gophercloudAt)
	cmd.Dir = dir // in no module: it is none of weft's business
	out, err := cmd.Output()
	var m struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &m); m.Error != "" || jsonErr != nil {
		err = errors.Join(err, jsonErr, errors.New(m.Error))
	}
	if err != nil {
		return "", fmt.Errorf("go mod download: %w", err)
	}
	if m.Sum != gophercloudSum {
		return "", fmt.Errorf("%s@%s is %s, not %s", gophercloudModule, gophercloudAt, m.Sum, gophercloudSum)
	}
	return m.Dir, nil
}

func (g gophercloud) play(ctx context.Context, c *cloud, w work) error {
	a := c.admin()
	env := []string{"OS_AUTH_URL=" + a.AuthURL, "OS_USERNAME=" + a.Username, "OS_PASSWORD=" + a.Password, "OS_PROJECT_NAME=" + a.ProjectName,
		"OS_DOMAIN_ID=default", "OS_REGION_NAME=RegionOne", "OS_IDENTITY_API_VERSION=3",
		// What the tests ask of a cloud before they begin; those of networking use the
		// external network only.
		"OS_EXTGW_ID=" + c.external, "OS_POOL_NAME=public", "OS_NETWORK_NAME=private", "OS_IMAGE_ID=none", "OS_FLAVOR_ID=1", "OS_FLAVOR_ID_RESIZE=2",
		"OS_BRANCH=master", "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOTOOLCHAIN=local"}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		value, err := exec.CommandContext(ctx, "go", "env", name).Output()
		if err != nil {
			return fmt.Errorf("go env: %w", err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	args := []string{"test", "-json", "-count=1", "-p=1", "-timeout=20m", "-tags=fixtures acceptance"}
	if w.only != "" {
		args = append(args, "-run="+w.only)
	}
	w.dir = filepath.Join(w.dir, g.name())
	cmd := w.command(ctx, env, "go", append(args, "./"+gophercloudTests+"/...")...)
	out, err := cmd.Output()
	w.log.Write(out)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	return readGoTest(bytes.NewReader(out), gophercloudModule+"/"+gophercloudTests, w.results)
}

// event is a line of `go test -json`.
type event struct{ Action, Package, Test, Output string }

// readGoTest notes what `go test -json` reports of tests, not of their parts, which
// fail with them. Tests are named by their package below base. A package that fails
// without one of its tests, as one that does not build, is a failure too.
func readGoTest(in io.Reader, base string, r *results) error {
	said := map[string]*strings.Builder{}
	blamed := map[string]bool{} // packages with a failed test
	for d := json.NewDecoder(in); ; {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("go test -json: %w", err)
		}
		test, _, part := strings.Cut(e.Test, "/")
		name := strings.Trim(strings.TrimPrefix(e.Package, base)+"."+test, "/.")
		if said[name] == nil {
			said[name] = &strings.Builder{}
		}
		o, over := map[string]outcome{"pass": passed, "fail": failed, "skip": skipped}[e.Action]
		switch {
		case e.Action == "output":
			said[name].WriteString(e.Output)
		case !over || part:
		case test != "":
			r.add(name, o, said[name].String())
			blamed[e.Package] = blamed[e.Package] || o == failed
		case o == failed && !blamed[e.Package]:
			r.add(name, failed, said[name].String())
		}
	}
}
