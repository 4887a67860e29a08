package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// file is the requests about one noun.
type file struct {
	noun     string
	requests []request
}

// request is a request as it stands in a file:
//
//	alice POST /v2.0/networks {"network": {"name": "n"}} as net
//
// The first word is who asks; a header goes in brackets after the path, [If-Match:
// revision_number=1]; lines that begin with white space continue the line before, #
// begins a comment. "as NAME" keeps the noun of the answer; $NAME.a.b or ${NAME.a.b}
// is then a value in it, in the lines below. $A, $B, $C and $ADMIN are projects, $RUN
// is a word that other runs do not have, $NONE is an id that nothing has.
type request struct {
	line                     int
	who, method, path, body  string
	header, value, as, again string // again: the text, to tell
}

var (
	asking   = regexp.MustCompile(`^(\w+) ([A-Z]+) (\S+)(?: \[([\w-]+): ([^\]]*)\])?(?: (.*?))??(?: as (\w+))?$`)
	variable = regexp.MustCompile(`\$\{[\w.:-]+\}|\$[A-Za-z]\w*(?:\.[\w:-]+)*`)
)

func parseRequests(text string) ([]request, error) {
	var lines []request
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case line[0] == ' ' || line[0] == '\t':
			if len(lines) == 0 {
				return nil, fmt.Errorf("line %d continues nothing", i+1)
			}
			lines[len(lines)-1].again += " " + strings.TrimSpace(line)
		default:
			lines = append(lines, request{line: i + 1, again: strings.TrimSpace(line)})
		}
	}
	for i := range lines {
		m := asking.FindStringSubmatch(lines[i].again)
		if m == nil {
			return nil, fmt.Errorf("line %d is no request: %s", lines[i].line, lines[i].again)
		}
		lines[i] = request{line: lines[i].line, again: lines[i].again, who: m[1], method: m[2], path: m[3], header: m[4], value: m[5], body: m[6], as: m[7]}
	}
	return lines, nil
}

// vars are what answers left behind.
type vars map[string]any

// fill puts values in the place of their names.
func (v vars) fill(s string) (string, error) {
	var bad error
	out := variable.ReplaceAllStringFunc(s, func(ref string) string {
		x, ok := v.get(strings.Trim(ref, "${}"))
		if !ok {
			bad = fmt.Errorf("there is no %s", ref)
		}
		if n, number := x.(float64); number {
			return strconv.FormatFloat(n, 'f', -1, 64)
		}
		return fmt.Sprint(x)
	})
	return out, bad
}

func (v vars) get(ref string) (any, bool) {
	path := strings.Split(ref, ".")
	x, ok := v[path[0]]
	for _, name := range path[1:] {
		switch have := x.(type) {
		case map[string]any:
			x, ok = have[name], ok && have[name] != nil
		case []any:
			i, err := strconv.Atoi(name)
			if ok = ok && err == nil && i < len(have); ok {
				x = have[i]
			}
		default:
			ok = false
		}
	}
	return x, ok
}
