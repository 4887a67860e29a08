package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// outcome is what came of a test.
type outcome int

const (
	passed outcome = iota
	failed
	skipped
)

func (o outcome) String() string { return []string{"passed", "failed", "skipped"}[o] }

// result is what came of one test.
type result struct {
	test    string
	outcome outcome
	said    string // the reason of a skip; what a failure printed
}

// results are what came of the tests of a suite.
type results struct{ all []result }

func (r *results) add(test string, o outcome, said string) {
	r.all = append(r.all, result{test, o, strings.TrimSpace(said)})
}

func (r *results) count(o outcome) int {
	n := 0
	for _, t := range r.all {
		if t.outcome == o {
			n++
		}
	}
	return n
}

// verdict is how results compare with what is allowed.
type verdict struct {
	unexpected []result
	complaints []string
}

// judge compares. Unless the results are complete, entries that nothing needs are
// no fault.
func judge(r *results, list allowed, complete bool) *verdict {
	v := &verdict{}
	used := make([]bool, len(list))
	for _, t := range r.all {
		i := slices.IndexFunc(list, func(e entry) bool { return e.outcome == t.outcome && e.matches(t.test) })
		if i >= 0 {
			used[i] = true
		} else if t.outcome != passed {
			v.unexpected = append(v.unexpected, t)
		}
	}
	for i, e := range list {
		if complete && !used[i] {
			v.complain(fmt.Sprintf("allowed to be %s, but is not: %s", e.outcome, e.test))
		}
	}
	if r.count(passed) == 0 {
		v.complain("no test passed")
	}
	return v
}

func (v *verdict) complain(of ...string) { v.complaints = append(v.complaints, of...) }

func (v *verdict) good() bool { return len(v.unexpected) == 0 && len(v.complaints) == 0 }

// print tells what is not as it should be, and how many tests there were.
func (v *verdict) print(w io.Writer, name string, r *results) {
	for _, t := range v.unexpected {
		fmt.Fprintf(w, "%s %s\n", strings.ToUpper(t.outcome.String()), t.test)
		for line := range strings.Lines(t.said) {
			fmt.Fprint(w, "    "+line)
		}
		fmt.Fprintln(w)
	}
	for _, c := range v.complaints {
		fmt.Fprintln(w, c)
	}
	fmt.Fprintf(w, "%s: %d passed, %d failed, %d skipped\n", name, r.count(passed), r.count(failed), r.count(skipped))
}
