package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/weftnet/weft/internal/store"
)

// version tells the builds of weft apart: which commit, which form of the database,
// which Go. A build from a folder without git knows no commit. It follows the words
// "weft version": another wording would take a template, and those keep the linker
// from leaving out what nobody calls, a sixth of the program.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	commit := set["vcs.revision"]
	if commit == "" {
		commit = "unknown"
	}
	if set["vcs.modified"] == "true" {
		commit += " with changes"
	}
	made, _, _ := strings.Cut(set["vcs.time"], "T")
	return fmt.Sprintf("%s\ncommit %s %s\nschema %d\n%s", info.Main.Version, commit, made, store.SchemaVersion(), info.GoVersion)
}
