package store

import (
	"context"
	"errors"
	"fmt"
)

// CloudID is the id of the cloud that the database is of. It was made with the
// database and is the same in every copy.
func (db *DB) CloudID(ctx context.Context) (id string, err error) {
	found, err := db.Read(ctx, nil).QueryRow("SELECT id FROM cloud", nil, &id)
	if err == nil && !found {
		err = errors.New("the database has none")
	}
	if err != nil {
		return "", fmt.Errorf("reading the cloud's id: %w", err)
	}
	return id, nil
}
