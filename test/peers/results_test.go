package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// summary is results as lines, without what failures said.
func summary(r *results) (out []string) {
	for _, t := range r.all {
		out = append(out, fmt.Sprint(t.outcome, " ", t.test))
	}
	return out
}

func TestReadStestr(t *testing.T) {
	const text = `{0} a.b.Class.test_one [0.012s] ... ok
{1} setUpClass (a.b.Other) ... SKIPPED: no compute service
{0} a.b.Class.test_two [id-1,smoke] [1.250s] ... FAILED

Captured traceback:
    MismatchError: 1 != 2
{0} a.b.Class.test_three ... SKIPPED: because
{1} a.b.Class.test_four [0.1s] ... inprogress

==============
Totals
==============
 - Failed: 1
`
	var r results
	if err := readStestr(strings.NewReader(text), &r); err != nil {
		t.Fatal(err)
	}
	want := []string{"passed a.b.Class.test_one", "skipped setUpClass (a.b.Other)", "failed a.b.Class.test_two [id-1,smoke]",
		"skipped a.b.Class.test_three", "failed a.b.Class.test_four"}
	if diff := cmp.Diff(want, summary(&r)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if said := r.all[2].said; !strings.Contains(said, "1 != 2") || strings.Contains(said, "Totals") {
		t.Errorf("the failure said %q", said)
	}
}

func TestReadGoTest(t *testing.T) {
	const text = `{"Action":"run","Package":"m/base/layer3","Test":"TestA"}
{"Action":"output","Package":"m/base/layer3","Test":"TestA","Output":"no router\n"}
{"Action":"fail","Package":"m/base/layer3","Test":"TestA/part"}
{"Action":"fail","Package":"m/base/layer3","Test":"TestA"}
{"Action":"pass","Package":"m/base/layer3","Test":"TestB"}
{"Action":"fail","Package":"m/base/layer3"}
{"Action":"skip","Package":"m/base","Test":"TestC"}
{"Action":"pass","Package":"m/base"}
{"Action":"build-output","ImportPath":"m/base/broken","Output":"undefined: x\n"}
{"Action":"fail","Package":"m/base/broken"}
{"Action":"skip","Package":"m/base/notests"}
`
	var r results
	if err := readGoTest(strings.NewReader(text), "m/base", "", &r); err != nil {
		t.Fatal(err)
	}
	want := []string{"failed layer3.TestA", "passed layer3.TestB", "skipped TestC", "failed broken"}
	if diff := cmp.Diff(want, summary(&r)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if said := r.all[0].said; said != "no router" {
		t.Errorf("the failure said %q", said)
	}
}

func TestJudge(t *testing.T) {
	list, err := parseAllowed(`
# a comment
fail a.fails  # Neutron's fails too
skip s.*  # needs a compute service
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		results  []result
		complete bool
		want     bool
	}{
		{"as allowed", []result{{"a.fails", failed, ""}, {"s.one", skipped, ""}, {"ok", passed, ""}}, true, true},
		{"one more fails", []result{{"a.fails", failed, ""}, {"b", failed, ""}, {"s.one", skipped, ""}, {"ok", passed, ""}}, true, false},
		{"one more is skipped", []result{{"a.fails", failed, ""}, {"s.one", skipped, ""}, {"t", skipped, ""}, {"ok", passed, ""}}, true, false},
		{"a failure is skipped", []result{{"a.fails", skipped, ""}, {"s.one", skipped, ""}, {"ok", passed, ""}}, true, false},
		{"a skip fails", []result{{"a.fails", failed, ""}, {"s.one", skipped, ""}, {"s.two", failed, ""}, {"ok", passed, ""}}, true, false},
		{"one passes now", []result{{"a.fails", passed, ""}, {"s.one", skipped, ""}, {"ok", passed, ""}}, true, false},
		{"none is skipped now", []result{{"a.fails", failed, ""}, {"s.one", passed, ""}, {"ok", passed, ""}}, true, false},
		{"only some were run", []result{{"ok", passed, ""}}, false, true},
		{"nothing passed", []result{{"a.fails", failed, ""}, {"s.one", skipped, ""}}, true, false},
		{"nothing ran", nil, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := judge(&results{c.results}, list, c.complete); got.good() != c.want {
				t.Errorf("good: %t, want %t; %+v", got.good(), c.want, got)
			}
		})
	}
}

func TestParseAllowed(t *testing.T) {
	for _, bad := range []string{"fail a.b", "fail a.b #", "fail a.*  # why", "pass a.b  # why", "fail  # why"} {
		if list, err := parseAllowed(bad); err == nil {
			t.Errorf("%q is taken for %+v", bad, list)
		}
	}
}

// The lists can be read, and only suites have one.
func TestLists(t *testing.T) {
	files, err := lists.ReadDir("allowed")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, s := range suites() {
		known[s.name()+".txt"] = true
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".txt")
		if !ok || !known[f.Name()] {
			t.Errorf("%s is of no suite", f.Name())
		}
		if _, err := readAllowed(name); err != nil {
			t.Error(err)
		}
	}
}
