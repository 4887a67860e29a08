package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// step is one migration. There is no way back.
type step struct {
	version int64
	name    string
	text    string // the same for both engines but for a few type names
}

// steps are all migrations, in order.
func steps() ([]step, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var out []step
	for _, name := range files {
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s has no number: %w", name, err)
		}
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		out = append(out, step{version, path.Base(name), string(text)})
	}
	slices.SortFunc(out, func(a, b step) int { return int(a.version - b.version) })
	return out, nil
}

// SchemaVersion is the version of the schema that this program works with.
func SchemaVersion() int64 {
	all, err := steps()
	if err != nil || len(all) == 0 {
		return 0
	}
	return all[len(all)-1].version
}

// NewerSchemaError says that the database belongs to a later release. This program
// would write what that one does not expect, and not write what it relies on.
type NewerSchemaError struct{ Database, Program int64 }

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("the database has schema %d, and this weft knows no later one than %d: run the weft that last used it "+
		"or a later one, or restore a backup from before that", e.Database, e.Program)
}

// migrate runs the migrations that have not run, all in one transaction under the
// writer lock. So servers that start together do it once, a migration that fails
// leaves the database as it was, and nobody writes to a schema that is half changed.
func (db *DB) migrate(ctx context.Context) error {
	all, err := steps()
	if err != nil {
		return err
	}
	conn, err := db.dialect.unhurried(ctx, db)
	if err != nil {
		return err
	}
	w := &writer{conn: conn, stmts: map[string]*sql.Stmt{}}
	defer w.close()
	tx := &Tx{ctx: ctx, db: db, writer: w}
	// What is up to date needs no turn.
	if missing, err := tx.missing(all); err != nil || len(missing) == 0 {
		return err
	}
	if err := w.control(ctx, db.dialect.begin()); err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	if err := tx.migrate(all); err != nil {
		return errors.Join(err, w.control(ctx, "ROLLBACK"))
	}
	return w.control(ctx, "COMMIT")
}

func (tx *Tx) migrate(all []step) error {
	if err := tx.db.dialect.lockWriter(tx); err != nil {
		return fmt.Errorf("waiting for the writer lock: %w", err)
	}
	missing, err := tx.missing(all) // another server may have been faster
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := tx.runOnce(versionsTable); err != nil {
		return err
	}
	for _, s := range missing {
		if err := tx.run(s); err != nil {
			return err
		}
	}
	return nil
}

// versionsTable keeps which migrations a database has had. The name is from when
// goose ran them, and databases of that time have a column more.
const versionsTable = `CREATE TABLE IF NOT EXISTS goose_db_version (
  version_id BIGINT NOT NULL, is_applied BOOLEAN NOT NULL, tstamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
)`

// missing are the migrations that the database has not had.
func (tx *Tx) missing(all []step) ([]step, error) {
	have, err := tx.schema()
	if err != nil {
		return nil, fmt.Errorf("reading the version of the schema: %w", err)
	}
	if last := all[len(all)-1].version; have > last {
		return nil, &NewerSchemaError{Database: have, Program: last}
	}
	i := slices.IndexFunc(all, func(s step) bool { return s.version > have })
	if i < 0 {
		return nil, nil
	}
	return all[i:], nil
}

// schema is the version of the database's schema, 0 where there is none.
func (tx *Tx) schema() (version int64, err error) {
	found, err := tx.QueryRow(tx.db.dialect.tableNamed(), []any{"goose_db_version"}, new(string))
	if err == nil && found {
		_, err = tx.QueryRow("SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version WHERE is_applied", nil, &version)
	}
	return version, err
}

func (tx *Tx) run(s step) error {
	for _, statement := range strings.Split(tx.db.dialect.ddl(s.text), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if err := tx.runOnce(statement); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	_, err := tx.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, ?)", s.version, true)
	return err
}

// runOnce runs a statement that will not come again.
func (tx *Tx) runOnce(statement string) error {
	if _, err := tx.writer.conn.ExecContext(tx.ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", head(strings.TrimSpace(statement)), err)
	}
	return nil
}
