package store

import (
	"time"

	"github.com/weftnet/weft"
)

// Key is an Idempotency-Key and the request that came with it.
type Key struct {
	ProjectID, UserID, Key string
	Request                string // a digest of method, path and body
}

// Answered is the body of the answer to an earlier request with the key, if there
// was one within life. The error is IdempotencyKeyReused when that was a different
// request.
func (tx *Tx) Answered(k Key, life time.Duration) (body []byte, ok bool, err error) {
	var request string
	ok, err = tx.QueryRow("SELECT request, body FROM idempotency_keys WHERE project_id = ? AND user_id = ? AND idempotency_key = ? AND at > ?",
		[]any{k.ProjectID, k.UserID, k.Key, tx.Now().Add(-life).UnixMilli()}, &request, &body)
	if err == nil && ok && request != k.Request {
		err = weft.Errorf(weft.Conflict, "IdempotencyKeyReused", "The Idempotency-Key %s was used with a different request.", k.Key)
	}
	return body, ok, err
}

// Answer remembers the body of the answer to a request with the key, in the place
// of one that is older than life, and forgets all that are.
func (tx *Tx) Answer(k Key, body []byte, life time.Duration) error {
	if _, err := tx.Exec("DELETE FROM idempotency_keys WHERE at <= ?", tx.Now().Add(-life).UnixMilli()); err != nil {
		return err
	}
	_, err := tx.Exec("INSERT INTO idempotency_keys (project_id, user_id, idempotency_key, request, body, at) VALUES (?, ?, ?, ?, ?, ?)",
		k.ProjectID, k.UserID, k.Key, k.Request, string(body), tx.Now().UnixMilli())
	return err
}
