package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// kernel is what there is in every network namespace of a host, line by line: the
// key names the namespace ("" is the host itself) and what the lines are about.
type kernel map[string][]string

// look reads the kernel: every object that weft may have made or touched, with
// what tells it from one made anew. Counters and clocks are left out. An error may
// only mean that a namespace went while it was looked into.
func look(t *testing.T) (kernel, error) {
	t.Helper()
	k := kernel{}
	for _, ns := range append([]string{""}, namespaces(t)...) {
		if err := k.add(ns); err != nil {
			return nil, fmt.Errorf("looking into namespace %q: %w", ns, err)
		}
	}
	return k, nil
}

// namespaces is the names of all network namespaces.
func namespaces(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(netns.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (k kernel) add(ns string) error {
	if ns != "" {
		id, err := netns.ID(ns)
		if err != nil {
			return err
		}
		k[ns+" inode"] = []string{fmt.Sprint(id)}
	}
	links, err := linksIn(ns)
	if err != nil {
		return err
	}
	for _, l := range links {
		k[ns+" links"] = append(k[ns+" links"], fmt.Sprintf("%+v", l))
	}
	for what, command := range map[string]string{
		" addresses":   "ip -o address show",
		" routes":      "ip route show table all",
		" IPv6 routes": "ip -6 route show table all",
		" rules":       "ip rule show",
		" neighbours":  "ip neighbour show nud permanent",
		" proxied":     "ip -6 neighbour show proxy",
		" forwarding":  "bridge fdb show",
		" firewall":    "nft -s list ruleset",
	} {
		if k[ns+what], err = linesOf(ns, command); err != nil {
			return err
		}
	}
	return nil
}

func linksIn(ns string) ([]link.Link, error) {
	open := link.Open
	if ns != "" {
		open = func() (*link.Handle, error) { return link.OpenIn(ns) }
	}
	h, err := open()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	return h.List()
}

// clocks are the parts of lines that change by themselves.
var clocks = regexp.MustCompile(` (valid_lft|preferred_lft|expires) \S+`)

func linesOf(ns, command string) ([]string, error) {
	text, err := outputIn(ns, command)
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(clocks.ReplaceAllString(line, ""), " \n")
		if strings.HasPrefix(command, "bridge fdb") && !strings.Contains(line, "permanent") && !strings.Contains(line, "static") {
			continue // learned
		}
		lines = append(lines, line)
	}
	if !strings.HasPrefix(command, "nft") {
		slices.Sort(lines)
	}
	return lines, nil
}

// outputIn runs a command in a namespace.
func outputIn(ns, command string) (string, error) {
	words := strings.Fields(command)
	cmd := exec.Command(words[0], words[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	var out []byte
	run := func() (err error) {
		out, err = cmd.Output()
		return err
	}
	var err error
	if ns == "" {
		err = run()
	} else {
		err = netns.Do(ns, run)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w %s", command, err, stderr.String())
	}
	return string(out), err
}
