package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/weftnet/weft"

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath string
	Doc        string
	Imports    []string
	GoFiles    []string
}

func (p pkg) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,GoFiles", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// rule forbids packages with one prefix to import packages with another.
type rule struct {
	from, to string
	except   []string // prefixes of allowed imports below to
	reason   string
}

var rules = []rule{
	{"", "internal/", nil, "the nouns know nothing of how they are stored, shown or realised"},
	{"internal/agent", "internal/store", nil, "agents know what a host must be, not where that is written"},
	{"internal/agent", "internal/core", nil, "agents do not take decisions of the server"},
	{"internal/agent", "internal/l3", nil, "agents do not take decisions of the server"},
	{"internal/agent", "internal/secgroup", nil, "agents do not take decisions of the server"},
	{"internal/agent", "internal/api", nil, "agents do not speak REST"},
	{"internal/agent", "internal/feed", nil, "agents take a Source; who feeds them is wired in cmd/weft"},
	{"internal/host", "internal/", nil, "the state of a host is values only"},
	{"internal/dataplane", "internal/", []string{"internal/dataplane", "internal/agent/hosttest", "internal/needs"},
		"what applies a change to the kernel does not know why"},
	{"internal/store", "internal/", []string{"internal/needs", "internal/fair"},
		"the store keeps nouns; rules about them are in the services"},
	{"internal/core", "internal/api", nil, "services do not know how they are called"},
	{"internal/core", "internal/l3", nil, "core offers hooks; l3 is wired to them in internal/cloud"},
	{"internal/core", "internal/secgroup", nil, "core offers hooks; secgroup is wired to them in internal/cloud"},
	{"internal/l3", "internal/api", nil, "services do not know how they are called"},
	{"internal/l3", "internal/core", nil, "siblings meet through the interfaces they declare"},
	{"internal/secgroup", "internal/core", nil, "siblings meet through the interfaces they declare"},
	{"internal/core", "internal/qos", nil, "core offers hooks; qos is wired to them in internal/cloud"},
	{"internal/qos", "internal/core", nil, "siblings meet through the interfaces they declare"},
	{"internal/qos", "internal/api", nil, "services do not know how they are called"},
	{"internal/l3", "internal/flavor", nil, "siblings meet through the hooks they declare"},
	{"internal/flavor", "internal/", []string{"internal/store"}, "flavors stand for kinds of services; they know none of them"},
	{"internal/sharing", "internal/", []string{"internal/store"}, "services share by it; it knows none of them"},
	{"internal/ml2", "internal/core", nil, "drivers do not know who asks them"},
	{"internal/api", "internal/agent", nil, "the API never touches a host"},
	{"internal/api", "internal/dataplane", nil, "the API never touches a host"},
	{"internal/feed", "internal/agent", nil, "the feed serves any realiser of a host"},
	{"internal/authtoken", "internal/", nil, "the gate judges tokens, wherever they come from"},
	{"internal/keystone", "internal/", []string{"internal/authtoken", "internal/peer"},
		"what knows tokens does not know what they are for"},
	{"internal/peer", "internal/", nil, "who asks other services does not know what for"},
	{"internal/nova", "internal/", []string{"internal/store", "internal/peer"}, "what Nova is told follows from the log alone"},
	{"internal/body", "internal/", nil, "bodies are read before anybody knows what they are for"},
	{"internal/accord", "internal/", nil, "an accord is about terms, whatever they are"},
	{"internal/placement/tree", "internal/", nil, "what Placement must have follows from what agents report"},
	{"internal/placement", "internal/", []string{"internal/peer", "internal/placement", "internal/store"},
		"Placement is told of agents; services ask it by the interfaces they declare"},
	{"internal/qos", "internal/placement", nil, "services do not know who keeps allocations"},
	{"internal/policy", "internal/", nil, "policy judges values it is given"},
}

// within reports whether a package is the given one or below it. The root package
// is only itself.
func within(name, prefix string) bool {
	if prefix == "" {
		return name == ""
	}
	return name == strings.TrimSuffix(prefix, "/") || strings.HasPrefix(name, strings.TrimSuffix(prefix, "/")+"/")
}

func (r rule) refuses(from, to string) bool {
	if !within(from, r.from) || !within(to, r.to) || within(to, r.from) && r.from != "" {
		return false
	}
	for _, e := range r.except {
		if within(to, e) {
			return false
		}
	}
	return true
}

func TestDependencies(t *testing.T) {
	for _, p := range list(t) {
		for _, imp := range p.Imports {
			to, ok := strings.CutPrefix(imp, module+"/")
			if !ok {
				continue
			}
			for _, r := range rules {
				if r.refuses(p.name(), to) {
					t.Errorf("%q imports %s: %s", p.name(), to, r.reason)
				}
			}
		}
	}
}

// A rule that can refuse nothing keeps nothing.
func TestRulesRefuse(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"internal/agent/dhcp", "internal/store", true},
		{"internal/agent/dhcp", "internal/dataplane/link", false},
		{"internal/agent/l3", "internal/agent/wire", false},
		{"", "internal/store", true},
		{"internal/host", "internal/store", true},
		{"internal/core", "internal/l3", true},
		{"internal/api", "internal/core", false},
		{"internal/dataplane/nft", "internal/dataplane/netns", false},
		{"internal/dataplane/nft", "internal/host", true},
		{"internal/storehouse", "internal/api", false},
	} {
		got := false
		for _, r := range rules {
			got = got || r.refuses(c.from, c.to)
		}
		if got != c.want {
			t.Errorf("%q -> %q refused: %t", c.from, c.to, got)
		}
	}
}

func TestEveryPackageSaysWhy(t *testing.T) {
	for _, p := range list(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("package %q has no doc comment", p.name())
		}
	}
}

func TestNoDrawers(t *testing.T) {
	for _, p := range list(t) {
		for _, part := range strings.Split(p.name(), "/") {
			switch part {
			case "util", "utils", "common", "helpers", "misc":
				t.Errorf("package %q: a name that says nothing", p.name())
			}
		}
	}
}
