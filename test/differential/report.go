package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// explanation is a line of the file explained: REQUEST | DIFFERENCE | REASON. The
// first two are regular expressions for the request as its file has it and for the
// difference as it is printed.
type explanation struct {
	line       int
	request    *regexp.Regexp
	difference *regexp.Regexp
	reason     string
	used       bool
}

func readExplained(path string) ([]*explanation, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []*explanation
	for i, line := range strings.Split(string(data), "\n") {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := parseExplanation(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		e.line = i + 1
		out = append(out, e)
	}
	return out, nil
}

func parseExplanation(line string) (*explanation, error) {
	parts := strings.Split(line, " | ")
	if len(parts) != 3 || strings.TrimSpace(parts[2]) == "" {
		return nil, fmt.Errorf("want REQUEST | DIFFERENCE | REASON, have %q", line)
	}
	var e explanation
	for i, into := range []**regexp.Regexp{&e.request, &e.difference} {
		re, err := regexp.Compile(strings.TrimSpace(parts[i]))
		if err != nil {
			return nil, err
		}
		*into = re
	}
	e.reason = strings.TrimSpace(parts[2])
	return &e, nil
}

// report counts and prints.
type report struct {
	known                        []*explanation
	verbose                      bool
	noun                         string
	out                          strings.Builder
	requests, open, closed, here int
}

func (r *report) begin(noun string) { r.noun, r.here = noun, 0 }

func (r *report) say(format string, args ...any) {
	line := fmt.Sprintf(format+"\n", args...)
	r.out.WriteString(line)
	fmt.Print(line)
}

func (r *report) note(text string) { r.say("note: %s", text) }

// compare tells how the two answers to a request differ.
func (r *report) compare(rq request, neutron, weft outcome) {
	r.requests++
	if r.verbose {
		fmt.Printf("%s:%d %s\n   neutron %d %s\n   weft    %d %s\n", r.noun, rq.line, rq.again, neutron.Status, show(neutron), weft.Status, show(weft))
	}
	var lines []string
	for _, d := range differences(neutron, weft) {
		if r.explains(rq, d) {
			r.closed++
			continue
		}
		lines = append(lines, d)
	}
	if len(lines) == 0 {
		return
	}
	if r.here == 0 {
		r.say("\n## %s", r.noun)
	}
	r.here += len(lines)
	r.open += len(lines)
	r.say("%s:%d: %s", r.noun, rq.line, rq.again)
	for _, d := range lines {
		r.say("    %s", d)
	}
}

func (r *report) explains(rq request, difference string) bool {
	for _, e := range r.known {
		if e.request.MatchString(rq.again) && e.difference.MatchString(difference) {
			e.used = true
			return true
		}
	}
	return false
}

// finish prints the sums and returns the number of faults: differences that nothing
// explains and, after a run of everything, explanations of nothing.
func (r *report) finish(path string, all bool) (faults int, err error) {
	idle := 0
	for _, e := range r.known {
		if all && !e.used {
			idle++
			r.say("explained:%d explains nothing any more: %s", e.line, e.reason)
		}
	}
	r.say("\n%d requests, %d differences explained, %d unexplained, %d explanations of nothing", r.requests, r.closed, r.open, idle)
	if path != "" {
		err = os.WriteFile(path, []byte(r.out.String()), 0o644)
	}
	return r.open + idle, err
}

// show is an answer as it came, or as it is on record.
func show(o outcome) string {
	if o.raw != "" {
		return o.raw
	}
	return canonical(o.Body)
}
