package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// wanted is what a flag of a type takes, in words.
var wanted = map[string]string{
	"uint16":   "a number from 0 to 65535",
	"duration": "a duration such as 30s or 5m",
	"bool":     "true or false",
}

// flagError says what a flag takes, in the place of what Go's parsers say.
func flagError(cmd *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) {
		if want := wanted[bad.GetFlag().Value.Type()]; want != "" {
			return fmt.Errorf("--%s %q is not %s", bad.GetFlag().Name, bad.GetValue(), want)
		}
	}
	return fmt.Errorf("%w (%s --help lists the flags)", err, cmd.CommandPath())
}
