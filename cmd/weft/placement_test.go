package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/weftnet/weft/internal/config"
)

// names is a resolver with an answer to each question.
type names struct {
	addresses []string
	lines     map[string][]string // of /etc/hosts, by address
	cname     string
}

var errUnknown = errors.New("no such host")

func (n names) LookupHost(context.Context, string) ([]string, error) {
	if len(n.addresses) == 0 {
		return nil, errUnknown
	}
	return n.addresses, nil
}

func (n names) LookupAddr(_ context.Context, address string) ([]string, error) {
	if len(n.lines[address]) == 0 {
		return nil, errUnknown
	}
	return n.lines[address], nil
}

func (n names) LookupCNAME(context.Context, string) (string, error) {
	if n.cname == "" {
		return "", errUnknown
	}
	return n.cname, nil
}

func TestCanonical(t *testing.T) {
	here := []string{"192.0.2.1"}
	for _, tt := range []struct {
		what string
		as   names
		want string
	}{
		{"nobody knows it", names{}, "node1"},
		{"a line of its own", names{here, map[string][]string{"192.0.2.1": {"node1.example.org.", "node1"}}, ""}, "node1.example.org"},
		{"the short name first", names{here, map[string][]string{"192.0.2.1": {"node1", "node1.example.org"}}, ""}, "node1.example.org"},
		{"another host's line", names{here, map[string][]string{"192.0.2.1": {"gateway.example.org"}}, ""}, "node1"},
		{"DNS", names{here, nil, "node1.example.net."}, "node1.example.net"},
		{"loopback", names{here, map[string][]string{"192.0.2.1": {"localhost"}}, "localhost."}, "node1"},
	} {
		if got := canonical(t.Context(), tt.as, "node1"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.want)
		}
	}
}

// Without root nothing outside is reached, and that is said at the start.
func TestAlone(t *testing.T) {
	if err := alone(config.Config{}); err != nil {
		t.Error(err)
	}
	for option, set := range map[string]func(*config.Config){
		"[identity] url":       func(c *config.Config) { c.Keystone.URL = "http://k" },
		"[nova] auth_url":      func(c *config.Config) { c.Nova.AuthURL = "http://k" },
		"[placement] auth_url": func(c *config.Config) { c.Placement.AuthURL = "http://k" },
	} {
		var c config.Config
		set(&c)
		if err := alone(c); err == nil || !strings.Contains(err.Error(), option) {
			t.Errorf("%s: %v", option, err)
		}
	}
}
