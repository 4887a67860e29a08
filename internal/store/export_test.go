package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Show is a setting of PostgreSQL on each kind of connection.
func (db *DB) Show(ctx context.Context, setting string) (map[string]string, error) {
	out := map[string]string{}
	read := func(kind string, row interface{ Scan(...any) error }) error {
		var v string
		err := row.Scan(&v)
		out[kind] = v
		return err
	}
	if err := read("reader", db.read.QueryRowContext(ctx, "SHOW "+setting)); err != nil {
		return nil, err
	}
	err := db.Update(ctx, nil, func(tx *Tx) error {
		return read("writer", tx.writer.conn.QueryRowContext(ctx, "SHOW "+setting))
	})
	if err != nil {
		return nil, err
	}
	d := db.dialect.(*postgresDialect)
	cfg, err := d.config(d.patience/2, d.patience)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	return out, read("listener", conn.QueryRow(ctx, "SHOW "+setting))
}
