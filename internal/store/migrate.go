package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate runs the migrations that have not run, in order; there is no way back.
// The texts are the same for both engines but for a few type names.
func (db *DB) migrate(ctx context.Context) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	var steps []*goose.Migration
	for _, name := range files {
		step, err := db.step(name)
		if err != nil {
			return err
		}
		steps = append(steps, step)
	}
	dialect := goose.DialectSQLite3
	if db.dialect.name() == "postgresql" {
		dialect = goose.DialectPostgres
	}
	p, err := goose.NewProvider(dialect, db.write, nil, goose.WithGoMigrations(steps...), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

func (db *DB) step(name string) (*goose.Migration, error) {
	number, _, _ := strings.Cut(path.Base(name), "_")
	version, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("migration %s has no number: %w", name, err)
	}
	text, err := migrations.ReadFile(name)
	if err != nil {
		return nil, err
	}
	up := func(ctx context.Context, tx *sql.Tx) error {
		for _, statement := range strings.Split(db.dialect.ddl(string(text)), ";\n") {
			if strings.TrimSpace(statement) == "" {
				continue
			}
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%s: %s: %w", name, head(statement), err)
			}
		}
		return nil
	}
	return goose.NewGoMigration(version, &goose.GoFunc{RunTx: up}, nil), nil
}
