package main

import (
	"io"
	"strings"
	"testing"
)

// What is wrong with a flag is said in words of ours.
func TestFlagErrors(t *testing.T) {
	for args, want := range map[string]string{
		"up --network-port abc":           `--network-port "abc" is not a number from 0 to 65535`,
		"up --network-port 70000":         `--network-port "70000" is not a number from 0 to 65535`,
		"plug --port x --tap --wait soon": `--wait "soon" is not a duration such as 30s or 5m`,
		"up --cleanup=perhaps":            `--cleanup "perhaps" is not true or false`,
		"up --no-such":                    "unknown flag: --no-such (weft up --help lists the flags)",
	} {
		c := command()
		c.SetArgs(strings.Fields(args))
		c.SetOut(io.Discard)
		if err := c.Execute(); err == nil || err.Error() != want {
			t.Errorf("weft %s: %v, want %s", args, err, want)
		}
	}
}
