package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/weftnet/weft"
)

// Tx is a transaction, or for DB.Read the newest snapshot at each statement.
// Caller is on whose behalf it runs; changes are logged under that name.
type Tx struct {
	Caller *weft.Caller

	ctx    context.Context
	db     *DB
	writer *writer           // of Update
	view   *sql.Tx           // of View
	loaded map[string][]byte // documents as read in this transaction, by noun and id
	logged int               // entries appended to the change log
}

// Context is the context of the request.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Now is the time of the transaction.
func (tx *Tx) Now() time.Time { return tx.db.now().UTC() }

// Exec runs a fixed statement with ? placeholders and returns how many rows it
// changed.
func (tx *Tx) Exec(text string, args ...any) (int64, error) {
	if tx.writer == nil {
		return 0, errors.New("a write outside DB.Update")
	}
	st, err := tx.writer.stmt(tx.ctx, tx.db.dialect.placeholders(text))
	if err != nil {
		return 0, tx.failed(text, err)
	}
	res, err := st.ExecContext(tx.ctx, args...)
	if err != nil {
		return 0, tx.failed(text, err)
	}
	return res.RowsAffected()
}

// Query runs a query with ? placeholders and calls each with a scan function for
// every row. Texts should be few: they are kept prepared.
func (tx *Tx) Query(text string, args []any, each func(scan func(...any) error) error) error {
	rows, err := tx.rows(true, text, args)
	if err != nil {
		return tx.failed(text, err)
	}
	return tx.eachRow(rows, text, each)
}

// queryOnce is Query for texts composed for one request. The first few of them are
// kept prepared too: clients ask for the same things again and again.
func (tx *Tx) queryOnce(text string, args []any, each func(scan func(...any) error) error) error {
	rows, err := tx.rows(false, text, args)
	if err != nil {
		return tx.failed(text, err)
	}
	return tx.eachRow(rows, text, each)
}

func (tx *Tx) eachRow(rows *sql.Rows, text string, each func(scan func(...any) error) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return tx.failed(text, err)
	}
	return nil
}

// QueryRow runs a query and scans its first row; found is false if there is none.
func (tx *Tx) QueryRow(text string, args []any, dest ...any) (found bool, err error) {
	rows, err := tx.rows(true, text, args)
	if err != nil {
		return false, tx.failed(text, err)
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return false, tx.failed(text, err)
		}
		return false, nil
	}
	return true, rows.Scan(dest...)
}

// Exists reports whether a query returns any row.
func (tx *Tx) Exists(text string, args ...any) (bool, error) {
	var one int
	return tx.QueryRow("SELECT 1 FROM ("+text+" LIMIT 1) x", args, &one)
}

// IDs is the values of a query of one text column, the first hundred.
func (tx *Tx) IDs(text string, args ...any) ([]string, error) {
	var out []string
	err := tx.Query(text+" LIMIT 100", args, func(scan func(...any) error) error {
		var v string
		err := scan(&v)
		out = append(out, v)
		return err
	})
	return out, err
}

// failed is an error of a statement as callers get it.
func (tx *Tx) failed(text string, err error) error {
	if tx.writer == nil {
		err = tx.db.readFailed(err)
	} else {
		err = tx.db.judge(err)
	}
	return fmt.Errorf("%s: %w", head(text), err)
}

func (tx *Tx) rows(fixed bool, text string, args []any) (*sql.Rows, error) {
	rows, err := tx.ask(fixed, text, args)
	if err == nil && tx.writer == nil {
		tx.db.works(tx.db.reading)
	}
	return rows, err
}

func (tx *Tx) ask(fixed bool, text string, args []any) (*sql.Rows, error) {
	text = tx.db.dialect.placeholders(text)
	switch {
	case tx.view != nil:
		return tx.view.QueryContext(tx.ctx, text, args...)
	case tx.writer != nil && fixed:
		st, err := tx.writer.stmt(tx.ctx, text)
		if err != nil {
			return nil, err
		}
		return st.QueryContext(tx.ctx, args...)
	case tx.writer != nil:
		return tx.writer.conn.QueryContext(tx.ctx, text, args...)
	case fixed || tx.db.roomFor(text):
		st, err := tx.db.readStmt(tx.ctx, text)
		if err != nil {
			return nil, err
		}
		return st.QueryContext(tx.ctx, args...)
	default:
		return tx.db.read.QueryContext(tx.ctx, text, args...)
	}
}

// composed is how many texts composed for requests are kept prepared, on each
// connection. One takes some 10 kB.
const composed = 64

// roomFor reports whether a composed text is kept prepared, or can be from now on.
func (db *DB) roomFor(text string) bool {
	if _, ok := db.stmts.Load(text); ok {
		return true
	}
	return db.composed.Load() < composed && db.composed.Add(1) <= composed
}

func (db *DB) readStmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if st, ok := db.stmts.Load(text); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := db.read.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if other, raced := db.stmts.LoadOrStore(text, st); raced {
		st.Close()
		return other.(*sql.Stmt), nil
	}
	return st, nil
}

func head(text string) string {
	if len(text) > 60 {
		return text[:60] + "…"
	}
	return text
}
