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
	"strings"
)

// goModule is a module with tests in it, of one version and content. It is no
// dependency of weft.
type goModule struct{ path, version, sum string }

// copy makes a copy of the module in a folder, since its tests build in a tree of
// their own only, and fetches what it depends on.
func (m goModule) copy(ctx context.Context, tree string) error {
	from, err := m.download(ctx)
	if err != nil {
		return err
	}
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
func (m goModule) download(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", m.path+"@"+m.version)
	cmd.Dir = os.TempDir() // in no module: it is none of weft's business
	out, err := cmd.Output()
	var got struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &got); got.Error != "" || jsonErr != nil {
		err = errors.Join(err, jsonErr, errors.New(got.Error))
	}
	if err != nil {
		return "", fmt.Errorf("go mod download: %w", err)
	}
	if got.Sum != m.sum {
		return "", fmt.Errorf("%s@%s is %s, not %s", m.path, m.version, got.Sum, m.sum)
	}
	return got.Dir, nil
}

// goTest runs tests of the copy of a module, without a network to fetch anything
// from, and notes their outcomes under names below base. What they print is logged.
func goTest(ctx context.Context, w work, env []string, base, prefix string, args ...string) error {
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		value, err := exec.CommandContext(ctx, "go", "env", name).Output()
		if err != nil {
			return fmt.Errorf("go env: %w", err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	env = append(env, "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOTOOLCHAIN=local")
	cmd := w.command(ctx, env, "go", append([]string{"test", "-json", "-count=1"}, args...)...)
	out, err := cmd.Output()
	w.log.Write(out)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	return readGoTest(bytes.NewReader(out), base, prefix, w.results)
}

// event is a line of `go test -json`.
type event struct{ Action, Package, Test, Output string }

// readGoTest notes what `go test -json` reports of tests, not of their parts, which
// fail with them. Tests are named by their package below base, behind a prefix. A package that fails
// without one of its tests, as one that does not build, is a failure too.
func readGoTest(in io.Reader, base, prefix string, r *results) error {
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
		name := prefix + strings.Trim(strings.TrimPrefix(e.Package, base)+"."+test, "/.")
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
