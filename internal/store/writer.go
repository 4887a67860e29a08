package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
)

// writer is the one connection of this process that writes, with the statements
// prepared on it. It is used under DB.writer only.
type writer struct {
	conn   *sql.Conn
	stmts  map[string]*sql.Stmt
	broken error // of a begin, commit or rollback: the connection is not to be reused
}

func (db *DB) writerConn(ctx context.Context) (*writer, error) {
	if db.conn != nil {
		return db.conn, nil
	}
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	db.conn = &writer{conn: conn, stmts: map[string]*sql.Stmt{}}
	return db.conn, nil
}

// discard gives up the connection of the writer; the next to write makes another.
func (db *DB) discard() {
	db.conn.close()
	db.conn = nil
}

func (w *writer) close() {
	for _, st := range w.stmts {
		st.Close()
	}
	// Not back into the pool: this is database/sql's way to discard a connection.
	w.conn.Raw(func(any) error { return driver.ErrBadConn })
	w.conn.Close()
}

func (w *writer) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if st := w.stmts[text]; st != nil {
		return st, nil
	}
	st, err := w.conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	w.stmts[text] = st
	return st, nil
}

func (w *writer) control(ctx context.Context, text string) error {
	st, err := w.stmt(ctx, text)
	if err == nil {
		_, err = st.ExecContext(ctx)
	}
	if err != nil {
		w.broken = err
	}
	return err
}
