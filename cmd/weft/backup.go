package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weftnet/weft/internal/store"
)

func backupCommand() *cobra.Command {
	dir := defaultStateDir()
	cmd := &cobra.Command{
		Use:   "backup FOLDER",
		Short: "Copy what weft keeps into a new folder, while it runs or not",
		Long: "Copy what weft keeps into a new folder, while it runs or not. The folder is a state\n" +
			"directory: to restore it, put it in the place of the old one and start weft.\n" +
			"A database elsewhere is not in it: PostgreSQL has pg_dump.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return backup(cmd.Context(), dir, stateDir(filepath.Clean(args[0])))
		},
	}
	dir.register(cmd, "folder to copy")
	return cmd
}

// backup fills the folder under another name first, so that what has the name of a
// backup is a whole one.
func backup(ctx context.Context, from, to stateDir) error {
	if _, err := os.Lstat(string(to)); err == nil {
		return fmt.Errorf("%s exists already", to)
	}
	temp, err := os.MkdirTemp(filepath.Dir(string(to)), ".new-backup-") // mode 0700
	if err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := copyState(ctx, from, stateDir(temp)); err != nil {
		return err
	}
	if err := os.Rename(temp, string(to)); err != nil {
		return fmt.Errorf("naming the folder: %w", err)
	}
	say("%s is in %s", from, to)
	return nil
}

func copyState(ctx context.Context, from, to stateDir) error {
	if err := store.Backup(ctx, from.database(), to.database()); err != nil {
		return fmt.Errorf("copying the database: %w", err)
	}
	for _, pair := range [][2]string{{from.clouds(), to.clouds()}, {from.secret(), to.secret()}} {
		data, err := os.ReadFile(pair[0])
		if errors.Is(err, os.ErrNotExist) {
			continue // weft makes it anew, or never had one
		}
		if err == nil {
			err = writePrivate(pair[1], data)
		}
		if err != nil {
			return fmt.Errorf("copying %s: %w", pair[0], err)
		}
	}
	return nil
}
