package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
)

// saidAtMost is how much is kept of what a failure printed; the log has all of it.
const saidAtMost = 60

// reportLine is how stestr tells of one test:
//
//	{1} package.module.Class.test_it [0.012s] ... ok
//	{0} setUpClass (package.module.Class) ... SKIPPED: because
//
// What a failure printed follows its line.
var reportLine = regexp.MustCompile(`^\{\d+\} (.+?)(?: \[[0-9.]+s\])? \.\.\. (ok|FAILED|SKIPPED|inprogress)(?:: (.*))?$`)

// readStestr notes what stestr, or tempest in its name, reports.
func readStestr(in io.Reader, r *results) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	var said *strings.Builder
	var left int
	failing := ""
	flush := func() {
		if said != nil {
			r.add(failing, failed, said.String())
			said = nil
		}
	}
	for lines.Scan() {
		line := lines.Text()
		m := reportLine.FindStringSubmatch(line)
		switch {
		case m == nil && strings.HasPrefix(line, "======"):
			flush() // the summary
		case m == nil && said != nil && left > 0 && line != "":
			fmt.Fprintln(said, line)
			left--
		case m == nil:
		case m[2] == "ok":
			flush()
			r.add(m[1], passed, "")
		case m[2] == "SKIPPED":
			flush()
			r.add(m[1], skipped, m[3])
		default:
			flush()
			failing, said, left = m[1], &strings.Builder{}, saidAtMost
		}
	}
	flush()
	return lines.Err()
}

// runStestr runs a command that reports as stestr does. Its exit status only has to
// agree with what it reported: one that says failure without a failed test did not
// run its tests.
func runStestr(cmd *exec.Cmd, w work) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	before := w.results.count(failed)
	readErr := readStestr(io.TeeReader(out, w.log), w.results)
	io.Copy(w.log, out)
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && w.results.count(failed) > before {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%s reports no failure, but: %w", strings.Join(cmd.Args, " "), err)
	}
	return readErr
}

// functional is the functional tests that a Debian package of a client brings along.
type functional struct {
	suite   string
	program string // whose package has the tests
	parts   []part
	cloud   string // that all programs are told to use; empty: the tests tell them
	env     []string
	workers int
	offers  []string // types of services that the tests want in the catalogue
}

// part is the tests of one folder that match a regular expression.
type part struct{ folder, regex string }

// packages is where Debian puts Python packages.
const packages = "/usr/lib/python3/dist-packages"

func (f functional) name() string { return f.suite }

func (f functional) prepare(context.Context, string) error { return has("stestr", f.program) }

func (f functional) play(ctx context.Context, c *cloud, w work) error {
	clouds, err := c.devstackClouds()
	if err != nil {
		return err
	}
	env := append([]string{"OS_CLIENT_CONFIG_FILE=" + clouds}, f.env...)
	if f.cloud != "" {
		env = append(env, "OS_CLOUD="+f.cloud)
	}
	if len(f.offers) > 0 {
		stop, err := c.offer(ctx, f.offers, func(args ...string) *exec.Cmd { return w.command(ctx, env, "openstack", args...) })
		if err != nil {
			return err
		}
		defer stop()
	}
	for _, p := range f.parts {
		regex := p.regex
		if w.only != "" {
			regex = w.only
		}
		cmd := w.command(ctx, env, "stestr", "--test-path", packages+"/"+p.folder, "--top-dir", packages, "--group_regex", `([^\.]+\.)+`,
			"run", "--concurrency", fmt.Sprint(f.workers), regex)
		if err := runStestr(cmd, w); err != nil {
			return err
		}
	}
	return nil
}

// openstackclient is run with something that passes for a compute service: of the
// commands that ask every service, as `openstack extension list`, some give up when
// there is none. Of the common tests those are run that are about networks.
func openstackclient() suite {
	return functional{suite: "openstackclient", program: "openstack", cloud: "devstack-admin", workers: 3,
		offers: []string{"compute"}, parts: []part{
			{"openstackclient/tests/functional/network", "."},
			{"openstackclient/tests/functional/common",
				`(test_extension_(list_network|show_network)|QuotaTests\.test_quota_(list_network_option|network_set_with.*))$`},
		}}
}

// openstacksdk is run by one worker, as its authors do: its tests give the same
// names to things in different processes. Of the cloud layer only that is run which
// needs no compute service. Those of floating IPs want a DNS service in the catalogue,
// and never ask it.
func openstacksdk() suite {
	return functional{suite: "openstacksdk", program: "openstack", cloud: "devstack-admin", workers: 1, offers: []string{"dns"},
		env: []string{"OS_TEST_TIMEOUT=60"}, parts: []part{
			{"openstack/tests/functional/network", "."},
			{"openstack/tests/functional/cloud", `test_(network|port|qos_\w+|quotas\.TestNetworkQuotas|router|security_groups)\.`},
		}}
}

// neutronclient runs the program neutron, which upstream has given up and many
// scripts have not, as users that the tests choose.
func neutronclient() suite {
	return functional{suite: "neutronclient", program: "neutron", workers: 2,
		env: []string{"OS_NEUTRONCLIENT_EXEC_DIR=/usr/bin"}, parts: []part{
			{"neutronclient/tests/functional/core", "."},
		}}
}
