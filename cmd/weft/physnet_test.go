package main

import (
	"slices"
	"testing"

	"github.com/weftnet/weft/internal/dataplane/link"
)

func TestMissingLinks(t *testing.T) {
	links := []link.Link{{Name: "lo"}, {Name: "eth0"}, {Name: "eth1"}, {Name: "brq1", Alias: "weft:network:1@c"}, {Name: "tap1"},
		{Name: "slave", Master: 3}}
	for _, c := range []struct {
		physnets map[string]string
		links    []link.Link
		missing  []string
		others   string
	}{
		{map[string]string{"public": "eth0"}, links, nil, "eth0, eth1"},
		{map[string]string{"public": "slave"}, links, nil, "eth0, eth1"},
		{map[string]string{"public": "eth9", "a": "eth8", "b": "eth1"}, links, []string{"a", "public"}, "eth0, eth1"},
		{map[string]string{"public": "eth9"}, links[:1], []string{"public"}, "none that could be meant"},
	} {
		missing, others := missingLinks(c.physnets, c.links)
		if !slices.Equal(missing, c.missing) || others != c.others {
			t.Errorf("%v: missing %q, others %q", c.physnets, missing, others)
		}
	}
}
