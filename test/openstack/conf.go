package main

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed conf
var confFiles embed.FS

// password is that of every user of the stack.
const password = "secret"

// hostName is this machine's, Nova's and weft's name for the only host.
const hostName = "stack1"

// settings are what the configuration files are filled in with.
type settings struct {
	Dir, Host, Driver string
}

// configure writes the configuration of every service.
func (s *stack) configure() error {
	all, err := template.ParseFS(confFiles, "conf/*")
	if err != nil {
		return err
	}
	files, err := confFiles.ReadDir("conf")
	if err != nil {
		return err
	}
	for _, f := range files {
		if filepath.Ext(f.Name()) != ".conf" {
			continue
		}
		var out bytes.Buffer
		if err := all.ExecuteTemplate(&out, f.Name(), settings{s.dir, hostName, s.driver}); err != nil {
			return fmt.Errorf("configuration: %w", err)
		}
		if err := os.WriteFile(s.conf(f.Name()), out.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// conf is the path of a configuration file.
func (s *stack) conf(name string) string { return filepath.Join(s.dir, "etc", name) }
