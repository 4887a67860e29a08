package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/store"
)

// How users name what is not one cloud's id.
const (
	noCloud   = "none" // made by a weft from before clouds had ids
	allClouds = "all"
)

// named is clouds as users name them.
func named(cloud string) string {
	if cloud == "" {
		return noCloud
	}
	return cloud
}

// claim makes sure, before anything on the host is touched, that what wefts have left
// there is of this cloud. What a weft from before clouds had ids has left becomes
// this cloud's, and so does what is of the clouds that the user names.
func claim(ctx context.Context, db *store.DB, cloud string, adopt []string) error {
	root, err := link.Open()
	if err != nil {
		return fmt.Errorf("opening the host's interfaces: %w", err)
	}
	defer root.Close()
	found, err := agent.Survey(root)
	if err != nil {
		return fmt.Errorf("looking for other clouds on this host: %w", err)
	}
	delete(found, cloud)
	if older, ok := found[""]; ok && !slices.Contains(adopt, noCloud) {
		mine, err := knows(ctx, db, older.Networks)
		if err != nil {
			return err
		}
		if mine {
			adopt = append(adopt, noCloud)
		}
	}
	var from []string
	for _, other := range slices.Sorted(maps.Keys(found)) {
		if slices.Contains(adopt, named(other)) {
			say("%s becomes this cloud's, %s", described(other, found[other]), cloud)
			from = append(from, other)
			delete(found, other)
		}
	}
	if len(found) > 0 {
		return strangers(cloud, found)
	}
	return agent.Adopt(root, cloud, from...)
}

// knows reports whether the database may be that of these networks: it has one of
// them, or there are none.
func knows(ctx context.Context, db *store.DB, networks []string) (bool, error) {
	if len(networks) == 0 {
		return true, nil
	}
	var ids []any
	for _, id := range networks {
		ids = append(ids, id)
	}
	known, err := store.Networks.Find(db.Read(ctx, weft.SystemCaller("claim")), store.In("id", ids...))
	return len(known) > 0, err
}

// described is what a cloud has on the host, in words.
func described(cloud string, left agent.Left) string {
	whose := "of cloud " + cloud
	if cloud == "" {
		whose = "of a weft from before clouds had ids"
	}
	return fmt.Sprintf("what is on this host %s (interfaces: %d, network namespaces: %d)", whose, left.Interfaces, left.Namespaces)
}

// strangers is the refusal to start among what other clouds have left, with what can
// be done.
func strangers(cloud string, found map[string]agent.Left) error {
	var b strings.Builder
	fmt.Fprintf(&b, "this database is of cloud %s, and there is something else on this host's network:", cloud)
	for _, other := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(&b, "\n  %s", described(other, found[other]))
	}
	b.WriteString("\nNothing was touched; its packets flow on.")
	b.WriteString("\n- If this is the wrong state directory or database, start weft with the right one.")
	b.WriteString("\n- If the database was lost, put a backup of it in its place: it has the id of its cloud.")
	for _, other := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(&b, "\n- To remove it: weft up --cleanup --cloud %s", named(other))
		fmt.Fprintf(&b, "\n- To make it this cloud's, which removes what this database does not know: weft up --adopt %s", named(other))
	}
	return errors.New(b.String())
}
