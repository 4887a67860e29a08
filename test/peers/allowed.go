package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed allowed
var lists embed.FS

// entry allows tests to fail or to be skipped.
type entry struct {
	outcome outcome
	test    string // a name; of those to be skipped it may end in * and is then a prefix
	reason  string
}

// allowed is a list of entries.
type allowed []entry

func (e entry) matches(test string) bool {
	prefix, open := strings.CutSuffix(e.test, "*")
	return open && strings.HasPrefix(test, prefix) || test == e.test
}

// readAllowed reads the list of a suite; without a file nothing is allowed.
func readAllowed(suite string) (allowed, error) {
	path := "allowed/" + suite + ".txt"
	data, err := lists.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := parseAllowed(string(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// parseAllowed reads lines "fail NAME  # reason" and "skip NAME*  # reason"; those
// that begin with # are comments. A reason may not be missing, nor may a failure be
// allowed to more than one test at once.
func parseAllowed(text string) (allowed, error) {
	var list allowed
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		what, reason, _ := strings.Cut(line, " # ")
		kind, test, _ := strings.Cut(strings.TrimSpace(what), " ")
		e := entry{test: strings.TrimSpace(test), reason: strings.TrimSpace(reason)}
		switch kind {
		case "fail":
			e.outcome = failed
		case "skip":
			e.outcome = skipped
		default:
			return nil, fmt.Errorf("neither fail nor skip: %s", line)
		}
		if e.reason == "" || e.test == "" {
			return nil, fmt.Errorf("without a test or a reason: %s", line)
		}
		if e.outcome == failed && strings.HasSuffix(e.test, "*") {
			return nil, fmt.Errorf("many failures at once: %s", line)
		}
		list = append(list, e)
	}
	return list, nil
}
