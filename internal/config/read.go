package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/ini.v1"
)

// Load reads a file; what it does not say is as in Default. The error tells
// everything that is wrong with the file, by file, section and key: options that do
// not exist, that are given twice, whose values cannot be, or do not fit together.
func Load(path string, root bool) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := parse(data)
	if err != nil {
		return Config{}, prefixed(path, err)
	}
	c.finish(root)
	if c.PolicyFile != "" && !filepath.IsAbs(c.PolicyFile) {
		c.PolicyFile = filepath.Join(filepath.Dir(path), c.PolicyFile)
	}
	if err := c.Validate(); err != nil {
		return Config{}, prefixed(path, err)
	}
	return c, nil
}

// prefixed puts the name of the file before every part of an error.
func prefixed(path string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s: %w", path, err)
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, fmt.Errorf("%s: %w", path, e))
	}
	return errors.Join(errs...)
}

// parse reads the text of a file over the defaults.
func parse(data []byte) (Config, error) {
	// As oslo.config has it: a # within a value belongs to it, a line that begins
	// with a blank goes on with the one before, keys may be given twice (which is
	// then refused here, rather than one of them lost).
	file, err := ini.LoadSources(ini.LoadOptions{
		IgnoreInlineComment: true, IgnoreContinuation: true, AllowPythonMultilineValues: true,
		AllowShadows: true, AllowDuplicateShadowValues: true, KeyValueDelimiters: "=",
	}, data)
	if err != nil {
		return Config{}, err
	}
	c := initial()
	known := map[string]option{}
	for _, o := range options() {
		known[o.name()] = o
	}
	var errs []error
	for _, section := range file.Sections() {
		for _, key := range section.Keys() {
			if err := apply(&c, known, section.Name(), key); err != nil {
				errs = append(errs, fmt.Errorf("[%s] %s: %w", section.Name(), key.Name(), err))
			}
		}
	}
	return c, errors.Join(errs...)
}

func apply(c *Config, known map[string]option, section string, key *ini.Key) error {
	o, ok := known["["+section+"] "+key.Name()]
	if !ok {
		return unknown(known, section, key.Name())
	}
	if len(key.ValueWithShadows()) > 1 {
		return errors.New("given twice")
	}
	return o.set(c, strings.TrimSpace(key.Value()))
}

// unknown says where the key is known, if anywhere.
func unknown(known map[string]option, section, key string) error {
	var elsewhere []string
	for _, o := range options() {
		if o.key == key && o.section != section {
			elsewhere = append(elsewhere, "["+o.section+"]")
		}
	}
	if len(elsewhere) > 0 {
		return fmt.Errorf("there is no such option here, but in %s", strings.Join(elsewhere, " and "))
	}
	return errors.New("there is no such option")
}
